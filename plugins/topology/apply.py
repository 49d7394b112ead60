"""A topology brought to a running controller: judged, tried, written, read back; and taken back where it is not so."""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Final

import msgspec

from hpcjobs.errors import Conflict, Unavailable
from hpcjobs_plugins.topology.controller import Controller, Place, State
from hpcjobs_plugins.topology.engines.findings import Finding, Form
from hpcjobs_plugins.topology.engines.judge import judge, refusals
from hpcjobs_plugins.topology.engines.model import YAML_SINCE, Graph, Plan, Release, differences
from hpcjobs_plugins.topology.engines.plan import said_in, written
from hpcjobs_plugins.topology.engines.slurm_conf import SlurmConf, amended, read_slurm_conf, settings
from hpcjobs_plugins.topology.runner import Runner, locked, must, read_bytes
from hpcjobs_plugins.topology.swap import Change, Journal, finish, put_back, swap, unfinished
from hpcjobs_plugins.topology.trial import LOAD_S, Tried, complaints, trial, tried_against

LOCK: Final = ".hpcjobs-topology.lock"
"""File whose lock two at once cannot have, in the folder of slurm.conf."""

DEAD_S: Final = 5.0
"""A controller that refuses connections for so long is dead, not busy."""


class End(StrEnum):
    """How it ended."""

    APPLIED = "applied"
    SAME = "same"  # files and controller have it already
    DRY = "dry"  # it would be applied
    REFUSED = "refused"  # nothing was written
    ROLLED_BACK = "rolled-back"  # the old files are back, and the controller shows what it showed before
    DOWN = "down"  # the old files are back, and the controller does not answer


class Applied(msgspec.Struct, frozen=True):
    """What became of it.

    Attributes:
        end: How it ended.
        reasons: Why not, a sentence each.
        findings: What was found in the plan, allowed or not.
        changes: What changes in each file, as ``diff -u`` has it.
        backups: Where the old files are kept.
        recovered: What an earlier run had left half done, and that it was undone; ``""``: nothing.
        trial: What a second controller made of it; None: there was none.
        seconds: From the order to reconfigure until the controller showed the new topology.
    """

    end: End
    reasons: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    changes: Mapping[str, str] = {}
    backups: tuple[str, ...] = ()
    recovered: str = ""
    trial: Tried | None = None
    seconds: float = 0.0


class Order(msgspec.Struct, frozen=True):
    """What is to be done.

    Attributes:
        plan: What Slurm shall know.
        form: Which file says it.
        params: Options of TopologyParam; empty: as they are.
        tree_width: 0: as it is.
        allowed: Codes of findings that are meant so.
        dry: Whether nothing is to be written.
        tried: Whether a second controller is asked first.
        load_s: How long a controller may take to load it.
    """

    plan: Plan
    form: Form = Form.CONF
    params: tuple[str, ...] = ()
    tree_width: int = 0
    allowed: frozenset[str] = frozenset()
    dry: bool = False
    tried: bool = True
    load_s: float = LOAD_S


def apply(
    runner: Runner,
    place: Place,
    order: Order,
    *,
    now: Callable[[], float] = time.time,
    agreed: Callable[[Applied], bool] = lambda _: True,
) -> Applied:
    """Bring a topology to a controller.

    Args:
        runner: Its machine; root or SlurmUser there, who may write the files.
        place: Where its files and programs are.
        order: What is to be done.
        now: Unix seconds, for the names of backups.
        agreed: Is asked, with what came of it so far, before anything is written.

    Raises:
        Conflict: Somebody else is about it.
        Unavailable: The machine cannot be reached, or a file cannot be read or written.
        FabricError: slurm.conf cannot be read, or the order does not go with it.
    """
    folder = must(runner, ["readlink", "-e", "--", place.conf_dir], f"{place.conf_dir} is not there").decode().strip()
    place = msgspec.structs.replace(place, conf_dir=folder)
    with locked(runner, f"{folder}/{LOCK}", "the topology is being changed"):
        return _Desk(runner, place, order, _stamp(now())).work(agreed)


