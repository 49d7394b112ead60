"""Nothing that was asked for is lost on the way to Slurm: each backend says it, or says that it cannot."""

from __future__ import annotations

import msgspec
import pytest

from hpcjobs.model.spec import Component, JobSpec, Resources
from hpcjobs.sbatch.effective import with_absolute_times
from hpcjobs.sbatch.environment import submission_environment
from hpcjobs.sbatch.fold import read_command
from hpcjobs.sbatch.options import OPTIONS, Option
from hpcjobs.slurm import pyslurm_description, slurmrestd_body
from hpcjobs.slurm.base import Launch
from hpcjobs.slurm.pyslurm_description import NO_VAL, Verbatim, description
from hpcjobs.slurm.slurmrestd_body import VERSIONS, job_body

from .builders import SCRIPT, spec
from .test_options import ALONE, ARGUMENTS

NOW = 1_800_000_000
CHANGES_NOTHING = {("no-kill", "off"), ("get-user-env", None)}
"""What sbatch itself says nothing of; and the login environment is there unless the spec forbids it."""


def launch(asked: JobSpec) -> Launch:
    resolved = with_absolute_times(asked, NOW)
    environment = submission_environment(resolved, "/home/alice", "login")
    return Launch(msgspec.structs.replace(resolved, environment=environment), "a" * 32)


def asked_by(option: Option, argument: str | None) -> JobSpec:
    words = [f"--{option.long}" + ("" if argument is None else f"={argument}")]
    if option.long in ("mem-per-gpu", "ntasks-per-gpu", "cpus-per-gpu"):
        words.append("--gpus=8")
    return read_command(words, SCRIPT)


EXAMPLES = [(option, ARGUMENTS[option.long][0]) for option in OPTIONS] + [
    (option, None) for option in OPTIONS if option.long in ALONE
]


@pytest.mark.parametrize(("option", "argument"), EXAMPLES, ids=lambda value: getattr(value, "long", value))
def test_every_option_is_said_by_each_backend_or_refused_with_its_name(option: Option, argument: str | None):
    asked = launch(asked_by(option, argument))
    nothing = launch(read_command(["--gpus=8"] if asked.spec.resources.gpus and option.long != "gpus" else [], SCRIPT))
    if (option.long, argument) in CHANGES_NOTHING:
        return
    for version in VERSIONS:
        if not slurmrestd_body.lacks(asked, version):
            assert job_body(asked) != job_body(nothing), version
    if not pyslurm_description.lacks(asked):
        assert description(asked) != description(nothing)


def lacking(of, *versions: str) -> set[str]:
    return {
        option.long for option, argument in EXAMPLES if of(launch(asked_by(option, argument)), *versions)
    }  # fmt: skip


def test_what_slurmrestd_lacks_is_known_by_version():
    newest = {"propagate", "resv-ports"}
    since_44 = {"consolidate-segments", "requeue", "spread-segments"}
    since_45 = {"container-type", "cores-per-socket", "extra-node-info", "mem-update"}
    assert lacking(slurmrestd_body.lacks, "v0.0.45") == newest
    assert lacking(slurmrestd_body.lacks, "v0.0.44") == newest | since_45
    assert lacking(slurmrestd_body.lacks, "v0.0.43") == newest | since_45 | since_44
    assert lacking(slurmrestd_body.lacks, "v0.0.42") == newest | since_45 | since_44


