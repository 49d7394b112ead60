"""One diagnosis of all that is known: what beats what, what is a symptom of what, and whose fault it is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpcjobs.model.failure import Activity, Diagnosis, Evidence, FailureClass, LogTail, Sureness, Suspect
from hpcjobs.model.job import Fate
from hpcjobs.recovery.classify import MOST_FINDINGS, diagnose
from hpcjobs.recovery.pattern import knowledge

NOON = 1_796_040_000.0  # 2026-11-30T12:00:00 UTC


def told(*logs: LogTail | str, **known: Any) -> Diagnosis:
    tails = tuple(log if isinstance(log, LogTail) else LogTail("stderr", log) for log in logs)
    found = diagnose(Evidence(logs=tails, **({"fate": Fate.FAILED, "now": NOON} | known)))
    assert found is not None
    return found


WATCHDOG = (
    "[rank{rank}]:[E1130 11:{minute:02}:00.123 ProcessGroupNCCL.cpp:616] [Rank {rank}] Watchdog caught collective"
    " operation timeout: WorkNCCL(SeqNum=88, OpType=ALLREDUCE, Timeout(ms)=600000) ran for 600021 milliseconds"
)
TRACEBACK = """Traceback (most recent call last):
  File "train.py", line 9, in <module>
    main()
  File "train.py", line 5, in main
    raise ValueError("the batch is empty")
