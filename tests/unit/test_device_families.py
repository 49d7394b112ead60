"""Families of accelerators are data, read strictly; a site's own come first."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import msgspec
import pytest

from hpcjobs.devices.family import Family, Model, facts, families
from hpcjobs.devices.probe import Probe, fault
from hpcjobs.devices.sampling import Reading, Sampling, readings
from hpcjobs.devices.worth import worth
from hpcjobs.errors import SettingsError
from hpcjobs_plugins.gpu_accounting.settings import Devices

GIB = 2**30
MIB = 2**20


@pytest.mark.parametrize("family", families().values(), ids=lambda family: family.name)
def test_every_fact_of_a_family_has_a_page_or_says_that_it_has_none(family: Family) -> None:
    told = facts(family)  # KeyError: neither
    assert all(page.startswith("https://") for page in family.sources.values())
    assert not set(family.sources) & set(family.unconfirmed)
    for name in [*family.sources, *family.unconfirmed]:
        assert any(fact == name or fact.startswith(f"{name}.") for fact in told), f"{name} is about nothing"


@pytest.mark.parametrize("family", families().values(), ids=lambda family: family.name)
def test_a_partition_is_worth_its_share(family: Family) -> None:
    for model in family.models:
        for profile, (part, of) in model.partitions.items():
            assert worth(f"{model.name}_{profile}") == Fraction(part, of), (model.name, profile)


def test_there_are_28_families_and_each_model_is_a_type_that_can_be_declared() -> None:
    known = families()
    assert len(known) == 28
    types = [f"{model.name}{part}" for one in known.values() for model in one.models for part in ("", *_parts(model))]
    assert len(types) == len(set(types))
    for kind in types:
        assert msgspec.convert({"nodes": "n1", "type": kind, "count": 1}, Devices).type == kind


def _parts(model: Model) -> list[str]:
    return [f"_{profile}" for profile in model.partitions]


def test_the_file_of_a_family_has_its_name() -> None:
    for name in families():
        assert (Path(__file__).parents[2] / f"hpcjobs/devices/families/{name}.toml").is_file()


def test_a_file_of_the_site_replaces_the_family_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "ours.toml").write_text('name = "ascend"\ntitle = "Ours"\ngres = "gpu"\n')
    assert families(tmp_path)["ascend"].gres == "gpu"
    assert families(tmp_path)["neuron"] == families()["neuron"]


OURS = 'name = "x"\ntitle = "X"\ngres = "gpu"\n'


@pytest.mark.parametrize(
    "text",
    [
        'name = "x"\n',
        f'{OURS}colour = "red"\n',
        "name =",
        f'{OURS}[probe]\nargv = ["smi"]\nill = "("\n',
        f'{OURS}[[sample]]\nargv = ["smi"]\nformat = "text"\n',
        f'{OURS}[[sample]]\nargv = ["smi"]\nformat = "text"\npattern = "(?P<colour>.)"\n',
        f'{OURS}[[sample]]\nargv = ["smi"]\nformat = "csv"\n[sample.fields]\ncolour = ["red"]\n',
    ],
)
def test_a_file_that_cannot_be_read_is_refused_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises(SettingsError, match=r"bad\.toml"):
        families(tmp_path)


NVIDIA_SMI = """\
index, uuid, name, utilization.gpu [%], memory.used [MiB], power.draw [W]
0, GPU-0a, NVIDIA A100-SXM4-80GB, 97 %, 40960 MiB, 391.20 W
1, GPU-1b, NVIDIA A100-SXM4-80GB, [N/A], 0 MiB, [N/A]
"""
DCGM = """\
# HELP DCGM_FI_DEV_GPU_UTIL GPU utilization (in %).
DCGM_FI_DEV_GPU_UTIL{gpu="0",UUID="GPU-0a",modelName="NVIDIA A100-SXM4-80GB",Hostname="n1"} 97
DCGM_FI_DEV_FB_USED{gpu="0",UUID="GPU-0a",modelName="NVIDIA A100-SXM4-80GB",Hostname="n1"} 40960
DCGM_FI_DEV_POWER_USAGE{gpu="0",UUID="GPU-0a",modelName="NVIDIA A100-SXM4-80GB",Hostname="n1"} 391.2
DCGM_FI_PROF_GR_ENGINE_ACTIVE{gpu="1",UUID="GPU-1b",GPU_I_PROFILE="1g.10gb",GPU_I_ID="7",Hostname="n1"} 0.25
DCGM_FI_DEV_FB_USED{gpu="1",UUID="GPU-1b",GPU_I_PROFILE="1g.10gb",GPU_I_ID="7",Hostname="n1"} 1024
DCGM_FI_DEV_XID_ERRORS{gpu="1",UUID="GPU-1b"} 0
"""
ROCM_SMI = """\
{"card0": {"Unique ID": "0x9f2a", "GPU use (%)": "42", "VRAM Total Memory (B)": "206141652992",
  "VRAM Total Used Memory (B)": "1073741824", "Current Socket Graphics Package Power (W)": "310.0",
  "Card Series": "AMD Instinct MI300X"},
 "card1": {"Unique ID": "0x9f2b", "GPU use (%)": "0", "VRAM Total Used Memory (B)": "0",
  "Average Graphics Package Power (W)": "N/A (Secondary die)"},
 "system": {"Driver version": "6.8.5"}}