def test_what_pyslurm_lacks_is_known():
    assert lacking(pyslurm_description.lacks) == {
        "bb", "consolidate-segments", "container-type", "distribution", "gpu-freq", "mem-bind", "mem-update", "mincpus",
        "ntasks-per-gpu", "oom-kill-step", "prefer", "propagate", "requeue", "resv-ports", "spread-segments",
        "stepmgr", "switches", "tres-per-task",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (spec(propagate="NONE"), ""),
        (spec(propagate="STACK"), "knows no limits of a shell"),
        (spec(resources=Resources(gres_flags="one-task-per-sharing")), "sharing flags"),
        (spec(resources=Resources(distribution="arbitrary")), "--distribution=arbitrary"),
        (spec(het=(Component(Resources(resv_ports=2)),)), "--resv-ports"),
        (spec(resources=Resources(hint="memory_bound")), "v0.0.42 has no --cores-per-socket"),
    ],
)
def test_slurmrestds_reasons_are_words(asked, reason):
    assert reason in slurmrestd_body.lacks(launch(asked), "v0.0.42")
    assert bool(reason) == bool(slurmrestd_body.lacks(launch(asked), "v0.0.42"))


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (spec(het=(Component(),)), "has no heterogeneous jobs"),
        (spec(args=("a", "")), "drops empty script arguments"),
        (spec(kill_on_invalid_dep=False), "--kill-on-invalid-dep=no"),
        (spec(mail_type="ALL"), "INVALID_DEPEND"),
        (spec(mail_type="END"), ""),
        (spec(priority="TOP"), "--priority=TOP"),
        (spec(signal="USR1@0"), "@0"),
        (spec(acctg_freq="30"), "--acctg-freq"),
        (spec(acctg_freq="task=30"), ""),
        (spec(resources=Resources(mem_per_node_bytes=0)), "--mem=0"),
        (spec(resources=Resources(node_counts="1,3")), "--nodes=1,3"),
        (spec(resources=Resources(exclusive="topo")), "--exclusive=topo"),
        (spec(resources=Resources(exclusive="user")), ""),
        (spec(resources=Resources(distribution="block")), "--distribution"),
        (spec(resources=Resources(distribution="block:*:*")), ""),
        (spec(resources=Resources(distribution="plane=4")), ""),
        (spec(resources=Resources(cpu_freq="high")), "--cpu-freq of one value"),
        (spec(resources=Resources(cpu_freq="ondemand")), ""),
        (spec(resources=Resources(cpu_freq="low-high:ondemand")), ""),
        (spec(resources=Resources(gres="gpu:a100:no_consume:2")), "--gres"),
        (spec(resources=Resources(gres="gpu:a100:2,shard:4")), ""),
        (spec(resources=Resources(gres="none")), ""),
        (spec(resources=Resources(core_spec=0)), "--core-spec=0"),
        (spec(resources=Resources(resv_ports=2)), ""),
    ],
)
def test_pyslurms_reasons_are_words(asked, reason):
    words = pyslurm_description.lacks(launch(asked))
    assert reason in words
    assert bool(reason) == bool(words)


def test_the_parts_of_a_composite_option_arrive_as_slurmrestd_names_them():
    asked = spec(
        array="0-3%2",
        begin="uts1800000000",
        deadline="uts1800003600",
        signal="RB:USR1@120",
        mail_type="TIME_LIMIT,INVALID_DEPEND",
        mem_update="10@5",
        no_kill=True,
        open_mode="append",
        priority=7,
        profile="task",
        requeue="expedite",
        oom_kill_step=True,
        resources=Resources(
            cpus_per_gpu=2, gpus="2", gres="shard:1", gpu_freq="high", mem_per_gpu_bytes=2**30, switches=1,
            switches_wait_s=60, mem_bind="v,map_mem:0,1", segment=2, distribution="plane=4", wall_s=0,
            gpus_per_node="a100:1", gres_flags="disable-binding", spread_job=True, tmp_bytes=1,
        ),
    )  # fmt: skip
    assert (
        job_body(launch(asked))["job"].items()
        >= {
            "array": "0-3%2",
            "begin_time": {"set": True, "number": 1800000000},
            "deadline": 1800003600,
            "kill_warning_signal": "USR1",
            "kill_warning_delay": {"set": True, "number": 120},
            "kill_warning_flags": ["BATCH_JOB", "RESERVATION_JOB"],
            "mail_type": ["INVALID_DEPENDENCY", "TIME=100%"],
            "memory_update_margin": 10,
            "memory_update_delay": 5,
            "kill_on_node_fail": False,
            "open_mode": ["APPEND"],
            "priority": {"set": True, "number": 7},
            "profile": ["TASK"],
            "requeue": True,
            "oom_kill_step": 1,
            "flags": ["SPREAD_JOB", "GRES_BINDING_DISABLED", "EXPEDITED_REQUEUE"],
            "cpus_per_tres": "gres/gpu:2",
            "tres_per_node": "gres/gpu:a100:1,gres/shard:1",
            "tres_freq": "gpu:high",
            "memory_per_tres": "gres/gpu:1024",
            "memory_binding_type": ["MAP", "VERBOSE"],
            "memory_binding": "0,1",
            "required_switches": {"set": True, "number": 1},
            "wait_for_switch": 60,
            "segment_size": {"set": True, "number": 2},
            "distribution": "plane=4",
            "time_limit": {"set": True, "infinite": True, "number": 0},
            "temporary_disk_per_node": 1,
        }.items()
    )


