"""sbatch is the judge: the same script through sbatch and through us makes the same job record, field by field."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from hpcjobs.admission import admit
from hpcjobs.errors import HpcjobsError
from hpcjobs.model.spec import JobSpec
from hpcjobs.sbatch.effective import with_absolute_times
from hpcjobs.slurm.base import Launch
from hpcjobs.slurm.slurmrestd import SlurmrestdBackend
from hpcjobs.submission import launch_of
from tests.slurm.conftest import Stack

# What differs between any two jobs, or says how a job came: the submitting program, its line, its host, our mark.
ITS_OWN = {
    "job_id", "comment", "command", "submit_line", "allocating_node", "alloc_sid", "submit_time", "eligible_time",
    "accrue_time", "last_sched_evaluation", "start_time", "end_time", "priority", "priority_by_partition",
    "standard_output", "standard_error", "stdout_expanded", "stderr_expanded", "sluid", "environment_hash",
    "script_hash", "step_id", "licenses_allocated", "submit_host", "array_job_id", "het_job_id", "het_job_id_set",
}  # fmt: skip

CASES = [
    "",
    "--acctg-freq=task=5",
    "--array=0-3,7%2",
    "--batch=TYPE --constraint=TYPE",
    "--begin=tomorrow",
    "--begin=2030-12-24T18:00:30",
    "--cluster-constraint=x",
    "--container=/tmp --container-id=one",
    "--contiguous",
    "--cores-per-socket=2",
    "--cpu-freq=low-high:performance",
    "--cpu-freq=high",
    "--cpus-per-gpu=2 --gpus=2",
    "--deadline=2030-12-24",
    "--delay-boot=1:30",
    "--distribution=cyclic:block,pack",
    "--distribution=block:cyclic:fcyclic",
    "--distribution=plane=4 --nodes=2 --ntasks=8",
    "--exclusive=user",
    "--exclusive=topo",
    "--export=ALL,A=1",
    "--extra=foo",
    "--extra-node-info=2",
    "--extra-node-info=2:4:1 --ntasks=3",
    "--gpu-bind=single:2 --gpus=1",
    "--gpu-freq=medium --gpus=1",
    "--gpus-per-socket=1 --sockets-per-node=2",
    "--gres=gpu:TYPE:1",
    "--gres-flags=disable-binding",
    "--hint=nomultithread",
    "--hint=multithread",
    "--hint=memory_bound",
    "--kill-on-invalid-dep=yes",
    "--kill-on-invalid-dep=no",
    "--mail-type=BEGIN,TIME_LIMIT_80 --mail-user=bob",
    "--mail-type=ALL",
    "--mcs-label=foo",
    "--mem-bind=verbose,local",
    "--mem-per-gpu=1500K --gpus=2",
    "--mincpus=3",
    "--network=foo",
    "--nice=50",
    "--no-kill",
    "--nodelist=NODE[1-2]",
    "--nodes=1,3",
    "--nodes=4 --ntasks=2",
    "--ntasks=4 --ntasks-per-node=2",
    "--ntasks-per-core=1",
    "--ntasks-per-gpu=2 --gpus=2",
    "--ntasks-per-socket=2",
    "--oom-kill-step",
    "--open-mode=append",
    "--overcommit --ntasks=5",
    "--oversubscribe",
    "--prefer=TYPE",
    "--profile=energy,network",
    "--propagate=NONE",
    "--segment=2 --nodes=2",
    "--signal=B:USR1@60",
    "--sockets-per-node=2",
    "--spread-job",
    "--spread-segments --segment=1 --nodes=2",
    "--stepmgr",
    "--switches=1@2",
    "--threads-per-core=1",
    "--time=10 --time-min=5",
    "--tmp=1500K",
    "--tres-bind=gres/gpu:closest --gpus=1",
    "--tres-per-task=cpu=2,gres/gpu=1 --ntasks=2",
    "--use-min-nodes",
    "--wait-all-nodes=1",
    "--wckey=foo",
    "--container-type=foo",
    "--mem-update=10@5",
    "--ntasks=1 --mem=1G : --nodes=2 --gpus-per-node=1 : --ntasks=3 --mem=2G",
    "--nodes=2",
    "--nodes=1-2 --ntasks=3",
    "--ntasks=5",
    "--ntasks-per-node=4 --nodes=2",
    "--cpus-per-task=6",
    "--nodes=2 --ntasks-per-node=4 --cpus-per-task=2",
    "--gpus=2",
    "--gpus=12",
    "--gpus-per-node=a100:4 --nodes=2",
    "--gres=gpu:3",
    "--gpus-per-task=1 --ntasks=4",
    "--mem=2G",
    "--mem-per-cpu=512",
    "--time=1-02:03:04",
    "--time=90",
    "--partition=debug --time=10",
    "--partition=gpu,debug --time=10",
    "--account=vision --qos=normal",
    "--constraint=a100",
    "--exclusive",
    "--no-requeue",
    "--requeue",
    "--job-name='two words'",
    "--chdir=/scratch --output=x-%j.txt --error=y-%j.txt",
    "--input=/etc/hostname",
    "--exclude=NODE1",
    "--nodelist=NODE1",
    "--dependency=singleton",
]

# What pyslurm 25.11 has no word for: TRES per task other than GPUs, and how it spells those of GPUs (docs/adr/0005).
PYSLURM_LACKS = {
    "--cpus-per-task=6": {"flags", "tres_per_task"},
    "--nodes=2 --ntasks-per-node=4 --cpus-per-task=2": {"flags", "tres_per_task"},
    "--gpus-per-task=1 --ntasks=4": {"tres_per_task"},
}
# Which of two jobs of one name waits depends on when slurmctld looked.
KNOWN_APART = {"--dependency=singleton": {"dependency", "Dependency"}}
UNTOLD_BY_PYSLURM = {"OOMKillStep"}
IN_WORDS_ITS_OWN = {"JobId", "SLUID", "SubmitTime", "EligibleTime", "AccrueTime", "StartTime", "EndTime",
    "StdErr", "StdOut", "Comment", "Command", "AllocNode:Sid", "LastSchedEval", "Time", "Priority", "BatchScript",
    "ArrayJobId", "HetJobId", "HetJobIdSet", "TresPerTask", "Reason"}  # fmt: skip
OF_THE_CALLER = ("SLURM_RLIMIT", "SLURM_SUBMIT", "SLURM_CONF", "SLURM_SERIES", "SLURM_UMASK", "SLURM_GET_USER_ENV")


class Seen(NamedTuple):
    """What slurmctld holds of a job: its record and words for each component, the variables of the first."""

    records: list[dict[str, Any]]
    words: list[dict[str, str]]
    variables: dict[str, str]


def seen(stack: Stack, numbers: list[str]) -> dict[str, Seen]:
    """One look at many jobs."""
    look = "".join(
        f'echo "@@{number}"; scontrol show job {number} --json; echo "@-"; scontrol show job {number}; echo "@-"; '
        f'tr "\\0" "\\n" < hash.{int(number) % 10}/job.{number}/environment | tail -c +5\n'
        for number in numbers
    )
    found = {}
    for part in stack.run("slurmctld", f"cd /var/lib/slurm/slurmctld\n{look}").split("@@")[1:]:
        number, _, rest = part.partition("\n")
        told, words, variables = rest.split("@-")
        words = re.sub(r"\n +SubmitLine=.*", "", words)
        records = [without_its_own(job) for job in json.loads(told)["jobs"]]
        pairs = [dict(word.split("=", 1) for word in each.split() if "=" in word) for each in words.split("JobId=")[1:]]
        shown = [{key: value for key, value in each.items() if key not in IN_WORDS_ITS_OWN} for each in pairs]
        own = dict(line.split("=", 1) for line in variables.splitlines() if line.startswith("SLURM_"))
        found[number] = Seen(records, shown, {k: v for k, v in own.items() if not k.startswith(OF_THE_CALLER)})
    return found


def without_its_own(job: dict[str, Any]) -> dict[str, Any]:
    job["flags"] = sorted(set(job["flags"]) - {"DEPENDENT"})  # until slurmctld has looked at it once
    return {name: value for name, value in job.items() if name not in ITS_OWN}


def record(stack: Stack, number: int | str) -> dict[str, Any]:
    (job,) = json.loads(stack.said("slurmctld", f"scontrol show job {number} --json"))["jobs"]
    return without_its_own(job)


def script_of(stack: Stack, options: str, name: str) -> str:
    node, kind = ("c", "a100") if stack.cluster == "slurm2605" else ("o", "a100")
    parts = options.replace("NODE1", f"{node}1").replace("NODE", node).replace("TYPE", kind).split(" : ")
    named = "" if "--job-name" in options else f"#SBATCH --job-name={name}\n"
    lines = "#SBATCH hetjob\n".join(f"#SBATCH {part}\n" if part else "" for part in parts)
    return f"#!/bin/bash\n{named}#SBATCH --hold\n{lines}sleep 1\n"


def both(stack: Stack, submit: Callable[[str, str], str]) -> dict[str, tuple[str, str, Seen | None, Seen | None]]:
    """Every case through sbatch and through us: both answers, and what slurmctld holds of both jobs."""
    run = f"same{uuid.uuid4().hex[:8]}"
    scripts = {f"{run}-{index}": script_of(stack, options, f"{run}-{index}") for index, options in enumerate(CASES)}
    typed = "cd ~\n" + "".join(
        f"cat > /tmp/{name}.sh <<'SCRIPT'\n{script}SCRIPT\n"
        f'echo "@{name} $(sbatch --parsable /tmp/{name}.sh 2>&1 | tail -n 1)"\n'
        for name, script in scripts.items()
    )
    theirs = dict(line[1:].split(" ", 1) for line in stack.as_user("alice", typed).splitlines() if line[:1] == "@")
    ours = {name: submit(script, f"{name}.sh") for name, script in scripts.items()}
    try:
        jobs = seen(stack, [number for number in (*theirs.values(), *ours.values()) if number.isdigit()])
    finally:
        stack.run("slurmctld", "scancel --user=alice --state=pending; true")
    return {
        options: (theirs[name], ours[name], jobs.get(theirs[name]), jobs.get(ours[name]))
        for options, name in zip(CASES, scripts, strict=True)
    }


def through_the_service(stack: Stack) -> Callable[[str, str], str]:
    def submit(script: str, script_name: str) -> str:
        with stack.api() as api:
            answer = api.post("/v1/jobs", json={"script": script, "script_name": script_name})
        told = answer.json()
        return str(told["slurm_job_id"]) if answer.status_code == 201 else f"{answer.status_code} {told['detail']}"

    return submit


def through_slurmrestd(stack: Stack, key: Path) -> Callable[[str, str], str]:
    ports = stack.container("slurmrestd").attrs["NetworkSettings"]["Ports"]["6820/tcp"]
    key.write_bytes(base64.b64decode(stack.said("slurmctld", "base64 /secrets/jwt/jwt_hs256.key")))

    async def send(launch: Launch) -> int:
        backend = SlurmrestdBackend(stack.cluster, f"http://127.0.0.1:{ports[0]['HostPort']}", key, "hpcjobs")
        try:
            return await backend.submit("alice", launch)
        finally:
            await backend.close()

    def submit(script: str, script_name: str) -> str:
        spec = with_absolute_times(admit(JobSpec(script, script_name=script_name)), time.time())
        try:
            return str(asyncio.run(send(launch_of(spec, uuid.uuid4().hex, "alice", "/home/{user}"))))
        except HpcjobsError as error:
            return f"{type(error).__name__} {error.detail}"

    return submit


ALL: dict[str, dict[str, tuple[str, str, Seen | None, Seen | None]]] = {}


def apart(options: str, ours: Seen, theirs: Seen) -> dict[str, tuple[Any, Any]]:
    assert len(ours.records) == len(theirs.records)
    told = differences(ours.variables, theirs.variables)
    for mine, its in zip((*ours.records, *ours.words), (*theirs.records, *theirs.words), strict=True):
        told |= differences(mine, its)
    known = KNOWN_APART.get(options, set())
    return {field: pair for field, pair in told.items() if field not in known}


PYSLURM_REFUSES = ("--cpu-freq=high", "--distribution=cyclic", "--exclusive=topo", "--gpu-freq", "--mail-type=ALL",
    "--kill-on-invalid-dep=no", "--mem-bind", "--mincpus", "--nodes=1,3", "--ntasks-per-gpu", "--oom-kill-step",
    "--prefer", "--spread-segments", "--stepmgr", "--switches", "--tres-per-task", "--container-type", "--mem-update",
    "--ntasks=1 --mem")  # fmt: skip
SLURMRESTD_42_REFUSES = ("--cores-per-socket", "--extra-node-info=2:4", "--hint=memory", "--spread-segments",
    "--container-type", "--mem-update")  # fmt: skip


@pytest.mark.parametrize("options", CASES)
def test_a_script_makes_the_job_that_sbatch_makes(stack: Stack, options: str) -> None:
    if stack.cluster not in ALL:
        ALL[stack.cluster] = both(stack, through_the_service(stack))
    sbatch, answer, theirs, ours = ALL[stack.cluster][options]
    if answer.startswith("501 "):  # and not the job of that number
        refused = PYSLURM_REFUSES if stack.backend == "pyslurm" else SLURMRESTD_42_REFUSES
        assert options.startswith(refused), answer
        return
    if theirs is None:  # an option that came after this series: refused by both, in sbatch's words
        assert ours is None, answer
        assert "unrecognized option" in answer
        return
    assert ours is not None, f"sbatch: {sbatch}; ours: {answer}"
    told = apart(options, ours, theirs)
    if stack.backend == "pyslurm":
        known = PYSLURM_LACKS.get(options, set())
        assert known <= set(told), "pyslurm has learnt it: take it out of the table"
        told = {field: pair for field, pair in told.items() if field not in known | UNTOLD_BY_PYSLURM}
    assert not told, "".join(f"\n{field}: ours {mine!r}, sbatch's {its!r}" for field, (mine, its) in told.items())


@pytest.mark.parametrize("options", CASES)
def test_slurmrestd_of_26_05_makes_the_job_that_sbatch_makes(
    new: Stack, options: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    if "slurmrestd" not in ALL:
        ALL["slurmrestd"] = both(new, through_slurmrestd(new, tmp_path_factory.mktemp("key") / "jwt.key"))
    sbatch, answer, theirs, ours = ALL["slurmrestd"][options]
    assert None not in (ours, theirs), f"sbatch: {sbatch}; ours: {answer}"
    told = apart(options, ours, theirs)
    assert not told, "".join(f"\n{field}: ours {mine!r}, sbatch's {its!r}" for field, (mine, its) in told.items())


def differences(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {
        name: (ours.get(name), theirs.get(name))
        for name in sorted(set(ours) | set(theirs))
        if ours.get(name) != theirs.get(name)
    }


WITH_VARIABLES = [
    "",
    "--nodes=2",
    "--nodes=1-2 --ntasks=3",
    "--ntasks-per-node=4 --nodes=2",
    "--nodes=2 --ntasks-per-node=2 --cpus-per-task=2 --gpus-per-node=a100:1 --mem=1G",
    "--gpus=2",
    "--gpus-per-task=1 --ntasks=2",
    "--mem-per-cpu=512 --ntasks=2",
    "--exclusive --chdir=/scratch",
]
LOGIN_SHELLS = {"SLURM_GET_USER_ENV"}  # how the job gets the login environment that sbatch's caller has anyway
ANY_TWO_JOBS = {"SLURM_JOB_ID", "SLURM_JOBID", "SLURM_JOB_SLUID", "SLURM_TASK_PID", "SLURM_SUBMIT_HOST",
    "SLURM_JOB_START_TIME", "SLURM_JOB_END_TIME"}  # fmt: skip


def variables(text: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in text.splitlines() if line.startswith("SLURM_"))
    return {name: value for name, _, value in pairs if name not in ANY_TWO_JOBS | LOGIN_SHELLS}


@pytest.mark.parametrize("options", WITH_VARIABLES)
def test_a_job_finds_the_slurm_variables_that_sbatch_gives_it(stack: Stack, name: str, options: str) -> None:
    typed = options if stack.cluster == "slurm2605" else options.replace("a100:1", "1")  # o1 and o2 are of two types
    script = f"#!/bin/bash\n#SBATCH {typed}\n#SBATCH --job-name={name} --constraint='a100|h100' --time=5\nenv\n"
    path = f"/scratch/{name}.sh"
    stack.as_user("alice", f"cat > {path} <<'SCRIPT'\n{script}SCRIPT")
    native = stack.as_user("alice", f"cd ~ && sbatch --parsable --output=/scratch/{name}.txt {path}").strip()
    job = stack.submit(script)
    assert stack.finished(job["id"])["fate"] == "COMPLETED"
    ours = variables(stack.output(job["id"]))
    assert stack.finished(native)["fate"] == "COMPLETED"
    theirs = variables(stack.output(native))
    where = {"SLURM_JOB_NODELIST", "SLURM_NODELIST", "SLURMD_NODENAME", "SLURM_TOPOLOGY_ADDR", "SLURM_JOB_GPUS"}
    if stack.backend == "pyslurm" and "--gpus-per-task" in options:
        assert ours.pop("SLURM_TRES_PER_TASK").replace(":", "=") == theirs.pop("SLURM_TRES_PER_TASK")
    assert {key: value for key, value in ours.items() if key not in where} == {
        key: value for key, value in theirs.items() if key not in where
    }


def test_all_the_memory_of_a_node_is_asked_for_though_pyslurm_has_no_word_for_it(stack: Stack) -> None:
    number = stack.submit("#!/bin/bash\n#SBATCH --mem=0\n", hold=True)["slurm_job_id"]
    assert record(stack, number)["memory_per_node"] == {"set": True, "infinite": False, "number": 0}
