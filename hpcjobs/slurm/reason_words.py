"""Slurm's words for why a job waits, and what each means for its owner: one table, and a pattern for the limits.

The words are those of job_state_reason_string(), Slurm 24.11 to 26.05; where Slurm adds a description (pyslurm and
squeue give it in the word's place, slurmrestd beside it), DESCRIPTIONS finds the word that it belongs to.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

_ASK_LESS = "Ask for less, or for another partition."
_SHORTER = "A shorter time limit lets Slurm fit it into an earlier gap."
_ADMIN = "Ask the cluster's administrators."
_RELEASE = "Its owner or an operator releases it: {release}."
_RELEASE_OPERATOR = "Only an operator can release it: {release}."
_RELEASE_LOG = "Find the cause first: Slurm could not start it where it tried."
_OTHER_QOS = "Submit it with another QOS or account, if you may use one."
_LIMIT = "Wait until some of those jobs have ended, or cancel some."

WORDS: Final[dict[str, tuple[str, ...]]] = {
    "": ("Slurm has not yet looked at it, or says nothing of why it waits.",),
    "None": ("Slurm has not yet looked at it, or says nothing of why it waits.",),
    "InvalidReason": ("Slurm gives a reason that it has itself no word for.", _ADMIN),
    # Its turn.
    "Priority": ("It waits for its turn in {partition}: jobs of higher priority come first.", _SHORTER),
    "Resources": ("It waits for room in {partition}.", _ASK_LESS, _SHORTER),
    "SchedDefer": ("It waits for Slurm's next round of scheduling; it was not tried when it was submitted.",),
    "Licenses": (
        "It waits for licenses that other jobs hold or a reservation keeps.",
        "Ask for fewer licenses, if the job can do with fewer.",
    ),
    "BurstBufferResources": ("It waits for room in the burst buffer.", "Ask for a smaller burst buffer."),
    "BurstBufferStageIn": ("It waits until its data have been copied into the burst buffer.",),
    "MpiPortsBusy": ("It waits for MPI ports that other jobs have reserved on its nodes.",),
    "NvidiaImexChannels": ("It waits for an NVIDIA IMEX channel; other jobs hold those of its nodes.",),
    "MaxPoweredUpNodes": ("It waits until the cluster may switch on more nodes: as many are on as are allowed.",),
    "JobArrayTaskLimit": (
        "It waits for other tasks of its array: as many run as the array allows at one time.",
        "Raise the number after the % of --array.",
    ),
    "Prolog": ("Its nodes are being prepared: the prolog runs on them.",),
    "Cleaning": ("It was requeued and waits until its previous run has been cleaned up.",),
    "FedJobLock": ("It waits until the other clusters of the federation agree on where it starts.",),
    "BeginTime": ("It waits for its begin time.", "Set an earlier begin time (--begin)."),
    "Dependency": ("It waits for other jobs.", "Change its dependency if it need not wait for them."),
    "DependencyNeverSatisfied": (
        "It can never start: what it depends on can no longer come true.",
        "Change its dependency, or cancel it and submit it anew.",
    ),
    # Held.
    "JobHeldUser": ("It is held in its owner's name, and waits to be released.", _RELEASE),
    "JobHeldAdmin": ("It is held by an operator or by Slurm itself, and waits to be released.", _RELEASE_OPERATOR),
    "JobHoldMaxRequeue": (
        "It is held: Slurm has requeued it as often as the cluster allows.", _RELEASE_LOG, _RELEASE_OPERATOR,
    ),
    "job requeued in held state": (
        "It was put back into the queue and held, and waits to be released.", _RELEASE,
    ),
    "job requeued in special exit state": (
        "It ended with an exit code that is to be looked at, was put back into the queue and held.",
        "Read its output before it runs again.", _RELEASE,
    ),
    "launch failed requeued held": (
        "It could not be launched on its nodes, was put back into the queue and held.", _RELEASE_LOG, _RELEASE,
    ),
    "launch failure limit exceeded requeued held": (
        "It could not be launched as often as the cluster allows, and is held.", _RELEASE_LOG, _RELEASE_OPERATOR,
    ),
    "user env retrieval failed requeued held": (
        "Its owner's login environment could not be read on the node, so it was put back into the queue and held.",
        "See that the login shell's start files end quickly and without an error.", _RELEASE,
    ),
    "BadConstraints": (
        "It is held: no nodes of {partition} can ever meet what it asks for.",
        "Change what it asks for, or cancel it and submit it anew.", _RELEASE_OPERATOR,
    ),
    "BurstBufferOperation": (
        "It is held: an operation of the burst buffer failed.", "Check the burst buffer lines of its script.",
        _RELEASE_OPERATOR,
    ),
    # Reservations.
    "Reservation": (
        "It waits for its reservation: that has not begun, or other jobs fill it.",
        "Submit it without the reservation if it need not run there.",
    ),
    "ReservationDeleted": (
        "It is held: its reservation was deleted.", "Take the reservation away from it or name another one.", _RELEASE,
    ),
    "ReservationInvalid": (
        "It is held: its reservation does not exist or it may not use it.",
        "Take the reservation away from it or name another one.", _RELEASE_OPERATOR,
    ),
    # Nodes and partitions.
    "ReqNodeNotAvail": (
        "It waits for nodes that are down, drained or reserved.", "Submit it without naming those nodes.",
    ),
    "NodeDown": ("A node that it had failed, and it waits to start anew.",),
    "FrontEndDown": ("It waits for a front-end node; none is up.", _ADMIN),
    "Constraints": (
        "No nodes of {partition} meet its constraints at present.", "Ask for other features, or wait for such nodes.",
    ),
    "PartitionDown": ("{Partition} is down: it takes jobs but starts none.", "Use another partition."),
    "PartitionInactive": ("{Partition} is inactive: it starts no job.", "Use another partition."),
    "PartitionNodeLimit": (
        "It asks for more nodes than {partition} gives a job, or fewer, or they are down.",
        "Change the number of nodes, or use another partition.",
    ),
    "PartitionTimeLimit": (
        "Its time limit is longer than {partition} allows.", "Lower the time limit, or use another partition.",
    ),
    "PartitionConfig": ("The settings of {partition} do not let it start.", "Use another partition.", _ADMIN),
    "MaxMemPerLimit": (
        "It asks for more memory a CPU or node than {partition} allows.",
        "Ask for less memory, or spread it over more CPUs or nodes.",
    ),
    "AccountNotAllowed": (
        "{Partition} does not take jobs of {account} or of its owner.", "Use another partition or account.",
    ),
    "QOSNotAllowed": (
        "{Partition} or {account} does not take jobs of {qos}.", "Use another QOS or partition.",
    ),
    # Accounts and limits that Slurm does not name more exactly.
    "InvalidAccount": (
        "{Account} is no longer one that its owner may use.", "Give it a valid account.", _ADMIN,
    ),
    "InvalidQOS": ("{Qos} is no longer one that it may use.", "Give it a valid QOS.", _ADMIN),
    "AccountingPolicy": ("A limit of its account or QOS holds it back.", _OTHER_QOS),
    "QOSUsageThreshold": (
        "{Account} has used so much that its fair share is below what {qos} demands.",
        "Wait until earlier use has faded.", _OTHER_QOS,
    ),
    "AssociationJobLimit": ("{Account} has as many jobs as it may have.", _LIMIT, _OTHER_QOS),
    "AssociationResourceLimit": ("{Account} holds as much as it may hold.", _LIMIT, _OTHER_QOS),
    "AssociationTimeLimit": ("{Account} has used up its time.", _OTHER_QOS),
    "QOSJobLimit": ("{Qos} has as many jobs as it may have.", _LIMIT, _OTHER_QOS),
    "QOSResourceLimit": ("{Qos} holds as much as it may hold.", _LIMIT, _OTHER_QOS),
    "QOSTimeLimit": ("{Qos} has used up its time.", _OTHER_QOS),
    # How an earlier run ended; seen on a job that was requeued.
    "SystemFailure": ("Slurm itself or the job's nodes failed in its earlier run, and it waits to start anew.", _ADMIN),
    "JobLaunchFailure": ("It could not be launched, and waits to start anew.", "Check that its working directory and "
        "output folder exist on the nodes."),
    "NonZeroExitCode": ("Its earlier run ended with an error, and it waits to start anew.", "Read its output."),
    "RaisedSignal": ("A signal ended its earlier run, and it waits to start anew.", "Read its output."),
    "TimeLimit": ("Its earlier run reached its time limit, and it waits to start anew.", "Raise its time limit."),
    "InactiveLimit": ("Its earlier run was idle for too long, and it waits to start anew.",),
    "OutOfMemory": ("Its earlier run needed more memory than it had asked for.", "Ask for more memory."),
    "DeadLine": ("Its deadline has passed or can no longer be met.", "Submit it with a later deadline."),
}  # fmt: skip
"""Slurm's word: what it waits for, then what would help. ``{partition}`` and its like are filled in by reasons.py."""

