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
        {"nodes": "n4", "type": "h100", "count": 2, "files": "/dev/nvidia[0,2]"},
    )
    assert lines(files[GRES_CONF]) == [
        "NodeName=n[1-2] AutoDetect=off Name=gpu Type=a100 File=/dev/nvidia[0-7] Flags=nvidia_gpu_env",
        "NodeName=n3 Name=npu Type=d910b File=/dev/davinci[0-1]",
        "NodeName=n4 AutoDetect=off Name=gpu Type=h100 File=/dev/nvidia[0,2] Flags=nvidia_gpu_env",
        *(f"NodeName=n[1-2] Name=shard Count=4 File=/dev/nvidia{number}" for number in range(8)),
    ]
    assert lines(files[PART]) == [
        "GresTypes=gpu,shard,npu",
        "AccountingStorageTRES=gres/gpu,gres/gpu:a100,gres/shard,gres/npu,gres/npu:d910b,gres/gpu:h100",
        "# The line of each node in slurm.conf says:",
        "#   NodeName=n[1-2] Gres=gpu:a100:8,shard:32",
        "#   NodeName=n3 Gres=npu:d910b:2",
        "#   NodeName=n4 Gres=gpu:h100:2",
    ]


def test_mps_counts_percents_of_each_device():
    files = made({"nodes": "n4", "type": "h100", "count": 2, "mps": True})
    assert lines(files[GRES_CONF])[1:] == [
        "NodeName=n4 Name=mps Count=100 File=/dev/nvidia0", "NodeName=n4 Name=mps Count=100 File=/dev/nvidia1"
    ]  # fmt: skip
    assert lines(files[PART])[0] == "GresTypes=gpu,mps"
    assert lines(files[PART])[-1] == "#   NodeName=n4 Gres=gpu:h100:2,mps:200"


def test_devices_that_slurmd_finds_are_shared_evenly_and_of_several_types_each_by_its_files():
    found = made({"nodes": "n1", "type": "a100", "count": 8, "shards": 4, "autodetect": "nvml"})
    assert lines(found[GRES_CONF]) == ["NodeName=n1 AutoDetect=nvml", "NodeName=n1 Name=shard Count=32"]
    several = made(
        {"nodes": "n1", "type": "a100", "count": 1, "shards": 4},
        {"nodes": "n1", "type": "v100", "count": 1, "shards": 2, "files": "/dev/nvidia1"},
        {"nodes": "n1", "type": "t4", "count": 1, "files": "/dev/nvidia2"},
    )
    assert lines(several[GRES_CONF])[3:] == [
        "NodeName=n1 Name=shard Count=4 File=/dev/nvidia0", "NodeName=n1 Name=shard Count=2 File=/dev/nvidia1"
    ]  # fmt: skip
    assert lines(several[PART])[-1] == "#   NodeName=n1 Gres=gpu:a100:1,shard:6,gpu:v100:1,gpu:t4:1"


def test_jobs_get_the_variable_of_their_devices_and_none_of_another_vendor():
    files = made(
        {"nodes": "n1", "type": "mi300x", "count": 8, "family": "amd"},
        {"nodes": "n2", "type": "trn2", "count": 2, "family": "neuron"},
    )
    assert lines(files[GRES_CONF]) == [
        "NodeName=n1 AutoDetect=off Name=gpu Type=mi300x File=/dev/dri/renderD[128-135] Flags=amd_gpu_env",
        "NodeName=n2 AutoDetect=off Name=gpu Type=trn2 File=/dev/neuron[0-1] Flags=no_gpu_env",
    ]


def test_slices_are_found_by_slurmd_and_a_node_may_have_several_types():
    files = made(
        {"nodes": "n1", "type": "a100_1g.5gb", "count": 7, "autodetect": "nvml"},
        {"nodes": "n2", "type": "a100", "count": 2},
        {"nodes": "n2", "type": "v100", "count": 2, "files": "/dev/nvidia[2-3]"},
    )
    assert lines(files[GRES_CONF])[0] == "NodeName=n1 AutoDetect=nvml"
    assert "#   NodeName=n2 Gres=gpu:a100:2,gpu:v100:2" in lines(files[PART])


