"""gres.conf of what is declared: as Slurm reads it, and refused where it cannot be."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
import pytest

from hpcjobs.conformance import PluginConformance
from hpcjobs.devices.family import families
from hpcjobs.model.cluster import Node
from hpcjobs.plugin import Configure, Inventory
from hpcjobs_plugins.gpu_accounting.conf import ERROR, GRES_CONF, PART, DeclarationError, files_of
from hpcjobs_plugins.gpu_accounting.plugin import PLUGIN
from hpcjobs_plugins.gpu_accounting.settings import Devices, Settings

NAMES = ["n1", "n2", "n3", "n4"]
NODES = {name: Node(name, "IDLE", True, 64, 0, 0, 0, {}, {}, (), ()) for name in NAMES}
INVENTORY = Inventory("alpha", NODES, {})


class TestGpuAccounting(PluginConformance):
    plugin = PLUGIN
    settings: ClassVar[dict[str, Any]] = {"clusters": {"alpha": [{"nodes": "n1", "type": "a100", "count": 8}]}}


def made(*declared: dict[str, Any]) -> dict[str, str]:
    return files_of(msgspec.convert(declared, tuple[Devices, ...]), families(), INVENTORY)


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith("# Written")]


def test_whole_devices_of_several_types_and_shares():
    files = made(
        {"nodes": "n[1-2]", "type": "a100", "count": 8, "shards": 4},
        {"nodes": "n3", "type": "910b", "count": 2, "family": "ascend"} | {"type": "d910b"},
        {"nodes": "n4", "type": "h100", "count": 2, "mps": True, "files": "/dev/nvidia[0,2]"},
    )
    assert lines(files[GRES_CONF]) == [
        "NodeName=n[1-2] AutoDetect=off Name=gpu Type=a100 File=/dev/nvidia[0-7] Flags=nvidia_gpu_env",
        "NodeName=n3 AutoDetect=off Name=npu Type=d910b File=/dev/davinci[0-1]",
        "NodeName=n4 AutoDetect=off Name=gpu Type=h100 File=/dev/nvidia[0,2] Flags=nvidia_gpu_env",
        "NodeName=n[1-2] Name=shard Count=32",
        "NodeName=n4 Name=mps Count=200",
    ]
    assert lines(files[PART]) == [
        "GresTypes=gpu,shard,npu,mps",
        "AccountingStorageTRES=gres/gpu,gres/gpu:a100,gres/shard,gres/npu,gres/npu:d910b,gres/gpu:h100,gres/mps",
        "# The line of each node in slurm.conf says:",
        "#   NodeName=n[1-2] Gres=gpu:a100:8,shard:32",
        "#   NodeName=n3 Gres=npu:d910b:2",
        "#   NodeName=n4 Gres=gpu:h100:2,mps:200",
    ]


def test_slices_are_found_by_slurmd_and_a_node_may_have_several_types():
    files = made(
        {"nodes": "n1", "type": "a100_1g.5gb", "count": 7, "autodetect": "nvml"},
        {"nodes": "n2", "type": "a100", "count": 2},
        {"nodes": "n2", "type": "v100", "count": 2, "files": "/dev/nvidia[2-3]"},
    )
    assert lines(files[GRES_CONF])[0] == "NodeName=n1 AutoDetect=nvml"
    assert "#   NodeName=n2 Gres=gpu:a100:2,gpu:v100:2" in lines(files[PART])


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ([{"nodes": "n[1-9]"}], "has no node n\\[5-9\\]"),
        ([{"nodes": ""}], "has no node nothing"),
        ([{"nodes": "n[1"}], "hostlist"),
        ([{"family": "gorilla"}], "no family 'gorilla'"),
        ([{"shards": 2, "mps": True}], "not by both"),
        ([{"type": "a100_1g.5gb", "shards": 2, "autodetect": "nvml"}], "not shared further"),
        ([{"type": "a100_1g.5gb"}], "slices have no file names"),
        ([{"files": "/dev/nvidia[0-2]"}], "3 files for 8 devices"),
        ([{"family": "amd"}], "no device files are known"),
        ([{}, {}], "n1 has a100 twice"),
        ([{"files": "/dev/nvidia[0-7]"}, {"type": "h100", "files": "/dev/nvidia[7-14]"}], "/dev/nvidia7 is of a100"),
        ([{"mps": True}, {"type": "h100", "shards": 2}], "shards and MPS"),
    ],
)
def test_what_cannot_be_is_said(declared, words):
    told = [{"nodes": "n1", "type": "a100", "count": 8} | one for one in declared]
    with pytest.raises(DeclarationError, match=words):
        made(*told)


def test_the_plugin_writes_an_error_in_place_of_both_and_nothing_for_other_clusters():
    settings = Settings({"alpha": (Devices("n9", "a100", 8),)})
    (hook,) = PLUGIN.hooks(settings)  # type: ignore[operator]
    assert isinstance(hook, Configure)
    assert hook.run(INVENTORY) == {ERROR: "a100 on n9: cluster alpha has no node n9\n"}
    assert hook.run(Inventory("beta", NODES, {})) == {}
