"""Something that happened to a job, a node or a cluster."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class EventKind(StrEnum):
    """What an event is about; the words are stable."""

    JOB_SUBMITTED = "job.submitted"  # its row is durable; Slurm has not been called
    JOB_STATE = "job.state"  # from one state, fate or reason to another
    JOB_ORDER = "job.order"  # somebody had something done with it
    JOB_RECOVERY = "job.recovery"  # a run of it ended badly, and it was decided what is to become of it
    NODE_STATE = "node.state"
    NODE_FAILED = "node.failed"  # a job lost a node that went down
    NODE_LEMON = "node.lemon"  # it has come under such suspicion that it should be drained, or is so no more
    NODE_PARDON = "node.pardon"  # an admin says that what speaks against it until then counts no more
    CLUSTER_STATE = "cluster.state"  # the controller answers, or does not
    WEBHOOK_STATE = "webhook.state"  # a webhook was paused, resumed or deleted, or has missed something
    PLUGIN_STATE = "plugin.state"  # a plugin came into use, went out of it, or failed too often
    PLUGIN_FINDING = "plugin.finding"  # what a plugin's discovery has to tell
    POLICY_ACTION = "policy.action"  # what a policy wants, has done, wants no more, or could not have done
    QUOTA_STATE = "quota.state"  # a budget or the files of a project have passed a bound, or are within it again
    QUOTA_REQUEST = "quota.request"  # somebody asked for more, or somebody has decided
    REPORT_STATE = "report.state"  # a scheduled report could not be sent, or its schedule has stopped
    ALERT_STATE = "alert.state"  # what an alert watches has come true or is over, or it could not be sent
    WEBHOOK_TEST = "webhook.test"  # sent to a webhook when its owner asks; never written


class Event(msgspec.Struct, frozen=True):
    """One event.

    Attributes:
        seq: Its place in the order of all events; 0 before it is written.
        at: Unix seconds.
        kind: See EventKind.
        cluster: Where.
        job_id: Our id of the job that it is about, or None.
        user: Owner of that job, or ``""``.
        account: Account of that job, or ``""``.
        data: What else there is to say.
    """

    seq: int
    at: float
    kind: EventKind
    cluster: str
    job_id: str | None = None
    user: str = ""
    account: str = ""
    data: dict[str, str | int | float | bool | None] = {}


class Gap(msgspec.Struct, frozen=True):
    """Events that are not there any more, or never were.

    Attributes:
        after: Where the listener left off.
        oldest: The first ``seq`` that can still be had; smaller than ``after``: the count has begun anew.
    """

    after: int
    oldest: int


class EventPage(msgspec.Struct, frozen=True):
    """Events, oldest first.

    Attributes:
        items: The events.
        next_after: Ask with ``after`` of this for those that follow.
        more: Whether it is worth asking at once.
        gap: Where events are missing that are not kept any more; they would stand before the items.
    """

    items: list[Event]
    next_after: int
    more: bool
    gap: Gap | None = None