"""
AMD_SMI = """\
[{"gpu": 3, "usage": {"gfx_activity": {"value": 42, "unit": "%"}, "umc_activity": {"value": 1, "unit": "%"}},
  "power": {"socket_power": {"value": 310, "unit": "W"}},
  "mem_usage": {"total_vram": {"value": 196592, "unit": "MB"}, "used_vram": {"value": 1024, "unit": "MB"}}},
 {"gpu": 4, "usage": "N/A", "power": {"socket_power": "N/A"}, "mem_usage": {"used_vram": "N/A"}}]
"""

XPU_SMI = """\
Timestamp, DeviceId, GPU Utilization (%), GPU Power (W)
08:08:16.817,    0,  N/A, 281.13
08:08:16.817,    1, 12.50, 286.48
"""
HL_SMI = "0, 01P0-HL2000, HL-225, 672 MiB, 226 W, 40 %\n1, 01P0-HL2001, HL-225, 0 MiB, 90.5 W, 0 %\n"
NPU_EXPORTER = """\
machine_npu_nums 2
npu_chip_info_health_status{id="0",model_name="910B3",vdie_id="185A"} 1 1723621883587
npu_chip_info_hbm_used_memory{id="0",model_name="910B3",vdie_id="185A",pod_name=""} 1024 1723621883587
npu_chip_info_power{id="0",model_name="910B3",vdie_id="185A",pod_name=""} 73.9 1723621883587
npu_chip_info_utilization{id="0",model_name="910B3",vdie_id="185A",pod_name=""} 7 1723621883587
"""
MLU_EXPORTER = """\
mlu_memory_used{mlu="1",model="MLU370-X8",uuid="MLU-2000",node="n1"} 1.073741824e+09
mlu_power_usage{mlu="1",model="MLU370-X8",uuid="MLU-2000",node="n1",vf=""} 101
mlu_utilization{mlu="1",model="MLU370-X8",uuid="MLU-2000",node="n1",vf=""} 55
"""
HY_SMI = """\
================= System Management Interface ==================
HCU     Temp     AvgPwr     Perf     PwrCap     VRAM%      HCU%      Mode
0       49.0C    71.5W      auto     400.0W     25%        90.5%     Normal
1       48.0C    70.0W      auto     400.0W     0%         0.0%      Normal
"""
IX_EXPORTER = """\
ix_gpu_utilization{gpu="0",name="Iluvatar BI-V150",uuid="GPU-9c"} 80
ix_mem_used{gpu="0",name="Iluvatar BI-V150",uuid="GPU-9c"} 1024
ix_power_usage{gpu="0",name="Iluvatar BI-V150",uuid="GPU-9c"} 180
"""
GCU_EXPORTER = """\
enflame_gcu_usage{minor_number="0",uuid="T6C",name="S60"} -1
enflame_gcu_memory_used_bytes{minor_number="0",uuid="T6C",name="S60"} 1.073741824e+09
enflame_gcu_power_consumption{minor_number="0",uuid="T6C",name="S60"} 60
"""
GC_INVENTORY = '{"devices": [{"id": "0", "ipu utilisation": "12.00%"}, {"id": "1", "ipu utilisation": "0.00%"}]}'
TT_SMI = """\
{"host_info": {"OS": "Linux"}, "device_info": [
  {"board_info": {"bus_id": "0000:01:00.0", "board_type": "n300 L", "board_id": "100018"},
   "telemetry": {"power": " 20.0"}}]}
