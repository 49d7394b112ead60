"""What policies do as events. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from hpcjobs.model.aims import WISHED, changes, keyed
from hpcjobs.model.cluster import Node
from hpcjobs.model.event import Event, EventKind
from hpcjobs.model.job import JobRecord
from hpcjobs.model.steering import Act, Action, jobs_of, nodes_of
from hpcjobs.sbatch.hostlists import fold_hostlist
from hpcjobs.steering.plan import Step
from hpcjobs.steering.plan_cluster import ClusterStep

DONE, REFUSED, DRY_RUN = "done", "refused", "dry-run"
"""What an event of a policy says of an action, beside that it is wished or withdrawn."""
OTHERS: Final = "recovery"
"""What is called so is wished by no policy, but by what sees to jobs that ended badly."""


class Told(msgspec.Struct, frozen=True):
    """The cluster that events are of.

    Attributes:
        cluster: Its name.
        jobs: As Slurm lists them, by number.
        ids: Our ids by number.
        nodes: As Slurm lists them, by name.
    """

    cluster: str
    jobs: Mapping[int, JobRecord]
    ids: Mapping[int, str]
    nodes: Mapping[str, Node] = {}

    def of_action(self, policy: str, action: Action, state: str, now: float, detail: str = "") -> list[Event]:
        """What happened to one action, once for each job that it is about.

        Args:
            policy: Whose.
            action: What.
            state: ``wished``, ``withdrawn``, or one of the words above.
            now: Unix seconds.
            detail: Why it was refused.
        """
        data: dict[str, str | int | float | bool | None] = {"policy": policy, "state": state}
        data |= _plain(action)
        if detail:
            data["detail"] = detail
        if nodes := nodes_of(action):
            data["nodes"] = fold_hostlist(nodes)
        numbers = sorted(jobs_of(action))
        return [self._event(data, number, now) for number in numbers] or [self._event(data, None, now)]

    def of_policy(
        self, policy: str, before: Sequence[Action], after: Sequence[Action], now: float, *, dry_run: bool = False
    ) -> list[Event]:
        """What has become of a policy's wishes since its last tick, and in a dry run also what it would do.

        Args:
            policy: Its name.
            before: What it wanted.
            after: What it wants.
            now: Unix seconds.
            dry_run: Whether that is only told.
        """
        happened: list[Event] = []
        for wish, state in changes(keyed(before), keyed(after)):
            happened += self.of_action(policy, wish, DRY_RUN if dry_run and state == WISHED else state, now)
        for act in after if dry_run else ():
            happened += self.of_action(policy, act, DRY_RUN, now) if isinstance(act, Act) else ()
        return happened

    def of_refusal(self, step: Step | ClusterStep, of: str, detail: str, now: float) -> Event:
        """That something could not be made to stand as policies want it.

        Args:
            step: What was to be done.
            of: What it is of, in words.
            detail: Why it could not be done.
            now: Unix seconds.
        """
        data: dict[str, str | int | float | bool | None] = {"state": REFUSED, "of": of, "detail": detail}
        if isinstance(step, ClusterStep):
            return self._event(data, None, now)
        data["policy"] = ",".join(dict.fromkeys(policy for policy, _ in step.whys))
        data["why"] = " ".join(why for _, why in step.whys)
        return self._event(data, step.number, now)

    def _event(self, data: dict[str, str | int | float | bool | None], number: int | None, now: float) -> Event:
        record = self.jobs.get(number) if number is not None else None
        if record is None:
            return Event(0, now, EventKind.POLICY_ACTION, self.cluster, data=data)
        job_id = self.ids.get(record.slurm_job_id)
        return Event(0, now, EventKind.POLICY_ACTION, self.cluster, job_id, record.user, record.account, data)


def _plain(action: Action) -> dict[str, str | int | float | bool | None]:
    """An action's own words, those that are plain values."""
    found: dict[str, str | int | float | bool | None] = {"action": str(action.__struct_config__.tag)}
    for name in action.__struct_fields__:
        value = getattr(action, name)
        if name != "job" and isinstance(value, str | int | float):
            found[name] = value
        elif isinstance(value, Mapping):
            found[name] = ",".join(f"{key}={one}" for key, one in value.items())
    return found