DESCRIPTIONS: Final[tuple[tuple[re.Pattern[str], str], ...]] = tuple(
    (re.compile(pattern, re.IGNORECASE), word)
    for pattern, word in (
        (r"ReqNodeNotAvail\b|.*\bUnavailableNodes:", "ReqNodeNotAvail"),
        (r"Nodes required for job are DOWN", "ReqNodeNotAvail"),
        (r"Reservation .* was deleted", "ReservationDeleted"),
        (r"Reservation .* is invalid", "ReservationInvalid"),
        (r"License request .* holding job", "JobHeldAdmin"),
        (r"uid \d+ not in group permitted|Job's account ", "AccountNotAllowed"),
        (r"Job's QOS ", "QOSNotAllowed"),
        (r"burst_buffer/|Burst buffer ", "BurstBufferOperation"),
        (r"RaisedSignal:", "RaisedSignal"),
    )
)
"""How Slurm's descriptions begin, and the word that each stands for."""


class Limit(msgspec.Struct, frozen=True):
    """A limit of accounting, read from the word that Slurm says when it is reached.

    Attributes:
        scope: ``association`` or ``qos``.
        bound: ``group`` (jobs together), ``max`` or ``min``.
        resource: ``cpu``, ``gres``, ``node``, ``mem``, ``energy``, ``license``, ``bb``, ``billing``, ``job``,
            ``submit``, ``wall`` or ``unknown``.
        measure: ``amount`` (at one time), ``minutes`` (used, adding up) or ``run-minutes`` (what running jobs may
            still use).
        per: ``job``, ``node``, ``user``, ``account``; ``""`` for a group, and for an association's own.
    """

    scope: str
    bound: str
    resource: str
    measure: str
    per: str


