"""A topology brought to a running controller: judged, tried, written, read back; and taken back where it is not so."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from hpcjobs.slurmconf.bring import Wanted, alone
from hpcjobs.slurmconf.conf import SlurmConf, amended, read_slurm_conf
from hpcjobs.slurmconf.controller import Controller, Place
from hpcjobs.slurmconf.errand import Care, Outcome, Proposal, begun, carry_out
from hpcjobs.slurmconf.runner import Runner, read_bytes
from hpcjobs.slurmconf.swap import Change
from hpcjobs.slurmconf.trial import Tried, trial
from hpcjobs_plugins.topology.engines.findings import Finding, Form
from hpcjobs_plugins.topology.engines.judge import judge, refusals
from hpcjobs_plugins.topology.engines.model import DEFAULT, YAML_SINCE, Graph, Plan, Release, differences
from hpcjobs_plugins.topology.engines.plan import said_in, written
from hpcjobs_plugins.topology.engines.show import read_shown, words_for
from hpcjobs_plugins.topology.engines.slurm_conf import settings
from hpcjobs_plugins.topology.fabric import FabricError


class Applied(Outcome, frozen=True):
    """What became of it.

    Attributes:
        findings: What was found in the plan, allowed or not.
    """

    findings: tuple[Finding, ...] = ()


class Order(Care, frozen=True):
    """What is to be done.

    Attributes:
        plan: What Slurm shall know.
        form: Which file says it.
        params: Options of TopologyParam; empty: as they are.
        tree_width: 0: as it is.
        allowed: Codes of findings that are meant so.
    """

    plan: Plan
    form: Form = Form.CONF
    params: tuple[str, ...] = ()
    tree_width: int = 0
    allowed: frozenset[str] = frozenset()


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
        Unreadable: slurm.conf cannot be read.
        FabricError: The order does not go with it.
    """
    with alone(runner, place) as controller:
        return _Desk(controller, order).work(agreed, now)


def tried_against(tried: Tried, plan: Plan) -> list[str]:
    """What a trial has otherwise than a plan, a sentence each; empty: the same."""
    if not tried.up:
        return [tried.complaints[-1] if tried.complaints else "slurmctld did not come up, and did not say why"]
    shown = ((one, tried.shown.get(words_for(one.name), "")) for one in plan.topologies)
    try:
        return [word for one, text in shown for word in differences(one, read_shown(text))]
    except FabricError as error:
        return [str(error)]


def _graph(controller: Controller, name: str) -> tuple[Graph | None, str]:
    """What a controller has of a topology, or None and why not."""
    text, complaint = controller.ask("show", *words_for(name).split())
    if text is None:
        return None, complaint
    try:
        return read_shown(text), ""
    except FabricError as error:
        return None, str(error)


class _Desk:
    """One order."""

    def __init__(self, controller: Controller, order: Order) -> None:
        self.controller = controller
        self.order = msgspec.structs.replace(order, plan=said_in(order.plan, order.form))

    def work(self, agreed: Callable[[Applied], bool], now: Callable[[], float]) -> Applied:
        """All of it, in order."""
        so_far = begun(self.controller, self.order, Applied)
        if so_far.reasons:
            return so_far
        release = self.controller.release()
        conf = self.controller.conf()
        findings = tuple(judge(self.order.plan, self.order.form, nodes=conf.nodes, release=release))
        so_far = msgspec.structs.replace(so_far, findings=findings)
        if faults := refusals(findings, self.order.allowed):
            return msgspec.structs.replace(so_far, reasons=tuple(fault.text for fault in faults))
        conf, changes = self._changes(conf, release)
        wanted = Wanted(self._wrong, lambda: _graph(self.controller, DEFAULT)[0], load_s=self.order.load_s)
        proposal = Proposal(conf, changes, wanted, lambda: self._trial(conf))
        return carry_out(self.controller, self.order, proposal, so_far, agreed=agreed, now=now)

    def _trial(self, conf: SlurmConf) -> tuple[Tried, list[str]]:
        """What a second controller makes of it, and what is against it."""
        plan, place = self.order.plan, self.controller.place
        asked = [words_for(topology.name) for topology in plan.topologies]
        texts = written(plan, self.order.form)
        tried = trial(self.controller.runner, place, conf, texts, asked, load_s=self.order.load_s)
        return tried, tried_against(tried, plan)

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
            old = read_bytes(self.controller.runner, path)
            data = None if text is None else text.encode()
            if old != data:
                changes.append(Change(path, old, data))
        files = {**conf.files, **new}
        return read_slurm_conf(files.__getitem__), changes

    def _wrong(self) -> list[str]:
        """What the controller has otherwise than the plan."""
        for topology in self.order.plan.topologies:
            found, complaint = _graph(self.controller, topology.name)
            if found is None:
                return [complaint]
            if wrong := differences(topology, found):
                return wrong
        return []
