"""Accelerators by type: every device is counted once, whatever state its node is in."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.model.cluster import Node
from hpcjobs.model.node_particulars import NodeParticulars
from hpcjobs.model.pool import GpuKind, kinds_of


def node(name: str, gpus: dict[str, int], used: dict[str, int] | None = None, **more: object) -> Node:
    told = {"usable": True, "cpus_alloc": 8 if used else 0, "mem_alloc_bytes": 0} | more
    particulars = told.pop("particulars", {})
    return Node(
        name, "IDLE", cpus=64, mem_bytes=1000, gpus=gpus, gpus_alloc=used or {}, partitions=("p",), features=(),
        particulars=NodeParticulars(**particulars), **told,  # type: ignore[arg-type]
    )  # fmt: skip


def test_devices_by_type_and_what_is_idle_of_them():
    pool = kinds_of(
        [
            node("n1", {"a100": 8}), node("n2", {"a100": 8}, {"a100": 3}), node("n3", {"a100": 8}, {"a100": 8}),
            node("n4", {"a100": 8}, {"a100": 1}, usable=False), node("n5", {"h100": 4}, cpus_alloc=64),
            node("n6", {"h100": 4}, particulars={"reservation": "x"}), node("n7", {}),
        ]
    )  # fmt: skip
    assert pool == (
        GpuKind("a100", nodes=4, total=32, allocated=12, idle=13, fragmented=5, down=7),
        GpuKind("h100", nodes=2, total=8, idle=8, stranded=4, reserved=4),
    )


def test_shares_are_parts_of_devices():
    shared = {"gres": "gpu:a100:2,shard:a100:8", "gres_used": "gpu:a100:0(IDX:N/A),shard:a100:3(3/4,0/4)"}
    (kind,) = kinds_of([node("n1", {"a100": 2}, particulars=shared)])
    assert (kind.total, kind.allocated, kind.begun, kind.idle, kind.fragmented) == (2, 0.75, 0.25, 1, 1)


def test_a_node_with_several_types_is_counted_under_each():
    pool = kinds_of([node("n1", {"h100": 4, "a100_1g.5gb": 14}, {"a100_1g.5gb": 2})])
    assert [(one.kind, one.total, one.allocated, one.idle) for one in pool] == [
        ("a100_1g.5gb", 14, 2, 12), ("h100", 4, 0, 4),
    ]  # fmt: skip


counts = st.integers(0, 8)


@given(st.lists(st.tuples(st.sampled_from(["a100", "h100", ""]), counts, counts, st.booleans(), st.booleans())))
def test_every_device_is_counted_once(told):
    nodes = [
        node(f"n{place}", {kind: count}, {kind: min(used, count)}, usable=usable, cpus_alloc=64 if full else 0)
        for place, (kind, count, used, usable, full) in enumerate(told)
    ]
    pool = kinds_of(nodes)
    for one in pool:
        assert one.total == pytest.approx(one.allocated + one.begun + one.idle + one.down)
        assert max(one.fragmented, one.stranded, one.reserved) <= one.idle
        assert min(msgspec.structs.astuple(one)[1:]) >= 0
    assert sum(one.total for one in pool) == sum(count for _, count, *_ in told)