def test_devices_of_several_files_have_a_line_each():
    caps = [f"/dev/nvidia0,/dev/nvidia-caps/nvidia-cap[{number}-{number + 1}]" for number in (21, 30)]
    files = made(
        {"nodes": "n1", "type": "a100_1g.5gb", "count": 2, "multiple": caps},
        {"nodes": "n2", "type": "gaudi3", "count": 2, "family": "gaudi"},
    )
    slices, gaudis = "NodeName=n1 AutoDetect=off Name=gpu Type=a100_1g.5gb", "NodeName=n2 Name=gaudi Type=gaudi3"
    assert lines(files[GRES_CONF]) == [
        *(f"{slices} MultipleFiles={of} Flags=nvidia_gpu_env" for of in caps),
        f"{gaudis} MultipleFiles=/dev/accel/accel0,/dev/accel/accel_controlD0",
        f"{gaudis} MultipleFiles=/dev/accel/accel1,/dev/accel/accel_controlD1",
    ]
    assert "#   NodeName=n1 Gres=gpu:a100_1g.5gb:2" in lines(files[PART])


def test_a_node_has_slices_that_slurmd_finds_and_others_that_are_no_gpus():
    files = made(
        {"nodes": "n1", "type": "a100_1g.5gb", "count": 7, "autodetect": "nvml"},
        {"nodes": "n1", "type": "ascend910b3", "count": 1, "family": "ascend"},
    )
    assert lines(files[GRES_CONF]) == [
        "NodeName=n1 AutoDetect=nvml", "NodeName=n1 Name=npu Type=ascend910b3 File=/dev/davinci0"
    ]  # fmt: skip


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
        ([{"files": "/dev/nvidia[0-2]"}], "files of 3 for 8 devices"),
        ([{"shards": 2, "family": "ascend"}], "Slurm shares what is called gpu, not npu"),
        ([{"mps": True, "family": "amd"}], "MPS is NVIDIA's, and AMD Instinct is not"),
        ([{"shards": 2, "count": 1, "multiple": ["/dev/a0,/dev/b0"]}], "several files are not shared"),
        (
            [{"shards": 2, "autodetect": "nvml"}, {"type": "h100", "autodetect": "nvml"}],
            "n1 has GPUs of several types: which are shared is told by their files",
        ),
        ([{"multiple": ["/dev/a0,/dev/b0"]}], "files of 1 for 8 devices"),
        ([{"multiple": ["/dev/a0,/dev/b0"], "files": "/dev/a0"}], "not both"),
        ([{"multiple": ["/dev/a[0"]}], "hostlist"),
        (
            [
                {"count": 1, "multiple": ["/dev/a0,/dev/b0"]},
                {"type": "h100", "count": 1, "multiple": ["/dev/b0,/dev/c0"]},
            ],
            "/dev/b0 is of a100 and of h100",
        ),
        ([{"autodetect": "nvml"}, {"type": "h100", "count": 1, "files": "/dev/nvidia8"}], "n1 has nvml and off"),
        ([{}, {"type": "mi300x", "family": "amd"}], "n1 has nvidia_gpu_env and amd_gpu_env: slurmd takes one set"),
        ([{"family": "amd", "autodetect": "nvml"}], "nvml does not find AMD Instinct; its autodetect is rsmi"),
        ([{"family": "ascend", "autodetect": "nvml"}], "its autodetect is none: say files"),
        ([{"family": "intel"}], "no device files are known"),
        ([{}, {}], "n1 has a100 twice"),
        ([{"files": "/dev/nvidia[0-7]"}, {"type": "h100", "files": "/dev/nvidia[7-14]"}], "/dev/nvidia7 is of a100"),
        ([{"mps": True}, {"nodes": "n2", "type": "h100", "shards": 2}], "shards and MPS are declared"),
    ],
)
def test_what_cannot_be_is_said(declared, words):
    told = [{"nodes": "n1", "type": "a100", "count": 8} | one for one in declared]
    with pytest.raises(DeclarationError, match=words):
        made(*told)


def test_the_plugin_writes_an_error_in_place_of_both_and_nothing_for_other_clusters():
    settings = Settings({"alpha": (Devices("n9", "a100", 8),)})
    hook, _ = PLUGIN.hooks(settings)  # type: ignore[operator]
    assert isinstance(hook, Configure)
    assert hook.run(INVENTORY) == {ERROR: "a100 on n9: cluster alpha has no node n9\n"}
    assert hook.run(Inventory("beta", NODES, {})) == {}