ValueError: the batch is empty
"""


# Slurm's word.


@pytest.mark.parametrize(
    ("fate", "failure"),
    [
        (Fate.NODE_FAIL, FailureClass.NODE),
        (Fate.OUT_OF_MEMORY, FailureClass.HOST_OOM),
        (Fate.TIMEOUT, FailureClass.TIME_LIMIT),
        (Fate.DEADLINE, FailureClass.TIME_LIMIT),
        (Fate.PREEMPTED, FailureClass.PREEMPTED),
        (Fate.CANCELLED, FailureClass.CANCELLED),
        (Fate.BOOT_FAIL, FailureClass.LAUNCH),
        (Fate.REFUSED, FailureClass.CONFIGURATION),
    ],
)
def test_what_slurm_is_sure_of_beats_every_log(fate: Fate, failure: FailureClass) -> None:
    found = told(TRACEBACK, fate=fate, exit_code=1)
    assert (found.failure, found.sure) == (failure, Sureness.STRONG)
    assert found.findings[0].pattern == f"state-{fate.value}"


def test_a_raw_state_says_what_no_fate_says() -> None:
    assert told(fate=None, raw_state="REQUEUED,NODE_FAIL").failure is FailureClass.NODE
    assert told(fate=None, raw_state="PREEMPTED,REQUEUED").failure is FailureClass.PREEMPTED


def test_a_node_that_slurm_knows_to_have_failed_beats_everything_but_what_was_done_on_purpose() -> None:
    known: dict[str, Any] = {"nodes": ("c1", "c2"), "failed_nodes": {"c2": NOON - 60}}
    found = told(TRACEBACK, WATCHDOG.format(rank=3, minute=50), **known)
    assert (found.failure, found.sure) == (FailureClass.NODE, Sureness.STRONG)
    assert found.suspects == (Suspect("c2"),)
    for fate in (Fate.CANCELLED, Fate.PREEMPTED):
        purpose = told(fate=fate, **known)
        assert purpose.failure.value == fate.value.lower()
        assert purpose.suspects == (Suspect("c2"),), "it is bad, whatever ended the job"


def test_a_node_that_failed_elsewhere_is_not_this_jobs() -> None:
    found = told(TRACEBACK, nodes=("c1",), failed_nodes={"c9": NOON - 60})
    assert (found.failure, found.suspects) == (FailureClass.USER, ())


def test_logs_know_better_than_a_launch_that_failed() -> None:
    log = "slurmstepd: error: pyxis: failed to import docker image"
    assert told(log, reason="JobLaunchFailure").failure is FailureClass.CONTAINER
    assert told("nothing", reason="JobLaunchFailure").failure is FailureClass.LAUNCH
    assert told(reason="user env retrieval failed requeued held").failure is FailureClass.LAUNCH


def test_a_job_that_completed_or_does_something_has_not_failed() -> None:
    assert diagnose(Evidence(fate=Fate.COMPLETED, logs=(LogTail("stderr", TRACEBACK),), exit_code=0)) is None
    assert diagnose(Evidence(raw_state="RUNNING", logs=(LogTail("stderr", TRACEBACK),), now=NOON)) is None
    assert diagnose(Evidence()) is None


# Exit codes.


@pytest.mark.parametrize(
    ("known", "failure"),
    [
        ({"exit_code": 127}, FailureClass.CONFIGURATION),
        ({"exit_code": 126}, FailureClass.CONFIGURATION),
        ({"exit_code": 134}, FailureClass.USER),
        ({"exit_code": 139}, FailureClass.USER),
        ({"exit_code": 137}, FailureClass.UNKNOWN),
        ({"exit_code": 143}, FailureClass.UNKNOWN),
        ({"exit_code": 255}, FailureClass.UNKNOWN),
        ({"exit_code": 0, "exit_signal": 9}, FailureClass.UNKNOWN),
        ({"exit_code": 0, "exit_signal": 15}, FailureClass.UNKNOWN),
        ({"exit_code": 0, "exit_signal": 11}, FailureClass.USER),
        ({"exit_code": 0, "exit_signal": 53}, FailureClass.CONFIGURATION),
        ({"exit_code": 0, "exit_signal": 125}, FailureClass.HOST_OOM),
        ({"exit_code": 1, "derived_exit_code": 139}, FailureClass.USER),
        ({"exit_code": 1}, FailureClass.UNKNOWN),
    ],
)
def test_an_exit_code_speaks_where_nothing_else_does(known: dict[str, int], failure: FailureClass) -> None:
    assert told("all went well so far", **known).failure is failure
    assert told(TRACEBACK, **known).failure is FailureClass.USER
    assert not told(**known).do_not_requeue


def test_who_killed_a_program_is_not_known_until_slurm_says_that_it_was_memory() -> None:
    killed = "/var/spool/slurmd/job00017/slurm_script: line 9: 4242 Killed                  ./solver"
    assert told(killed, exit_code=137).failure is FailureClass.UNKNOWN
    assert told(killed, exit_code=137, fate=Fate.OUT_OF_MEMORY).failure is FailureClass.HOST_OOM


def test_a_reason_for_which_it_waits_again_is_no_verdict_on_its_last_run() -> None:
    assert told(TRACEBACK, reason="Prolog").failure is FailureClass.USER
    assert told(TRACEBACK, reason="BeginTime").failure is FailureClass.USER


@pytest.mark.parametrize(
    "exception",
    [
        "requests.exceptions.HTTPError: 503 Server Error: Service Unavailable for url: https://hub.example.org/model",
        "botocore.exceptions.EndpointConnectionError: Could not connect to the endpoint URL",
        "TimeoutError",
    ],
)
def test_what_others_did_not_answer_is_not_the_programs_fault(exception: str) -> None:
    assert told(TRACEBACK.replace("ValueError: the batch is empty", exception)).failure is FailureClass.UNKNOWN


def test_exit_code_93_asks_not_to_be_run_again_whatever_it_was() -> None:
    assert told(exit_code=93).do_not_requeue
    assert told(exit_code=1, derived_exit_code=93).do_not_requeue
    found = told("OSError: [Errno 28] No space left on device", exit_code=93)
    assert found.do_not_requeue
    assert found.failure is FailureClass.STORAGE


def test_exit_code_75_says_that_it_has_saved_and_beats_what_its_ranks_cried_in_the_end() -> None:
    found = told(f"{TRACEBACK}{WATCHDOG.format(rank=3, minute=30)}", exit_code=75)
    assert (found.failure, found.requeue) == (FailureClass.TIME_LIMIT, True)
    assert told(exit_code=75, derived_exit_code=93).requeue is False
    assert told(fate=Fate.NODE_FAIL, exit_code=75).failure is FailureClass.NODE


# Roots and symptoms.


def test_a_timeout_of_a_collective_is_a_symptom_of_the_exception_of_another_rank() -> None:
    early = LogTail("rank 5", f"2026-11-30 11:20:00,000 step 12\n{TRACEBACK}", rank=5)
    late = [LogTail(f"rank {rank}", WATCHDOG.format(rank=rank, minute=30), rank=rank) for rank in range(4)]
    found = told(*late, early)
    assert (found.failure, found.sure) == (FailureClass.USER, Sureness.STRONG)
    root, *others = found.findings
    assert (root.source, root.rank, root.text) == ("rank 5", 5, "ValueError: the batch is empty")
    assert {one.symptom_of for one in others} == {FailureClass.USER}
    assert "fabric followed from it" in found.sentence


def waiting(rank: int, begun: int, group: str = "PG ID 0 PG GUID 0(default_pg)") -> LogTail:
    told = (
        f"{WATCHDOG.format(rank=rank, minute=30)}\n"
        f"[rank{rank}]:[E1130 11:30:00.2 ProcessGroupNCCL.cpp:1785] [{group} Rank {rank}] Exception (either an error or"
        f" timeout) detected by watchdog at work: 88, last enqueued NCCL work: {begun}, last completed NCCL work: 87."
    )
    return LogTail(f"rank {rank}", told, node=f"c{rank // 2}", rank=rank)


def test_of_ranks_that_waited_the_one_that_had_begun_less_is_the_one_they_waited_for() -> None:
    found = told(*(waiting(rank, 89 if rank == 5 else 90) for rank in range(8)), nodes=("c0", "c1", "c2", "c3"))
    assert (found.failure, found.sure) == (FailureClass.FABRIC, Sureness.WEAK)
    assert found.findings[0].text == "rank 5 had begun 89 collectives, the others 90: they waited for it"
    assert found.suspects == (Suspect("c2"),)


@pytest.mark.parametrize(
    "logs",
    [
        [waiting(rank, 90) for rank in range(4)],
        [waiting(rank, 90 - rank % 2) for rank in range(4)],
        [waiting(rank, 90 - rank, group=f"PG {rank}") for rank in range(4)],
    ],
    ids=["all the same", "half of them", "groups of their own"],
)
def test_where_nobody_stands_out_nobody_is_suspected(logs: list[LogTail]) -> None:
    found = told(*logs)
    assert found.findings[0].pattern == "nccl-watchdog"
    assert found.suspects == ()


@pytest.mark.parametrize(
    "exception",
    [
        "torch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:3356, unhandled system error",
        "RuntimeError: NCCL communicator was aborted on rank 3.",
        "ConnectionResetError: [Errno 104] Connection reset by peer",
    ],
)
def test_an_exception_about_others_is_a_symptom_and_the_exception_of_another_rank_its_root(exception: str) -> None:
    other = LogTail("rank 3", TRACEBACK.replace("ValueError: the batch is empty", exception), rank=3)
    assert told(other).failure is FailureClass.FABRIC
    assert told(other, LogTail("rank 5", TRACEBACK, rank=5)).failure is FailureClass.USER


def test_a_timeout_without_a_root_is_of_the_fabric_and_not_sure() -> None:
    found = told(WATCHDOG.format(rank=3, minute=30))
    assert (found.failure, found.sure) == (FailureClass.FABRIC, Sureness.WEAK)
    assert found.findings[0].symptom_of is None
    assert found.suspects == ()


def test_an_xid_before_a_traceback_is_its_root_and_names_node_and_device() -> None:
    kernel = "Nov 30 11:29:58 c2 kernel: NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus."
    program = f"2026-11-30T11:30:01 step 12\n{TRACEBACK}"
    found = told(program, LogTail("kernel log of c2", kernel, node="c2"), nodes=("c1", "c2"))
    assert (found.failure, found.sure) == (FailureClass.DEVICE, Sureness.STRONG)
    assert Suspect("c2", "0000:3b:00") in found.suspects


def test_an_xid_of_the_application_suspects_no_device() -> None:
    kernel = "Nov 30 11:29:58 c2 kernel: NVRM: Xid (PCI:0000:3b:00): 31, pid=4242, name=python, MMU Fault"
    found = told(LogTail("kernel log of c2", kernel, node="c2"))
    assert (found.failure, found.sure, found.suspects) == (FailureClass.USER, Sureness.WEAK, ())


def test_an_earlier_root_is_the_root_whatever_log_it_is_in() -> None:
    full = "2026-11-30T11:{}:00 OSError: [Errno 28] No space left on device"
    fault = "2026-11-30T11:20:00 RuntimeError: CUDA error: device-side assert triggered"
    assert told(fault, LogTail("stdout", full.format("10"))).failure is FailureClass.STORAGE
    assert told(fault, LogTail("stdout", full.format("30"))).failure is FailureClass.USER


def test_what_was_said_an_hour_before_the_end_was_survived() -> None:
    log = "2026-11-30T09:00:00 Input/output error\n2026-11-30T11:30:00 RecursionError: maximum recursion depth exceeded"
    assert told(log).failure is FailureClass.USER
    assert told(log.replace("T09", "T11")).failure is FailureClass.STORAGE


def test_within_a_log_without_times_the_earlier_line_is_the_root() -> None:
    lines = ["Stale file handle", "RecursionError: maximum recursion depth exceeded"]
    assert told("\n".join(lines)).failure is FailureClass.STORAGE
    assert told("\n".join(reversed(lines))).failure is FailureClass.USER


def test_a_strong_root_beats_an_earlier_weak_one() -> None:
    assert told("loss: nan\nRecursionError: too deep").failure is FailureClass.USER


@pytest.mark.parametrize(
    "warning",
    [
        "2026-11-30 11:00:00,000 WARNING apex is not there, FusedAdam falls back: No space left on device",
        "/opt/lib/fused.py:12: UserWarning: cannot build the kernel: No space left on device",
        "[W1130 11:00:00.1 socket.cpp:697] No space left on device",
    ],
)
def test_what_its_writer_thought_no_error_is_no_root_where_there_is_another(warning: str) -> None:
    assert told(f"{warning}\n{TRACEBACK}").failure is FailureClass.USER
    alone = told(warning)
    assert (alone.failure, alone.sure) == (FailureClass.STORAGE, Sureness.WEAK)


def test_an_exception_that_was_caught_and_told_of_is_none() -> None:
    assert told("no apex (ImportError: no module apex)\nStale file handle").failure is FailureClass.STORAGE
    assert told("[rank3]: ImportError: no module named apex").failure is FailureClass.CONFIGURATION


def test_a_weak_line_that_the_exit_code_bears_out_is_strong() -> None:
    line = "/var/spool/slurmd/job00017/slurm_script: line 9: torchrum: command not found"
    assert told(line, exit_code=127).sure is Sureness.STRONG
    assert told(line, exit_code=1).sure is Sureness.WEAK


def test_roots_of_two_logs_that_nothing_puts_in_order_are_not_sure() -> None:
    found = told("RecursionError: too deep", LogTail("stdout", "Stale file handle"))
    assert (found.failure, found.sure) == (FailureClass.STORAGE, Sureness.WEAK)


def test_slurm_tells_of_memory_at_the_end_and_it_is_the_root_all_the_same() -> None:
    found = told(f"{TRACEBACK}slurmstepd: error: Detected 1 oom_kill event in StepId=17.0.")
    assert (found.failure, found.sure) == (FailureClass.HOST_OOM, Sureness.STRONG)


def test_a_step_that_was_cancelled_since_a_task_failed_is_not_cancelled() -> None:
    log = (
        "./solver: error while loading shared libraries: libmkl_core.so.2: cannot open shared object file\n"
        "slurmstepd: error: *** STEP 17.0 ON c1 CANCELLED AT 2026-11-30T11:30:00 ***\n"
        "srun: error: c1: task 0: Exited with exit code 127"
    )
    assert told(log, exit_code=127).failure is FailureClass.CONFIGURATION


ELASTIC = """torch.distributed.elastic.multiprocessing.errors.ChildFailedError:
============================================================
train.py FAILED
------------------------------------------------------------
Failures:
[1]:
  time      : 2026-11-30_11:30:07
  host      : c1.cluster
  rank      : 1 (local_rank: 1)
  exitcode  : 1 (pid: 4242)
  error_file: <N/A>
