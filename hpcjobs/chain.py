"""The runs of a job, put together of what is stored of them: accounting, events, decisions, progress. Pure.

The last run is the job as it is listed. Of those before, accounting is exact and comes within a minute; events are
there at once, and are forgotten after a while; a decision knows when its run ended.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from hpcjobs.injob.naming import step_of
from hpcjobs.model.attempt import Attempt
from hpcjobs.model.event import Event, EventKind
from hpcjobs.model.job import WAITING, Fate, Job, State
from hpcjobs.model.job_runs import JobRun
from hpcjobs.model.order import Verb
from hpcjobs.model.progress import Progress
from hpcjobs.model.recovery import Recovery, Retry
from hpcjobs.model.steering import Requeue
from hpcjobs.model.usage import Run
from hpcjobs.slurm.states import read_state
from hpcjobs.steering.telling import DONE, OTHERS

ON_NODES: Final = frozenset({State.RUNNING, State.SUSPENDED, State.COMPLETING})
REQUEUE: Final = Requeue.__struct_config__.tag


class _Told(msgspec.Struct, kw_only=True):
    """What one source knows of a run; see JobRun."""

    fate: Fate | None = None
    raw_state: str = ""
    began: float | None = None
    ended: float | None = None
    nodes: int = 0
    node_list: str = ""
    exit_code: int | None = None
    exit_signal: int | None = None
    requeued_by: str = ""
    requeued_why: str = ""


def chain(
    job: Job,
    attempts: Sequence[Attempt],
    recoveries: Iterable[Recovery],
    accounted: Iterable[Run],
    events: Iterable[Event],
    progress: Iterable[Progress] = (),
) -> tuple[JobRun, ...]:
    """The runs of a job, oldest first, each once.

    Args:
        job: As it is now.
        attempts: How it came into Slurm.
        recoveries: What was decided of its runs.
        accounted: Its runs as accounting has them; a run that changed its size is several.
        events: What happened to it, oldest first.
        progress: How far its runs came.
    """
    if job.slurm_job_id is None or job.array_size:
        return ()
    decided, came = {one.run: one for one in recoveries}, {one.run: one for one in progress}
    exact, seen = _by_accounting(accounted), _by_events(events)
    attempt = next((one.number for one in attempts if one.id == job.attempt), None)
    found: list[JobRun] = []
    for run in sorted({*range(job.restarts + 1), *decided, *exact, *seen, *came}):
        listed = [_listed(job)] if run == job.restarts else []
        ways = [*listed, exact.get(run, _Told()), seen.get(run, _Told())]
        told = _first(ways)
        over = run < job.restarts or told.ended is not None or (job.final and run == job.restarts)
        if (recovery := decided.get(run)) is not None and over and told.ended is None:
            told.ended = recovery.at
        found.append(
            JobRun(
                run=run,
                attempt=attempt,
                state=job.state if listed else State.FINISHED if over else State.UNKNOWN,
                recovery=recovery,
                decision_s=None if recovery is None else _until_decided(recovery, told.ended),
                progress=came.get(run),
                resumed_step=step_of(came[run].resumed) if run in came else None,
                **msgspec.structs.asdict(told),
            )
        )
    return tuple(_with_restart(one, after) for one, after in zip(found, [*found[1:], None], strict=True))


def without_lines(recovery: Recovery) -> Recovery:
    """What others than a job's owner are told: nobody else reads its logs, so only what came of their lines.

    Args:
        recovery: What was decided.
    """
    told = [one if not one.line else msgspec.structs.replace(one, text="") for one in recovery.diagnosis.findings]
    diagnosis = msgspec.structs.replace(recovery.diagnosis, findings=tuple(told))
    return msgspec.structs.replace(recovery, diagnosis=diagnosis)


def _listed(job: Job) -> _Told:
    if job.state not in ON_NODES and not job.final:
        return _Told(raw_state=job.raw_state)
    return _Told(
        fate=job.fate,
        raw_state=job.raw_state,
        began=(job.start_time or None) if job.node_list else None,
        ended=(job.end_time or None) if job.final else None,
        nodes=job.nodes,
        node_list=job.node_list,
        exit_code=job.exit_code if job.final else None,
        exit_signal=job.exit_signal if job.final else None,
    )


def _by_accounting(accounted: Iterable[Run]) -> dict[int, _Told]:
    pieces: dict[int, list[Run]] = defaultdict(list)
    for one in sorted(accounted, key=lambda one: one.submit_time):
        pieces[one.restarts].append(one)
    return {run: _joined(of) for run, of in pieces.items()}


def _joined(pieces: Sequence[Run]) -> _Told:
    """One run of the pieces that changes of its size made of it."""
    last = pieces[-1]
    ran = [one for one in pieces if one.start_time]
    return _Told(
        fate=read_state(last.raw_state)[1],
        raw_state=last.raw_state,
        began=ran[0].start_time if ran else None,
        ended=last.end_time or None,
        nodes=ran[0].nodes if ran else 0,
        node_list=ran[0].node_list if ran else "",
        exit_code=last.exit_code if ran and last.end_time else None,
        exit_signal=last.exit_signal if ran and last.end_time else None,
    )


def _by_events(events: Iterable[Event]) -> dict[int, _Told]:
    found: dict[int, _Told] = defaultdict(_Told)
    now_at: int | None = None
    for event in events:
        data = event.data
        if now_at is not None and (order := _requeued(event)) is not None:
            # What waits is not requeued: the listing was quicker to tell that it waits again than who wanted it.
            waits = now_at > 0 and found[now_at].began is None and found[now_at].ended is None
            of = found[now_at - 1 if waits else now_at]
            of.requeued_by, of.requeued_why = order
        run = data.get("restarts")
        if event.kind is not EventKind.JOB_STATE or not isinstance(run, int):
            continue
        now_at = run
        state = State(str(data.get("state")))
        if state in WAITING and run and found[run - 1].ended is None:
            found[run - 1].ended = event.at
        elif state in ON_NODES or state is State.FINISHED:
            _note(found[run], state, event.at, data)
    return found


def _requeued(event: Event) -> tuple[str, str] | None:
    """Who ordered that it be requeued, and why; None: that is no such event."""
    data = event.data
    if event.kind is EventKind.JOB_ORDER and data.get("verb") == Verb.REQUEUE:
        return str(data.get("by")), ""
    acted = event.kind is EventKind.POLICY_ACTION and (data.get("action"), data.get("state")) == (REQUEUE, DONE)
    if not acted or data.get("policy") == OTHERS:  # whose orders follow from decisions
        return None
    return f"policy {data.get('policy')}", str(data.get("why"))


def _note(told: _Told, state: State, at: float, data: Mapping[str, str | int | float | bool | None]) -> None:
    told.node_list = str(data.get("node_list") or told.node_list)
    told.raw_state = str(data.get("raw_state") or told.raw_state)
    if state is not State.FINISHED:
        told.began = told.began or at
        return
    told.ended = at
    told.fate = Fate(str(data["fate"])) if data.get("fate") else None
    code, signal = data.get("exit_code"), data.get("exit_signal")
    told.exit_code = code if isinstance(code, int) else None
    told.exit_signal = signal if isinstance(signal, int) else None


def _first(ways: Sequence[_Told]) -> _Told:
    """Of each fact what the first knows that knows it."""
    facts = {
        name: next((value for way in ways if (value := getattr(way, name)) != nothing), nothing)
        for name, nothing in msgspec.structs.asdict(_Told()).items()
    }
    return _Told(**facts)


def _until_decided(recovery: Recovery, ended: float | None) -> float:
    """Seconds from the end of a run, or from when it was seen to hang, to the decision."""
    since = recovery.at if ended is None or ended > recovery.decided_at else ended
    return max(recovery.decided_at - since, 0.0)


def _with_restart(one: JobRun, after: JobRun | None) -> JobRun:
    """A run with how long it took until the next one began."""
    if after is None or after.began is None:
        return one
    again_s = None if one.ended is None else max(after.began - one.ended, 0.0)
    restart_s = None
    if one.recovery is not None and isinstance(one.recovery.decision, Retry):
        restart_s = max(after.began - one.recovery.decided_at, 0.0)
    return msgspec.structs.replace(one, again_s=again_s, restart_s=restart_s)
