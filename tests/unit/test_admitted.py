"""What admission lets through, nothing after it fails on."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from hpcjobs.admission import admit
from hpcjobs.admission.fields import GPU_REQUESTS
from hpcjobs.admission.resources import AMOUNTS, JOB_AMOUNTS
from hpcjobs.admission.texts import FORMS
from hpcjobs.errors import Refused
from hpcjobs.model.spec import Component, JobSpec, Resources
from hpcjobs.sbatch.effective import with_absolute_times
from hpcjobs.slurm import pyslurm_description, slurm_commands, slurmrestd_body
from hpcjobs.submission import launch_of
from tests.conftest import examples

from .builders import SCRIPT, spec

LARGE = [1, 2, 3, 8, 0xFFFD, 0xFFFE, 10**5, 0xFFFF_FFFD, 0xFFFF_FFFE, 10**10, 10**19, 10**25]
COUNTS = [str(n) for n in LARGE] + ["4K", "4G", "1k", "9" * 19 + "P", "9" * 5000, "²", "٣", "0", ""]
GPUS = st.one_of(
    st.sampled_from(LARGE), st.sampled_from(COUNTS), st.sampled_from([f"a100:{n}" for n in COUNTS]), st.text(max_size=6)
)
WORDS = {
    "gres": [f"{name}:{n}" for name in ("gpu", "gpu:a100", "shard") for n in COUNTS] + ["none", "gpu", "gpu:2(S:0)"],
    "tres_per_task": [f"{name}{n}" for name in ("cpu=", "cpu:", "gres/gpu=", "gres/gpu:a100:") for n in COUNTS],
    "extra_node_info": ["65533:65533:65533", "65535", "99999", "2:*:1"],
    "hint": ["compute_bound", "memory_bound", "multithread", "nomultithread"],
    "distribution": ["plane=4", "plane=٣", "block:cyclic", "arbitrary", "block:block:cyclic,pack"],
    "mem_bind": ["local", "v,map_mem:0,1", "mask_mem:0x1"],
    "cpu_freq": ["low-high:performance", "2400000", "performance"],
    "gres_flags": ["disable-binding", "one-task-per-sharing"],
    "array": ["0-4000000", "0-4000000:7,0-10%5", "1,1", "[1-3]"],
    "begin": ["now-1000000000weeks", "now+1000000000weeks", "0001-01-01", "9999-12-31", "noon", "uts1000000"],
    "deadline": ["now+1hour", "0001-01-01", "uts999999999999", "12/31"],
    "signal": ["B:USR1@60", "٣@9", "64", "RTMIN"],
    "mail_type": ["ALL", "TIME_LIMIT_80,END", "NONE"],
    "profile": ["all", "none", "task"],
    "mem_update": ["10@5", "٣@٣"],
    "export": ["ALL,A=b", "NIL", "A"],
    "acctg_freq": ["task=30", "30"],
    "propagate": ["NONE", "STACK"],
    "node_counts": ["1,3", "2-8:2"],
}


def texts(name: str) -> st.SearchStrategy[str]:
    return st.one_of(st.sampled_from(WORDS.get(name, ["x"])), st.text(max_size=8))


def numbers(least: int, most: int) -> st.SearchStrategy[int]:
    return st.one_of(st.sampled_from([least, most, 1, 2]), st.sampled_from(LARGE), st.integers(least, most))


def some(fields: dict[str, st.SearchStrategy]) -> st.SearchStrategy[dict]:
    """Few fields at a time, so that not all is refused."""
    names = st.lists(st.sampled_from(sorted(fields)), max_size=4, unique=True)
    return names.flatmap(lambda chosen: st.fixed_dictionaries({name: fields[name] for name in chosen}))


INNER = (
    {name: numbers(*between) for name, between in AMOUNTS.items()}
    | {name.partition(".")[2]: texts(name.partition(".")[2]) for name in FORMS if name.startswith("resources.")}
    | dict.fromkeys(GPU_REQUESTS, GPUS)
)
INNER = {name: INNER[name] if name not in AMOUNTS else numbers(*AMOUNTS[name]) for name in INNER}
TOP = {name: numbers(*between) for name, between in JOB_AMOUNTS.items()} | {
    name: texts(name) for name in WORDS if name in JobSpec.__struct_fields__
}
RESOURCES = some(INNER).map(lambda fields: Resources(**fields))
SPECS = st.builds(
    lambda top, resources, het: spec(SCRIPT, resources, het=het, **top),
    some(TOP),
    RESOURCES,
    st.one_of(st.just(()), RESOURCES.map(lambda asked: (Component(asked),))),
)


def send(asked: JobSpec) -> bool:
    """Bring a spec into every form that it is sent in; False: it was not admitted."""
    try:
        admitted = with_absolute_times(admit(asked), 1_800_000_000.5)
    except Refused:
        return False
    launch = launch_of(admitted, "0" * 32, "alice", "/home/{user}")
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(launch), type=type(launch)) == launch
    slurm_commands.submit_script(launch, 10)
    slurm_commands.estimate_script(launch, 10)
    for version in slurmrestd_body.VERSIONS:
        slurmrestd_body.lacks(launch, version)
    body = slurmrestd_body.job_body(launch)
    msgspec.json.encode(body)
    for job in body.get("jobs", [body.get("job")]):
        assert job.get("tasks", 0) < 0xFFFF_FFFE
    if not pyslurm_description.lacks(launch):
        words = pyslurm_description.description(launch)
        assert words.get("ntasks", 0) <= 0xFFFF_FFFE
    return True


@settings(
    max_examples=examples(250), deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow]
)
@given(SPECS)
def test_whatever_is_admitted_can_be_sent(asked):
    assume(send(asked))


@pytest.mark.parametrize(
    "asked",
    [
        Resources(tres_per_task="gres/gpu=4G"),
        Resources(tres_per_task="cpu=4K,gres/gpu:a100=1"),
        Resources(tres_per_task="gres/gpu=4K"),
        Resources(gpus=0xFFFF_FFFD, gpus_per_task=1),
        Resources(gres="gpu:2K"),
        Resources(gpus_per_node=1, gres="gpu:²"),
        Resources(gpus_per_node=1, gres="gpu:" + "9" * 5000),
        Resources(extra_node_info="65533:2", nodes=2),
    ],
    ids=range(8),
)
def test_what_once_failed_after_admission_is_sent_or_refused(asked):
    send(spec(resources=asked))


def fault_of(name: str, text: str) -> str:
    try:
        FORMS[name](text)
    except ValueError as error:
        return str(error)
    return ""


@given(
    st.sampled_from(sorted(FORMS)),
    st.one_of(st.text(), st.sampled_from(COUNTS), st.text("0123456789:=@-,%²٣KMGgpu/.", max_size=12)),
)
@settings(max_examples=examples(300), deadline=None)
def test_what_reads_a_text_has_an_error_of_its_own(name, text):
    assert "int()" not in fault_of(name, text)
    assert "integer string conversion" not in fault_of(name, text)


def test_a_time_long_ago_is_the_earliest_that_can_be_said():
    for begin in ("now-1000000weeks", "0100-01-01"):
        assert with_absolute_times(admit(spec(begin=begin)), 1.8e9).begin == "uts1000000"