def test_components_are_jobs_of_one_body_and_share_what_is_the_whole_jobs():
    asked = spec(name="pair", partition="a", args=("x",), resources=Resources(nodes=1),
        het=(Component(Resources(ntasks=3), partition="b"),))  # fmt: skip
    body = job_body(launch(asked))
    assert set(body) == {"script", "jobs"}
    assert [(job["name"], job["partition"], job.get("tasks"), "argv" in job) for job in body["jobs"]] == [
        ("pair", "a", None, True),
        ("pair", "b", 3, False),
    ]
    assert [job["comment"] for job in body["jobs"]] == ["hpcjobs:" + "a" * 32] * 2


def test_the_parts_of_a_composite_option_arrive_as_pyslurm_names_them():
    asked = spec(
        begin="uts1800000000", delay_boot_s=90, signal="B:10@120", mail_type="END", no_kill=True, nice=5,
        resources=Resources(
            cpus_per_gpu=2, gpus="2", gres="shard:1,gres/gpu:h100", mem_per_gpu_bytes=2**30, wall_s=0,
            gpu_bind="closest", gres_flags="enforce-binding,one-task-per-sharing",
            distribution="plane=4", cpu_freq="low-high:ondemand",
            overcommit=True, exclusive="mcs", tmp_bytes=1,
        ),
    )  # fmt: skip
    words = description(launch(asked))
    assert (
        words.items()
        >= {
            "begin_time": 1800000000,
            "delay_boot_time": "0-00:01:30",
            "signal": {"signal": 10, "time": 120, "batch_only": True, "allow_reservation_overlap": False},
            "mail_types": ["END"],
            "kill_on_node_fail": False,
            "nice": 5,
            "cpus_per_gpu": 2,
            "gres_per_node": {"shard": 1, "gpu:h100": 1},
            "memory_per_gpu": "1024M",
            "time_limit": "UNLIMITED",
            "gpu_binding": "gres/gpu:closest",
            "gres_binding": "enforce-binding",
            "gres_tasks_per_sharing": "one-task-per-sharing",
            "distribution": 4,
            "cpu_frequency": {"min": "low", "max": "high", "governor": "ondemand"},
            "overcommit": True,
            "min_cpus_per_node": 1,
            "resource_sharing": "mcs",
            "temporary_disk_per_node": "1M",
            "nodes": f"{NO_VAL}-{NO_VAL}",
        }.items()
    )


def test_a_binding_passes_through_what_pyslurm_does_to_other_texts():
    binding = Verbatim("gres/gpu:verbose,single:1")
    assert binding.replace("verbose,", "").replace("gpu:", "") == "gres/gpu:verbose,single:1"
    assert "verbose" not in binding


def test_nodes_that_are_named_are_counted_by_slurm():
    words = description(launch(spec(resources=Resources(nodelist="n[1-2]"))))
    assert "min_cpus_per_node" not in words
    assert words["nodes"] == f"{NO_VAL}-{NO_VAL}"