"""
LYNXI_EXPORTER = """\
lynxi_board_power{board_id="1",product_name="HP300"} 30000
lynxi_device_apu_usage{board_id="1",id="3",model="KA200",product_name="HP300",uuid="a1"} 30
lynxi_device_mem_used{board_id="1",id="3",mem_total="16777216",model="KA200",product_name="HP300",uuid="a1"} 1048576
"""
FURIOSA_SMI = """\
[{"arch": "rngd", "dev_name": "npu0", "device_uuid": "A76A", "temperature": "37.00 C", "power": "38.50 W"}]
"""
RBLN_STAT = """\
{"KMD_version": "1.3.0", "devices": [{"npu": 0, "name": "RBLN-CA12", "uuid": "b7f9", "device": "rbln0", "util": "42.0",
  "memory": {"used": "0", "total": "1"}}]}
"""

SAMPLES = {
    ("intel", 0): (XPU_SMI, Reading(index=0, power_w=281.13), Reading(index=1, busy=0.125, power_w=286.48)),
    ("gaudi", 0): (
        HL_SMI,
        Reading(index=0, uuid="01P0-HL2000", model="HL-225", busy=0.4, mem_used_bytes=672 * MIB, power_w=226),
        Reading(index=1, uuid="01P0-HL2001", model="HL-225", busy=0, mem_used_bytes=0, power_w=90.5),
    ),
    ("ascend", 0): (
        NPU_EXPORTER,
        Reading(index=0, uuid="185A", model="910B3", busy=0.07, mem_used_bytes=GIB, power_w=73.9),
    ),
    ("cambricon", 0): (
        MLU_EXPORTER,
        Reading(index=1, uuid="MLU-2000", model="MLU370-X8", busy=0.55, mem_used_bytes=GIB, power_w=101),
    ),
    ("hygon", 0): (HY_SMI, Reading(index=0, busy=0.905, power_w=71.5), Reading(index=1, busy=0, power_w=70)),
    ("iluvatar", 0): (
        IX_EXPORTER,
        Reading(index=0, uuid="GPU-9c", model="Iluvatar BI-V150", busy=0.8, mem_used_bytes=GIB, power_w=180),
    ),
    ("enflame", 0): (GCU_EXPORTER, Reading(index=0, uuid="T6C", model="S60", mem_used_bytes=GIB, power_w=60)),
    ("graphcore", 0): (GC_INVENTORY, Reading(index=0, busy=0.12), Reading(index=1, busy=0)),
    ("tenstorrent", 0): (TT_SMI, Reading(uuid="100018", model="n300 L", power_w=20)),
    ("lynxi", 0): (LYNXI_EXPORTER, Reading(index=3, uuid="a1", model="KA200", busy=0.3, mem_used_bytes=GIB)),
    ("furiosa", 0): (FURIOSA_SMI, Reading(index=0, uuid="A76A", model="rngd", power_w=38.5)),
    ("rebellions", 0): (RBLN_STAT, Reading(index=0, uuid="b7f9", model="RBLN-CA12", busy=0.42)),
    ("nvidia", 1): (
        NVIDIA_SMI,
        Reading(
            index=0, uuid="GPU-0a", model="NVIDIA A100-SXM4-80GB", busy=0.97, mem_used_bytes=40 * GIB, power_w=391.2
        ),
        Reading(index=1, uuid="GPU-1b", model="NVIDIA A100-SXM4-80GB", mem_used_bytes=0),
    ),
    ("nvidia", 0): (
        DCGM,
        Reading(
            index=0, uuid="GPU-0a", model="NVIDIA A100-SXM4-80GB", busy=0.97, mem_used_bytes=40 * GIB, power_w=391.2
        ),
        Reading(index=1, uuid="GPU-1b", profile="1g.10gb", instance="7", busy=0.25, mem_used_bytes=GIB),
    ),
    ("amd", 0): (
        ROCM_SMI,
        Reading(index=0, uuid="0x9f2a", model="AMD Instinct MI300X", busy=0.42, mem_used_bytes=GIB, power_w=310),
        Reading(index=1, uuid="0x9f2b", busy=0, mem_used_bytes=0),
    ),
    ("amd", 1): (AMD_SMI, Reading(index=3, busy=0.42, mem_used_bytes=GIB, power_w=310), Reading(index=4)),
}
"""By family and place of the way to ask: what such a command prints, typed anew and shortened, and what it says."""


@pytest.mark.parametrize(
    ("name", "place"), [(name, place) for name, family in families().items() for place in range(len(family.sample))]
)
def test_what_a_command_prints_is_read(name: str, place: int) -> None:
    printed, *said = SAMPLES[name, place]
    assert readings(families()[name].sample[place], printed) == said


@pytest.mark.parametrize(("name", "place"), SAMPLES)
def test_words_of_a_command_that_failed_are_no_device(name: str, place: int) -> None:
    sampling, printed = families()[name].sample[place], "No devices were found\n"
    none = f'{{"{sampling.devices}": []}}' if sampling.devices else "[]"
    assert readings(sampling, none if sampling.format == "json" else "") == []
    if sampling.format in ("csv", "json"):
        with pytest.raises(ValueError, match=sampling.argv[0]):
            readings(sampling, printed)
    else:
        assert readings(sampling, printed) == []


def test_of_fields_with_several_names_the_first_that_is_there_counts() -> None:
    one = Sampling(argv=("smi",), format="prometheus", fields={"index": ("gpu",), "busy_percent": ("a", "b")})
    assert readings(one, 'b{gpu="0"} 2\na{gpu="0"} 1\n') == [Reading(index=0, busy=0.01)]
    assert readings(one, 'b{gpu="0"} 2\n') == [Reading(index=0, busy=0.02)]


def test_text_is_read_by_a_pattern() -> None:
    one = Sampling(
        argv=("smi",),
        format="text",
        mem_bytes=MIB,
        pattern=r"^(?P<index>\d+) +(?P<busy_percent>\d+)% +(?P<mem_used>\d+)$",
    )
    assert readings(one, "ID USE MEM\n0 50% 16\n1 101% 0\n") == [
        Reading(index=0, busy=0.5, mem_used_bytes=16 * MIB),
        Reading(index=1, busy=1, mem_used_bytes=0),
    ]


@pytest.mark.parametrize(
    ("code", "output", "said"),
    [
        (0, "Remapping: No\nfine\n", ""),
        (0, "  Remapping: Yes\nfine\n", "Remapping: Yes"),
        (0, "Remapping: No\n", "smi does not say ^fine"),
        (9, "fine\n", "smi ended with 9"),
    ],
)
def test_a_probe_says_what_is_wrong(code: int, output: str, said: str) -> None:
    assert fault(Probe(("smi",), ill="Remapping: Yes", well="^fine"), code, output) == said


ILL = {
    "nvidia": "        Remapping Failure Occurred            : Yes\n",
    "amd": "        TOTAL_UNCORRECTABLE_COUNT: 2\n",
    "ascend": 'machine_npu_nums 8\nnpu_chip_info_health_status{id="3"} 0 1723621883587\n',
    "cambricon": 'mlu_health{mlu="0"} 1\nmlu_health{mlu="3"} 0\n',
    "enflame": 'enflame_gcu_health{minor_number="3",healthmsg=""} 1\n',
    "qualcomm": "QID 0\n\tStatus:Ready\nQID 1\n\tStatus:Error\n",
}
"""What tells an ill device, in its last line, by family."""


@pytest.mark.parametrize("name", [name for name, family in families().items() if family.probe and family.probe.ill])
def test_the_probe_of_a_family_finds_an_ill_device(name: str) -> None:
    probe = families()[name].probe
    assert probe is not None
    assert fault(probe, 0, ILL[name]) == ILL[name].splitlines()[-1].strip()


@pytest.mark.parametrize("name", [name for name, family in families().items() if family.probe])
def test_a_node_of_which_nothing_is_told_is_ill_where_something_is_told_of_a_well_one(name: str) -> None:
    probe = families()[name].probe
    assert probe is not None
    assert bool(fault(probe, 0, "")) == (probe.well is not None)
    assert fault(probe, 127, "") == f"{probe.argv[0]} ended with 127"
