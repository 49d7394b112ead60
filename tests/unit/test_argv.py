"""A spec as sbatch's command line, and back."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from hpcjobs.model.spec import Component, JobSpec, Resources
from hpcjobs.sbatch.argv import argv_of
from hpcjobs.sbatch.fold import read_command, with_carried_over
from tests.conftest import examples

from .builders import SCRIPT, spec

TEXT = st.text(min_size=1, max_size=12).filter(lambda text: "\0" not in text)
COUNT = st.integers(1, 0xFFFD)
KIB = st.integers(1, 2**40).map(lambda count: count * 1024)
GPUS = st.sampled_from(["1", "8", "a100:4", "a100:4,h100:2"])
YES = st.just(True)
FORMS: dict[str, st.SearchStrategy[object]] = {
    "acctg_freq": st.sampled_from(["30", "task=30,energy=60"]),
    "array": st.sampled_from(["1", "0-15", "0-15%4", "1,3,5-7:2"]),
    "begin": st.sampled_from(["now+1hour", "uts1799999999", "16:00"]),
    "deadline": st.sampled_from(["tomorrow", "2026-12-24T16:00:30"]),
    "delay_boot_s": st.integers(0, 10**6),
    "export": st.sampled_from(["ALL", "NONE", "NIL", "ALL,A=1,B=two words"]),
    "get_user_env": YES,
    "hold": YES,
    "kill_on_invalid_dep": st.booleans(),
    "mail_type": st.sampled_from(["END", "BEGIN,FAIL", "ALL", "NONE"]),
    "mem_update": st.just("10@5"),
    "nice": st.integers(-(10**9), 10**9),
    "no_kill": st.booleans(),
    "oom_kill_step": st.booleans(),
    "open_mode": st.sampled_from(["append", "truncate"]),
    "priority": st.integers(0, 10**9) | st.just("TOP"),
    "profile": st.sampled_from(["all", "none", "task,energy"]),
    "propagate": st.sampled_from(["ALL", "NONE", "STACK,CORE"]),
    "reboot": YES,
    "requeue": st.booleans() | st.just("expedite"),
    "signal": st.sampled_from(["USR1", "B:USR1@60", "RB:10@5"]),
    "stepmgr": YES,
    "wait_all_nodes": st.booleans(),
}
RESOURCES: dict[str, st.SearchStrategy[object]] = {
    "consolidate_segments": YES,
    "contiguous": YES,
    "cpu_freq": st.sampled_from(["high", "low-high:ondemand", "2400000"]),
    "distribution": st.sampled_from(["block", "cyclic:block,pack", "plane=4", "arbitrary"]),
    "exclusive": st.sampled_from([True, "user", "mcs", "topo"]),
    "extra_node_info": st.sampled_from(["2", "2:4", "*:4:1"]),
    "gpu_bind": st.sampled_from(["closest", "verbose,single:2", "map_gpu:0,1"]),
    "gpu_freq": st.sampled_from(["high", "1200,memory=low,verbose"]),
    "gpus": GPUS,
    "gpus_per_node": GPUS,
    "gpus_per_socket": GPUS,
    "gpus_per_task": GPUS,
    "gres_flags": st.sampled_from(["disable-binding", "enforce-binding,one-task-per-sharing"]),
    "hint": st.sampled_from(["compute_bound", "memory_bound", "multithread", "nomultithread"]),
    "mem_bind": st.sampled_from(["local", "verbose,rank", "map_mem:0,1"]),
    "mem_per_cpu_bytes": KIB,
    "mem_per_gpu_bytes": KIB,
    "mem_per_node_bytes": KIB | st.just(0),
    "overcommit": YES,
    "oversubscribe": YES,
    "resv_ports": st.integers(0, 9),
    "spread_job": YES,
    "spread_segments": YES,
    "time_min_s": st.integers(1, 10**7),
    "tmp_bytes": KIB,
    "tres_per_task": st.sampled_from(["cpu=2", "cpu=2,gres/gpu:a100=1"]),
    "use_min_nodes": YES,
    "wall_s": st.integers(0, 10**7),
}
AT_ONCE = {"nodes", "nodes_max", "node_counts", "switches", "switches_wait_s"}
NODES = st.one_of(
    st.just({}),
    st.builds(lambda low: {"nodes": low}, COUNT),
    st.builds(lambda low, more: {"nodes": low, "nodes_max": low + more}, COUNT, COUNT),
    st.just({"node_counts": "1,3-9:2"}),
)
SWITCHES = st.one_of(
    st.just({}),
    st.builds(lambda count: {"switches": count}, COUNT),
    st.builds(lambda count, wait: {"switches": count, "switches_wait_s": wait}, COUNT, st.integers(0, 10**6)),
)


def of(struct: type[msgspec.Struct], own: dict[str, st.SearchStrategy[object]], but: set[str]):
    kinds = {field.name: COUNT if "int" in str(field.type) else TEXT for field in msgspec.structs.fields(struct)}
    return {name: own.get(name, kind) for name, kind in kinds.items() if name not in but}


ASKED = st.builds(
    lambda fields, nodes, switches: Resources(**fields, **nodes, **switches),
    st.fixed_dictionaries({}, optional=of(Resources, RESOURCES, AT_ONCE)),
    NODES,
    SWITCHES,
)
COMPONENTS = st.builds(
    lambda asked, fields: Component(asked, **fields),
    ASKED,
    st.fixed_dictionaries({}, optional={"partition": TEXT, "mail_user": TEXT, "mail_type": FORMS["mail_type"]}),
)
BESIDE = {"script", "args", "script_name", "resources", "het", "environment", "read_directives", "parallel", "hints",
          "container", "launch"}  # fmt: skip
SPECS = st.builds(
    lambda fields, asked, het: JobSpec(SCRIPT, resources=asked, het=tuple(het), **fields),
    st.fixed_dictionaries({}, optional=of(JobSpec, FORMS, BESIDE)),
    ASKED,
    st.lists(COMPONENTS, max_size=2),
).map(with_carried_over)


@settings(max_examples=examples(60), deadline=None, derandomize=True, database=None)
@given(asked=SPECS)
def test_a_spec_written_as_a_command_line_reads_as_the_same_spec(asked: JobSpec):
    words = argv_of(asked)
    assert read_command(words, SCRIPT) == asked
    assert all(word == ":" or word.startswith("--") for word in words)


def test_nothing_asked_for_is_said_by_silence():
    assert argv_of(spec()) == []
    assert argv_of(spec(hold=False, resources=Resources(overcommit=False, exclusive=False))) == []


def test_amounts_are_rounded_up_to_what_sbatch_can_say():
    asked = Resources(mem_per_node_bytes=1, mem_per_cpu_bytes=2**20, tmp_bytes=2**30 + 1, wall_s=61, gpus=8)
    assert argv_of(spec(resources=asked)) == ["--gpus=8", "--mem=1K", "--mem-per-cpu=1M", "--time=0-00:01:01",
        f"--tmp={2**20 + 1}K"]  # fmt: skip


def test_components_stand_between_colons_and_say_only_what_is_theirs():
    asked = spec(name="x", het=(Component(Resources(nodes=2)), Component(Resources(ntasks=3), partition="gpu")))
    assert argv_of(asked) == ["--job-name=x", ":", "--nodes=2", ":", "--ntasks=3", "--partition=gpu"]
