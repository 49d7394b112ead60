"""Which GPUs a run had: cases that other tools get wrong, and sums that hold whatever nodes and requests are."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpcjobs.devices.worth import is_slice, worth
from hpcjobs.model.usage import Basis, NodeKind, Run
from hpcjobs.usage.attribution import gpus_of
from hpcjobs.usage.fleet import Fleet
from tests.conftest import examples

FLEET = Fleet(
    [
        NodeKind("a1", 100, "gpu:a100:8(S:0-1)", 64), NodeKind("a2", 100, "gpu:a100:8", 64),
        NodeKind("h1", 100, "gpu:h100:4", 64), NodeKind("mix", 100, "gpu:h100:4,gpu:a100_1g.5gb:14", 64),
        NodeKind("sh", 100, "gpu:a100:2,shard:a100:8", 64), NodeKind("mps", 100, "gpu:a100:2,mps:a100:200", 64),
        NodeKind("cpu", 100, "", 64), NodeKind("old", 100, "gpu:v100:4", 64),
    ]
)  # fmt: skip
FLEET.learn(NodeKind("old", 5000, "gpu:h100:8", 64))


Told = list[tuple[str, str, int, Fraction, Fraction, Basis]]


def had(tres: str, where: str, at: int = 200, **fields: object) -> Told:
    told = {"nodes": 1, "cpus": 1, "start_time": at} | fields
    run = Run(slurm_job_id=1, submit_time=1, tres_alloc=tres, node_list=where, **told)  # type: ignore[arg-type]

    def exact(number: float) -> Fraction:
        return Fraction(number).limit_denominator(1000)

    return [
        (use.kind, use.sharing, use.devices, exact(use.equivalent), exact(use.held), use.basis)
        for use in gpus_of(run, FLEET)
    ]


@pytest.mark.parametrize(
    ("tres", "nodes", "kind", "sharing", "devices", "equivalent", "basis"),
    [
        ("cpu=1,gres/gpu:a100=2,gres/gpu=2", "a1", "a100", "", 2, 2, Basis.NAMED),
        ("cpu=1,gres/gpu=2", "a1", "a100", "", 2, 2, Basis.NODES),
        ("cpu=1,gres/gpu=2", "a[1-2]", "a100", "", 2, 2, Basis.NODES),
        ("cpu=1,gres/gpu=2", "mix", "", "", 2, 2, Basis.UNRESOLVED),
        ("cpu=1,gres/gpu=2", "a1,h1", "", "", 2, 2, Basis.UNRESOLVED),
        ("cpu=1,gres/gpu=2", "unknown", "", "", 2, 2, Basis.UNRESOLVED),
        ("cpu=1,gres/gpu:a100_1g.5gb=3,gres/gpu=3", "mix", "a100_1g.5gb", "mig", 3, Fraction(3, 7), Basis.NAMED),
        ("cpu=1,gres/shard=3", "sh", "a100", "shard", 1, Fraction(3, 4), Basis.NODES),
        ("cpu=1,gres/shard:a100=1", "sh", "a100", "shard", 1, Fraction(1, 4), Basis.NAMED),
        ("cpu=1,gres/mps=50", "mps", "a100", "mps", 1, Fraction(1, 2), Basis.NODES),
        ("cpu=1,gres/shard=3", "unknown", "", "shard", 1, 1, Basis.UNRESOLVED),
    ],
)
def test_one_kind(tres, nodes, kind, sharing, devices, equivalent, basis):
    assert had(tres, nodes) == [(kind, sharing, devices, equivalent, equivalent, basis)]


def test_typed_and_untyped_in_one_job_are_counted_once():
    named = "gres/gpu:h100=1,gres/gpu=3"
    assert [(kind, count) for kind, _, count, *_ in had(named, "mix")] == [("h100", 1), ("", 2)]
    assert [(kind, count) for kind, _, count, *_ in had(named, "h1")] == [("h100", 3)]
    assert [(kind, count) for kind, _, count, *_ in had("gres/gpu:h100=4,gres/gpu=18", "mix")] == [
        ("h100", 4), ("a100_1g.5gb", 14),
    ]  # fmt: skip


def test_all_gpus_of_several_nodes_leave_no_choice():
    assert [(kind, count) for kind, _, count, *_ in had("gres/gpu=12", "a1,h1", nodes=2)] == [("a100", 8), ("h100", 4)]


def test_a_node_that_was_changed_counts_as_what_it_was_then():
    assert [one[0] for at in (50, 200, 4999, 5000, 9000) for one in had("gres/gpu=1", "old", at)] == [
        "v100", "v100", "v100", "h100", "h100",
    ]  # fmt: skip


def test_a_job_that_had_its_node_to_itself_held_all_of_its_gpus():
    assert had("cpu=64,gres/gpu=2", "a1", cpus=64) == [("a100", "", 2, 2, 8, Basis.NODES)]
    assert had("cpu=1,gres/gpu=2", "a1", exclusive=True) == [("a100", "", 2, 2, 8, Basis.NODES)]
    assert had("cpu=64", "a1", cpus=64) == [("a100", "", 0, 0, 8, Basis.NODES)]
    assert had("cpu=64,gres/gpu=2", "mix", cpus=64) == [("", "", 2, 2, 6, Basis.UNRESOLVED)]
    assert had("cpu=64", "cpu", cpus=64) == []


@pytest.mark.parametrize(
    ("line", "devices"),
    [
        ("sbatch -G 2 x.sh --gpus=9", 2), ("sbatch --gpus=a100:4 x.sh", 4), ("sbatch --gres=gpu:1 -N2 x.sh", 2),
        ("srun -n 4 --gpus-per-task=1 ./a", 4), ("sbatch --gpus-per-node 8 --wrap 'x --gpus 3'", 16),
        ("sbatch --gres gpu:a100:3,shard:1 x", 6), ("sbatch x.sh", 0), ("sbatch 'unclosed", 0), ("", 0),
        ("sbatch --no-such-option -G 2 x", 0), ("sbatch -G 1:2:3 x", 0),
    ],
)  # fmt: skip
def test_without_gpus_in_accounting_the_command_says_what_was_asked(line, devices):
    told = had("cpu=1,mem=1G,node=2", "a[1-2]", nodes=2, submit_line=line)
    assert [(one[0], one[2], one[5]) for one in told] == ([("a100", devices, Basis.ASKED)] if devices else [])
    assert had("cpu=1,gres/gpu=1", "a1", submit_line="sbatch -G 8 x")[0][2] == 1, "what it had is what counts"
    assert had("cpu=1", "a1", submit_line=line, het_job_id=7) == [], "it is the command of all components"


def test_what_never_ran_had_nothing():
    assert gpus_of(Run(slurm_job_id=1, submit_time=1, tres_alloc="gres/gpu=2", node_list=""), FLEET) == ()
    assert gpus_of(Run(slurm_job_id=1, submit_time=1, tres_alloc="gres/gpu=2", node_list="a1"), FLEET) == ()


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        ("a100", Fraction(1)), ("", Fraction(1)), ("1g.5gb", Fraction(1, 7)), ("a100_3g.20gb", Fraction(3, 7)),
        ("nvidia_h100_80gb_hbm3_1g.10gb", Fraction(1, 7)), ("7g.80gb", Fraction(1)), ("1g.10gb+me", Fraction(1, 7)),
        ("1g.6gb", Fraction(1, 4)), ("a30_2g.12gb", Fraction(1, 2)), ("rtx_pro_6000_1g.24gb", Fraction(1, 4)),
        ("mi300x_cpx", Fraction(1, 8)), ("mi300x", Fraction(1)), ("big", Fraction(1)), ("5gb", Fraction(1)),
    ],
)  # fmt: skip
def test_what_a_device_is_worth(kind, part):
    assert worth(kind) == part
    assert is_slice(kind) == (part < 1 or "g." in kind)


counts = st.integers(0, 9)
kinds = st.sampled_from(["a100", "h100", "a100_1g.5gb", "1g.6gb", "mi300x"])


@settings(max_examples=examples(400))
@given(st.dictionaries(kinds, counts), counts, st.dictionaries(kinds, st.integers(1, 16)), st.booleans())
def test_devices_of_all_kinds_are_what_slurm_counted_and_nothing_is_held_twice(named, untyped, there, alone):
    fleet = Fleet([NodeKind("n", 0, ",".join(f"gpu:{kind}:{count}" for kind, count in there.items()), 8)])
    total = sum(named.values()) + untyped
    tres = ",".join([f"gres/gpu={total}", *(f"gres/gpu:{kind}={count}" for kind, count in named.items())])
    cpus = 8 if alone else 1
    run = Run(slurm_job_id=1, submit_time=1, start_time=5, tres_alloc=tres, node_list="n", nodes=1, cpus=cpus)
    uses = gpus_of(run, fleet)
    assert sum(use.devices for use in uses) == total
    assert len({use.kind for use in uses}) == len(uses), "each kind once"
    assert all(0 <= use.equivalent <= use.held for use in uses)
    if not alone:
        assert all(use.equivalent == use.held for use in uses)
    elif all(named.get(kind, 0) <= there.get(kind, 0) for kind in named) and total <= sum(there.values()):
        whole = sum(count * worth(kind) for kind, count in there.items())
        used = sum(use.equivalent for use in uses)
        assert sum(use.held for use in uses) == pytest.approx(float(max(whole, Fraction(used).limit_denominator(84))))
