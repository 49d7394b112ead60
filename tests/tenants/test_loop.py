"""The whole loop over random tenants: Slurm takes every order, also after kills, and gets back what it had."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.model.account import Account
from hpcjobs.model.qos import Qos
from hpcjobs.model.tenant import Ledger, LedgerOrder, Quota, Setting, Tenant, Verb
from hpcjobs.slurm.simulated_ledger import SITES_QOS, entered, ledger_of
from hpcjobs.tenants.desired import desired
from hpcjobs.tenants.plan import diff, kept_of

PROJECTS = ("vision", "climate", "retina")
NAMES = ("fast", "spare", "normal", "other")
TRES = frozenset({"cpu", "mem", "gres/gpu"})
KINDS = st.dictionaries(st.sampled_from(["", "h100"]), st.integers(0, 8))
QOS = st.builds(
    Qos,
    priority=st.none() | st.integers(0, 9),
    gpus=KINDS,
    user_gpus=KINDS,
    user_running_jobs=st.none() | st.integers(0, 9),
    preempts=st.lists(st.sampled_from(NAMES), max_size=2, unique=True).map(tuple),
    preempt_mode=st.none() | st.sampled_from(["cancel", "requeue"]),
)
TENANTS = st.builds(
    Tenant,
    members=st.lists(st.sampled_from(["alice", "bob"]), unique=True).map(tuple),
    quota=st.builds(Quota, gpus=KINDS, cpus=st.none() | st.integers(0, 9)),
    qos=st.dictionaries(st.sampled_from(NAMES), QOS, max_size=2),
    default_qos=st.none() | st.sampled_from(NAMES),
)


def each_once(tenants):
    """As the API has it: a QOS is declared of one project, and none preempts itself."""
    found, taken = {}, set()
    for project, tenant in tenants.items():
        qos = {
            name: msgspec.structs.replace(one, preempts=tuple(set(one.preempts) - {name}))
            for name, one in tenant.qos.items()
            if name not in taken
        }
        taken |= set(qos)
        found[project] = msgspec.structs.replace(tenant, qos=qos)
    return found


DECLARED = st.dictionaries(st.sampled_from(PROJECTS), TENANTS).map(each_once)
USED_UP = st.dictionaries(st.sampled_from(PROJECTS), st.sets(st.sampled_from(["", "h100"])))


class Site:
    """Slurm's accounting and what of it is ours, with what was there before."""

    def __init__(self) -> None:
        self.settings = ledger_of([Account("big", "vision", members=frozenset({"carol"}))])
        self.settings[Setting("vision", "GrpTRES", "cpu")] = "77"
        self.settings[Setting("vision", "DefaultQOS")] = "normal"
        self.before = dict(self.settings)
        self.made = {}

    def plan(self, tenants, used_up):
        owners = {key.of: key.project for key in self.settings if key.field == "qos"} | dict.fromkeys(SITES_QOS, "")
        wanted, _ = desired(tenants, used_up, Ledger(dict(self.settings), TRES, owners))
        return diff(wanted, self.settings, self.made)

    def apply(self, tenants, used_up, most=None, *, sent=True):
        """The first so many orders, each written down first; the last of them maybe not sent."""
        changes = self.plan(tenants, used_up)
        turn = changes[:most]
        for number, change in enumerate(turn):
            kept = kept_of(change, self.made, 0.0)
            if kept:
                self.made[change.setting] = kept
            killed = len(turn) < len(changes) and number == len(turn) - 1
            if killed and not sent:
                return
            if change.verb is not Verb.FORGET:
                entered(LedgerOrder(change.setting, change.value), self.settings)
            if killed:
                return
            if not kept:
                self.made.pop(change.setting, None)


@given(st.lists(st.tuples(DECLARED, USED_UP, st.integers(0, 30), st.booleans()), max_size=4))
def test_slurm_takes_every_order_and_gets_back_what_it_had(turns):
    site = Site()
    for tenants, used_up, most, sent in turns:
        site.apply(tenants, used_up, most, sent=sent)
        site.apply(tenants, used_up)
        site.apply(tenants, used_up)  # a QOS that went from one project to another is free only now
        assert site.plan(tenants, used_up) == ()
    for _ in range(2):
        site.apply({}, {})
    assert site.made == {}
    assert site.before.items() <= site.settings.items()
    left = {key for key in site.settings if key not in site.before}
    assert {key.field for key in left if not (key.field == "QosLevel" and key.of == "normal")} <= {
        "account", "parent", "fairshare", "qos",
    }  # fmt: skip
