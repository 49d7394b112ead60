"""Why a job failed: what is known of its end, and what that comes to."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from hpcjobs.model.job import Fate

DO_NOT_REQUEUE: Final = 93
"""Exit code by which a job asks that it not be run again."""
REQUEUE: Final = 75
"""Exit code by which a job says that it has saved and asks to go on later: EX_TEMPFAIL of sysexits.h."""


class FailureClass(StrEnum):
    """What kind of failure it was: the word by which it is decided what to do next (docs/RECOVERY.md)."""

    NODE = "node"
    DEVICE = "device"
    FABRIC = "fabric"
    HOST_OOM = "host_oom"
    DEVICE_OOM = "device_oom"
    CONTAINER = "container"
    STORAGE = "storage"
    USER = "user"
    CONFIGURATION = "configuration"
    NUMERIC = "numeric"
    LAUNCH = "launch"
    TIME_LIMIT = "time_limit"
    PREEMPTED = "preempted"
    HANG = "hang"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


class Sureness(StrEnum):
    """How far a diagnosis can be relied on."""

    STRONG = "strong"  # Slurm says it, or a line that means only this
    WEAK = "weak"  # a line or an exit code that can have other causes, or causes that contradict each other


class LogTail(msgspec.Struct, frozen=True):
    """The last lines of one of a job's logs.

    Attributes:
        source: Which log it is, as people call it: ``stderr``, ``rank 3``, ``kernel log of c1``.
        text: Its end; of more than ``hpcjobs.recovery.lines.MOST_CHARS`` characters only the last are read.
        node: Whose it is, as Slurm's NodeName; ``""``: several nodes' or not known.
        rank: Which rank wrote it; None: several did.
    """

    source: str
    text: str
    node: str = ""
    rank: int | None = None


class Activity(msgspec.Struct, frozen=True):
    """When a job was seen to do something, in Unix seconds, in any order; the last hundred or so of each are enough.

    Attributes:
        began: Its program was started; None: not known.
        outputs: It wrote output.
        heartbeats: A heartbeat arrived.
        steps: A step was done.
        checkpoints: A checkpoint was whole.
    """

    began: float | None = None
    outputs: tuple[float, ...] = ()
    heartbeats: tuple[float, ...] = ()
    steps: tuple[float, ...] = ()
    checkpoints: tuple[float, ...] = ()


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of how an attempt of a job ended, or goes on. All of it may be missing.

    Attributes:
        fate: How it ended; None: it has not, or it is not known.
        raw_state: Slurm's state, the flags after commas; ``""``: not known.
        exit_code: Of the batch script; None: not known.
        exit_signal: Number of the signal that ended the batch script; 0 or None: none.
        derived_exit_code: Highest exit code of its steps; None: not known.
        derived_exit_signal: Signal that goes with it; 0 or None: none.
        reason: Slurm's reason, untouched.
        nodes: Names of the nodes that it had.
        failed_nodes: Nodes that Slurm knows to have failed under it, with when, in Unix seconds.
        logs: Ends of its logs.
        activity: When it was seen to do something.
        hang_s: So long it may do nothing, as it says itself; 0: that is judged by its own pace.
        now: Unix seconds: the end of the attempt, or the present while it runs; None: not known.
    """

    fate: Fate | None = None
    raw_state: str = ""
    exit_code: int | None = None
    exit_signal: int | None = None
    derived_exit_code: int | None = None
    derived_exit_signal: int | None = None
    reason: str = ""
    nodes: tuple[str, ...] = ()
    failed_nodes: dict[str, float] = {}
    logs: tuple[LogTail, ...] = ()
    activity: Activity = Activity()
    hang_s: float = 0.0
    now: float | None = None


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that says what went wrong.

    Attributes:
        failure: The class that it speaks for.
        pattern: Name of the pattern or of the table's line that knows it, as ``xid-79``, ``state-NODE_FAIL``.
        source: Where it was said: a log's ``source``, or ``Slurm``.
        line: Which line of the tail, from 1; 0: of no log.
        text: The line, or Slurm's word, of at most ``hpcjobs.recovery.lines.MOST_SHOWN`` characters.
        symptom: It only follows from something else, whether that was found or not.
        symptom_of: Class of the root that it follows from; None: it follows from none that was found.
        weak: It can have other causes.
        time: When, by the clock of the line, as Unix seconds of a clock that shows UTC; only to put lines in order.
            None: the line has no time, nor one before it.
        rank: Which rank said it, or is said to have failed; None: not known.
        node: Which node it is about; ``""``: not known.
        device: Which device of the node: PCI address or index; ``""``: not known.
    """

    failure: FailureClass
    pattern: str
    source: str
    line: int = 0
    text: str = ""
    symptom: bool = False
    symptom_of: FailureClass | None = None
    weak: bool = False
    time: float | None = None
    rank: int | None = None
    node: str = ""
    device: str = ""


class Suspect(msgspec.Struct, frozen=True, order=True):
    """A node or a device of it that may be bad.

    Attributes:
        node: Slurm's NodeName; ``""``: a device of a node that is not known.
        device: PCI address or index; ``""``: the node as a whole.
    """

    node: str
    device: str = ""


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """What a failure comes to.

    Attributes:
        failure: Class of the root, as far as one was found, else of the symptom.
        sure: How far it can be relied on.
        findings: What says so, the root first, then what else was found in the order of time; at most
            ``hpcjobs.recovery.classify.MOST_FINDINGS``.
        suspects: Nodes and devices that may be bad, sorted.
        do_not_requeue: The job asks not to be run again (exit code 93).
        requeue: The job asks to be run again (exit code 75).
        sentence: One or two sentences for people. They quote no log, which only its owner may read.
    """

    failure: FailureClass
    sure: Sureness
    findings: tuple[Finding, ...] = ()
    suspects: tuple[Suspect, ...] = ()
    do_not_requeue: bool = False
    requeue: bool = False
    sentence: str = ""