------------------------------------------------------------
Root Cause (first observed failure):
[0]:
  time      : 2026-11-30_11:30:02
  host      : c2.cluster
  rank      : 6 (local_rank: 2)
  exitcode  : {code} (pid: 4243)
  error_file: <N/A>
============================================================
"""


def test_of_several_ranks_the_one_that_failed_first_has_the_root() -> None:
    logs = [
        LogTail("rank 1", "RuntimeError: CUDA error: device-side assert triggered", rank=1),
        LogTail("rank 6", "OSError: [Errno 116] Stale file handle", rank=6),
    ]
    assert told(*logs, ELASTIC.format(code=1)).findings[0].source == "rank 6"
    swapped = (
        ELASTIC.format(code=1).replace("rank      : 6", "rank      : 9").replace("rank      : 1 ", "rank      : 6 ")
    )
    first_is_9 = told(*logs, swapped.replace("rank      : 9", "rank      : 1"))
    assert first_is_9.findings[0].source == "rank 1"


def test_the_signal_of_the_rank_that_failed_first_is_what_is_left_to_say() -> None:
    found = told(ELASTIC.format(code=-11))
    assert found.failure is FailureClass.USER
    assert "rank 6 on c2.cluster failed first" in found.findings[0].text


def test_of_a_chain_of_exceptions_the_first_is_the_root_and_ranks_are_kept_apart() -> None:
    chain = (
        f"{TRACEBACK}\nDuring handling of the above exception, another exception occurred:\n\n"
        "Traceback (most recent call last):\n  File \"train.py\", line 7, in main\n    clean()\nKeyError: 'model'\n"
    )
    assert [one.text for one in told(chain).findings] == ["ValueError: the batch is empty"]
    mixed = [f"[rank{rank}]: {line}" for line in TRACEBACK.splitlines() for rank in (0, 1)]
    assert [one.rank for one in told("\n".join(mixed)).findings] == [0, 1]
    labelled = [f"{rank}: {line}" for line in TRACEBACK.splitlines() for rank in (0, 1)]
    assert [one.rank for one in told("\n".join(labelled)).findings] == [0, 1]


def test_what_a_log_says_over_and_over_is_shown_once_and_hides_nothing() -> None:
    closed = "c1:97:211 [0] NCCL WARN socketProgress: Connection closed by remote peer c2<41234>"
    found = told("\n".join([closed] * 50), LogTail("stdout", WATCHDOG.format(rank=3, minute=30)), exit_code=137)
    assert sorted(one.pattern for one in found.findings) == ["exit-137", "nccl-socket", "nccl-watchdog"]


def test_a_node_has_slurms_name_and_no_node_of_others_is_suspected() -> None:
    kernel = "mce: Uncorrected hardware memory error in user-access at 7f2a1c00"
    log = LogTail("kernel log", kernel, node="c2.cluster.org")
    assert told(log, nodes=("c1", "c2")).suspects == (Suspect("c2"),)
    assert told(log, nodes=("c1", "c3")).suspects == ()
    assert told(LogTail("kernel log", kernel), nodes=("c7",)).suspects == (Suspect("c7"),)


# Hangs.


def test_a_job_that_stopped_doing_steps_hangs_though_its_heart_beats() -> None:
    steps = tuple(NOON - 3600 + 10 * number for number in range(60))
    beating = tuple(NOON - 10 * number for number in range(300))
    activity = Activity(steps=steps, heartbeats=beating, outputs=beating)
    found = told(fate=None, raw_state="RUNNING", activity=activity)
    assert found.failure is FailureClass.HANG
    assert told(fate=Fate.TIMEOUT, activity=activity).failure is FailureClass.HANG
    for state in ("SUSPENDED", "PENDING,REQUEUED"):
        assert diagnose(Evidence(raw_state=state, activity=activity, now=NOON)) is None
    busy = Activity(steps=beating)
    assert diagnose(Evidence(raw_state="RUNNING", activity=busy, now=NOON)) is None
    assert told(fate=Fate.TIMEOUT, activity=busy).failure is FailureClass.TIME_LIMIT


def test_a_hang_follows_from_what_logs_say_of_a_device() -> None:
    activity = Activity(steps=tuple(NOON - 3600 + 10 * number for number in range(60)))
    kernel = LogTail("kernel log of c1", "NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.", node="c1")
    found = told(kernel, fate=Fate.TIMEOUT, activity=activity)
    assert found.failure is FailureClass.DEVICE
    assert {one.symptom_of for one in found.findings if one.failure is FailureClass.HANG} == {FailureClass.DEVICE}


# Whatever it is.

LINES = [pattern.example for pattern in knowledge().patterns] + TRACEBACK.splitlines() + ELASTIC.splitlines()
NODES = st.sampled_from(["c1", "c2", "c3"])
EVIDENCE = st.builds(
    Evidence,
    fate=st.none() | st.sampled_from(Fate),
    raw_state=st.sampled_from(["", "RUNNING", "REQUEUED", "FAILED", "PENDING,REQUEUED"]),
    exit_code=st.none() | st.integers(0, 255),
    exit_signal=st.none() | st.integers(0, 127),
    reason=st.sampled_from(["", "None", *knowledge().reasons]),
    nodes=st.lists(NODES, unique=True).map(tuple),
    failed_nodes=st.dictionaries(NODES, st.floats(NOON - 10_000, NOON)),
    logs=st.lists(
        st.builds(
            LogTail,
            source=st.sampled_from(["stderr", "stdout"]),
            text=st.lists(st.sampled_from(LINES) | st.text(max_size=40), max_size=30).map("\n".join),
            node=NODES,
            rank=st.none() | st.integers(0, 3),
        ),
        max_size=3,
    ).map(tuple),
    activity=st.builds(Activity, steps=st.lists(st.floats(NOON - 10_000, NOON), max_size=8).map(tuple)),
    now=st.none() | st.just(NOON),
)


@given(EVIDENCE)
@settings(max_examples=150, deadline=None)
def test_whatever_is_known_the_diagnosis_holds_together(evidence: Evidence) -> None:
    found = diagnose(evidence)
    if found is None:
        assert evidence.fate in (None, Fate.COMPLETED)
        return
    assert evidence.fate is not Fate.COMPLETED
    assert len(found.findings) <= MOST_FINDINGS
    assert not any(one.line and len(one.text) > 30 and one.text in found.sentence for one in found.findings)
    assert found.sentence.startswith(knowledge().classes[found.failure].says)
    if found.findings:
        assert found.findings[0].failure is found.failure or found.failure is FailureClass.UNKNOWN
        assert found.findings[0].symptom_of is None or found.failure is FailureClass.UNKNOWN
    assert found.sure is Sureness.WEAK or found.findings
    for suspect in found.suspects:
        assert not evidence.nodes or suspect.node in (*evidence.nodes, "")
    for one in found.findings:
        assert one.symptom_of is None or (one.symptom and one.symptom_of is found.failure)
    if evidence.fate in (Fate.CANCELLED, Fate.PREEMPTED):
        assert found.failure in (FailureClass.CANCELLED, FailureClass.PREEMPTED)