def _stamp(at: float) -> str:
    return time.strftime("%Y%m%dT%H%M%S", time.gmtime(at)) + f".{int(at * 1000) % 1000:03}Z"


def recover(runner: Runner, place: Place) -> str:
    """Undo what a run that died had left half done.

    Returns:
        What was found and done; ``""``: nothing was.

    Raises:
        Conflict: Somebody is still about it.
        Unavailable: The machine cannot be reached, or a file cannot be written.
    """
    folder = must(runner, ["readlink", "-e", "--", place.conf_dir], f"{place.conf_dir} is not there").decode().strip()
    place = msgspec.structs.replace(place, conf_dir=folder)
    with locked(runner, f"{folder}/{LOCK}", "the topology is being changed"):
        return _recover(Controller(runner, place), folder)


def _recover(controller: Controller, folder: str) -> str:
    journal = unfinished(controller.runner, folder)
    if journal is None:
        return ""
    put_back(controller.runner, folder, journal)
    again = controller.reconfigure()
    paths = ", ".join(entry.path for entry in journal.entries)
    said = f"a run of {journal.stamp} had not come to its end: {paths} are as they were before it"
    return said + (f"; the controller did not take the order to read them: {again}" if again else "")


class _Desk:
    """One order."""

    def __init__(self, runner: Runner, place: Place, order: Order, stamp: str) -> None:
        self.runner = runner
        self.place = place
        self.order = msgspec.structs.replace(order, plan=said_in(order.plan, order.form))
        self.stamp = stamp
        self.controller = Controller(runner, place)

    def work(self, agreed: Callable[[Applied], bool]) -> Applied:
        """All of it, in order."""
        if self.order.dry and (left := unfinished(self.runner, self.place.conf_dir)):
            return Applied(End.REFUSED, (f"a run of {left.stamp} had not come to its end: recover first",))
        recovered = _recover(self.controller, self.place.conf_dir)
        release = self.controller.release()
        conf = self.controller.conf()
        findings = tuple(judge(self.order.plan, self.order.form, nodes=conf.nodes, release=release))
        so_far = Applied(End.REFUSED, findings=findings, recovered=recovered)
        if faults := refusals(findings, self.order.allowed):
            return msgspec.structs.replace(so_far, reasons=tuple(fault.text for fault in faults))
        conf, changes = self._changes(conf, release)
        so_far = msgspec.structs.replace(so_far, changes={change.path: _difference(change) for change in changes})
        if not changes and not self._wrong():
            return msgspec.structs.replace(so_far, end=End.SAME)
        if self.order.tried:
            tried = trial(
                self.runner,
                self.place,
                conf,
                written(self.order.plan, self.order.form),
                self._names(),
                load_s=self.order.load_s,
            )
            so_far = msgspec.structs.replace(so_far, trial=tried)
            if against := tried_against(tried, self.order.plan):
                return msgspec.structs.replace(so_far, reasons=tuple(f"in a trial, {reason}" for reason in against))
        if self.order.dry:
            return msgspec.structs.replace(so_far, end=End.DRY)
        if not agreed(so_far):
            return msgspec.structs.replace(so_far, reasons=("it was not agreed to",))
        return self._bring(so_far, conf, changes)

    def _names(self) -> list[str]:
        return [topology.name for topology in self.order.plan.topologies]

    def _changes(self, conf: SlurmConf, release: Release) -> tuple[SlurmConf, list[Change]]:
        """The slurm.conf that shall be, and the files that change, in an order in which each step is a whole state.

        topology.conf says nothing while slurm.conf names no plugin for it, and nothing beside topology.yaml; so the
        files of the topology come first, then slurm.conf, and topology.yaml goes last where it is to go.
        """
        order = self.order
        said = settings(order.plan, order.form, params=order.params, tree_width=order.tree_width)
        partitions = order.plan.partitions if release >= YAML_SINCE else None
        new = amended(conf.files, said, partitions)
        texts: dict[str, str | None] = {**written(self.order.plan, self.order.form), **new}
        if order.form is Form.CONF:
            texts[Form.YAML.value] = None
        changes = []
        for name, text in texts.items():
            path = self.controller.path(name)
            old = read_bytes(self.runner, path)
            data = None if text is None else text.encode()
            if old != data:
                changes.append(Change(path, old, data))
        files = {**conf.files, **new}
        return read_slurm_conf(files.__getitem__), changes

    def _wrong(self) -> list[str]:
        """What the controller has otherwise than the plan."""
        for topology in self.order.plan.topologies:
            found, complaint = self.controller.graph(topology.name)
            if found is None:
                return [complaint]
            if wrong := differences(topology, found):
                return wrong
        return []

    def _bring(self, so_far: Applied, conf: SlurmConf, changes: Sequence[Change]) -> Applied:
        before, _ = self.controller.graph()
        logged = self.controller.log_bytes(conf)
        try:
            journal = swap(self.runner, self.place.conf_dir, changes, self.stamp)
        except Conflict as error:
            return msgspec.structs.replace(so_far, reasons=(f"{error}; look at it again",))
        except Unavailable:
            if half := unfinished(self.runner, self.place.conf_dir):
                put_back(self.runner, self.place.conf_dir, half)
            raise
        backups = tuple(entry.backup for entry in journal.entries if entry.backup)
        so_far = msgspec.structs.replace(so_far, backups=backups)
        begun = time.monotonic()
        complaint = self.controller.reconfigure()
        reasons = [complaint] if complaint and not _may_be_busy(complaint) else self._until_shown()
        if not reasons:
            finish(self.runner, self.place.conf_dir)
            return msgspec.structs.replace(so_far, end=End.APPLIED, seconds=time.monotonic() - begun)
        said = complaints(self.controller.logged(conf, logged).decode(errors="replace"))
        reasons += [f"slurmctld says: {one}" for one in dict.fromkeys(said) if one.startswith("fatal")]
        end, more = self._roll_back(journal, before)
        return msgspec.structs.replace(so_far, end=end, reasons=(*reasons, *more))

    def _until_shown(self) -> list[str]:
        """Wait until the controller shows the plan; what it has otherwise when it does not come to it."""
        give_up = time.monotonic() + self.order.load_s
        refused_since = 0.0
        while True:
            state = self.controller.state()
            wrong = self._wrong() if state is State.UP else ["the controller has died of it"]
            at = time.monotonic()
            if not wrong:
                return []
            if state is not State.BUSY:  # one that dies again and again is busy in between
                refused_since = (refused_since or at) if state is State.REFUSES else 0.0
            if at > give_up or (refused_since and at - refused_since > DEAD_S):
                return wrong if state is not State.BUSY else ["the controller has not answered in time"]
            time.sleep(0.3)

    def _roll_back(self, journal: Journal, before: Graph | None) -> tuple[End, list[str]]:
        give_up = time.monotonic() + self.order.load_s
        while True:
            try:
                put_back(self.runner, self.place.conf_dir, journal)
                break
            except Unavailable as error:  # a machine that goes down with its controller comes up with it
                if time.monotonic() > give_up:
                    return End.DOWN, [f"the old files could not be put back: {error}"]
                time.sleep(1)
        if self.controller.up(0):
            self.controller.reconfigure()
        elif self.place.start and not self.controller.up(1):
            self.runner.run(self.place.start)
        if not self.controller.up(self.order.load_s):
            return End.DOWN, ["the old files are back, and the controller does not answer: start it"]
        while before is not None and self.controller.graph()[0] != before:
            if time.monotonic() > give_up:
                return End.DOWN, ["the old files are back, and the controller does not show what it showed before"]
            time.sleep(0.3)
        return End.ROLLED_BACK, []


def _may_be_busy(complaint: str) -> bool:
    """Whether an order may have been taken, though scontrol says that it was not."""
    return any(words in complaint.lower() for words in ("timed out", "connect failure", "connection re"))


def _difference(change: Change) -> str:
    old, new = ((data or b"").decode(errors="replace").splitlines(keepends=True) for data in (change.old, change.new))
    return "".join(difflib.unified_diff(old, new, change.path, change.path, n=1))