_FAMILY = re.compile(
    r"(?P<scope>Assoc|QOS)?(?P<bound>Grp|Max|Min)"
    r"(?P<resource>BB|Billing|CPU|Energy|GRES|SubmitJobs?|Jobs?|License|Mem(?:ory)?|Node|Wall(?:Duration)?|Unknown)"
    r"(?P<run>Run)?(?P<minutes>Min(?:ute)?s)?(?:NotSatisfied)?"
    r"(?:Per(?P<per>Job|Node|User|Account))?(?:Limit)?",
    re.IGNORECASE,
)
_NAMES = {"memory": "mem", "jobs": "job", "submitjobs": "submit", "submitjob": "submit", "wallduration": "wall"}


def limit_of(word: str) -> Limit | None:
    """Read the name of a limit, as ``AssocGrpGRES`` or ``QOSMaxCpuPerUserLimit``.

    Args:
        word: Slurm's reason word.

    Returns:
        The limit; None where the word is not the name of one. A word without a scope (``MaxGRESPerAccount``) is
        one of QOS.
    """
    match = _FAMILY.fullmatch(word)
    if match is None:
        return None
    resource = match["resource"].lower()
    return Limit(
        scope="association" if (match["scope"] or "").lower() == "assoc" else "qos",
        bound={"grp": "group"}.get(match["bound"].lower(), match["bound"].lower()),
        resource=_NAMES.get(resource, resource),
        measure=("run-minutes" if match["run"] else "minutes") if match["minutes"] else "amount",
        per=(match["per"] or "").lower(),
    )


def word_of(reason: str) -> str | None:
    """The word of the table, or of a limit, that Slurm's reason stands for.

    Args:
        reason: Word or description; one of several, comma-separated, as squeue joins those of an array.

    Returns:
        A key of WORDS or the name of a limit; None where neither is known.
    """
    text = " ".join(reason.split())
    for candidate in (text, text.partition(",")[0]):
        if candidate in WORDS or limit_of(candidate):
            return candidate
        if candidate == "(null)":
            return ""
    return next((word for pattern, word in DESCRIPTIONS if pattern.match(text)), None)
