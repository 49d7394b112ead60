"""What nodes tell is kept with the type that Slurm has of each device."""

from __future__ import annotations

import pytest

from hpcjobs.errors import Refused, Unavailable
from hpcjobs.model.cluster import ClusterView, Node
from hpcjobs.model.job import JobRecord, State
from hpcjobs.model.sample import DeviceSample, NodeSamples
from hpcjobs.model.usage import NodeKind
from hpcjobs.usage import intake
from hpcjobs.usage.sampled import Sampled, kind_of
from hpcjobs.usage.store import IN_MEMORY, UsageStore
from hpcjobs.usage.whole import Holder, holder_of

NOW = 1_800_000_000
BUCKET = NOW // 300 * 300


@pytest.mark.parametrize(
    ("model", "profile", "kinds", "kind"),
    [
        ("NVIDIA A100-SXM4-80GB", "", ["a100"], "a100"), ("anything", "", ["a100"], "a100"),
        ("NVIDIA A100-SXM4-80GB", "", ["a100", "h100"], "a100"), ("NVIDIA H100 PCIe", "", ["a100", "h100"], "h100"),
        ("NVIDIA A100-SXM4-80GB", "", ["a100_40", "a100_80"], ""), ("NVIDIA A10", "", ["a100", "h100"], ""),
        ("NVIDIA A100-SXM4-80GB", "1g.10gb", ["a100_1g.10gb", "a100_2g.20gb"], "a100_1g.10gb"),
        ("NVIDIA A100-SXM4-80GB", "1g.10gb", ["a100"], ""), ("", "", ["a100", "h100"], ""), ("x", "", [], ""),
        ("NVIDIA A100-SXM4-80GB", "", ["a100", "a100_1g.10gb"], "a100"), ("NVIDIA A100", "", ["a100_1g.10gb"], ""),
    ],
)  # fmt: skip
def test_a_device_has_the_type_that_its_node_leaves(model, profile, kinds, kind):
    assert kind_of(model, profile, kinds) == kind


@pytest.fixture
async def sampled():
    store = UsageStore(IN_MEMORY)
    store.open()
    yield Sampled(store, days=35)
    store.close()


def told(**fields: object) -> NodeSamples:
    usual = {"device": "GPU-a", "model": "NVIDIA A100", "bucket": BUCKET, "samples": 3, "covered_s": 30, "busy_s": 3}
    return NodeSamples((DeviceSample(**(usual | fields)),))  # type: ignore[arg-type]


async def test_samples_are_kept_and_those_that_are_too_old_left_out(sampled):
    with pytest.raises(Unavailable):
        await sampled.keep("big", "n1", told(), NOW)
    await sampled.store.write(intake.write_nodes, "big", [NodeKind("n1", 5, "gpu:a100:8", 64)])
    with pytest.raises(Refused, match="no node 'n2'"):
        await sampled.keep("big", "n2", told(), NOW)
    assert (await sampled.keep("big", "n1", told(), NOW)).kept == 1
    assert (await sampled.keep("big", "n1", told(busy_s=9), NOW)).kept == 1
    found = await sampled.keep("big", "n1", told(bucket=BUCKET - 36 * 86_400), NOW)
    assert (found.kept, found.too_old) == (0, 1)
    rows = await sampled.store.read(lambda usage: usage.execute("SELECT kind, busy_s FROM samples").fetchall())
    assert rows == [("a100", 9)]
    await sampled.tick(NOW + 40 * 86_400)
    rows = await sampled.store.read(lambda usage: usage.execute("SELECT device, busy_s FROM samples").fetchall())
    assert rows == [("", 9)]


@pytest.mark.parametrize("fields", [{"busy_s": 31}, {"bucket": BUCKET + 900}])
async def test_what_cannot_be_is_refused(sampled, fields):
    with pytest.raises(Refused) as refused:
        await sampled.keep("big", "n1", told(**fields), NOW)
    assert [fault.field for fault in refused.value.refusals] == ["devices.0"]


def view(alloc: int = 8, **jobs: tuple[str, State]) -> ClusterView:
    node = Node("n1", "ALLOCATED", True, 64, 0, 0, 0, {"a100": 8}, {"a100": alloc}, (), ())
    told = {
        int(name[1:]): JobRecord(
            slurm_job_id=int(name[1:]), state=state, node_list=nodes, gpus={"a100": 16}, start_time=BUCKET
        )
        for name, (nodes, state) in jobs.items()
    }
    return ClusterView("big", NOW, told, {"n1": node}, {})


@pytest.mark.parametrize(
    ("listed", "holder"),
    [
        (view(j7=("n[1-2]", State.RUNNING)), Holder(7, BUCKET)),
        (view(j7=("n[1-2]", State.RUNNING), j8=("n3", State.RUNNING)), Holder(7, BUCKET)),
        (view(j7=("n[1-2]", State.RUNNING), j8=("n1", State.RUNNING)), None),
        (view(4, j7=("n[1-2]", State.RUNNING)), None), (view(j7=("n1", State.FINISHED)), None), (view(), None),
        (view(j7=("n[", State.RUNNING)), None),
    ],
)  # fmt: skip
def test_all_gpus_of_a_node_are_one_jobs_where_the_listing_leaves_no_choice(listed, holder):
    assert holder_of(listed, "n1") == holder
    assert holder_of(listed, "n9") is None


async def test_what_nobody_had_is_of_the_job_that_has_all_since_it_started(sampled):
    await sampled.store.write(intake.write_nodes, "big", [NodeKind("n1", 5, "gpu:a100:8", 64)])
    samples = told(slurm_job_id=None).devices + told(slurm_job_id=5, device="b").devices
    before = told(slurm_job_id=None, bucket=BUCKET - 300).devices
    await sampled.keep("big", "n1", NodeSamples(samples + before), NOW, Holder(7, BUCKET))
    rows = await sampled.store.read(
        lambda usage: usage.execute("SELECT bucket, device, slurm_job_id FROM samples ORDER BY 1, 2").fetchall()
    )
    assert rows == [(BUCKET - 300, "GPU-a", None), (BUCKET, "GPU-a", 7), (BUCKET, "b", 5)]


async def test_what_nobody_had_is_added_to_what_the_processes_of_the_job_had(sampled):
    await sampled.store.write(intake.write_nodes, "big", [NodeKind("n1", 5, "gpu:a100:8", 64)])
    idle = told(slurm_job_id=None, covered_s=200, busy_s=0, energy_j=9.0, mem_max_bytes=4).devices
    busy = told(slurm_job_id=7, covered_s=100, busy_s=90, mem_max_bytes=8).devices
    for samples in (idle + busy, busy + idle):
        await sampled.keep("big", "n1", NodeSamples(samples), NOW, Holder(7, BUCKET))
        rows = await sampled.store.read(
            lambda usage: usage.execute("SELECT * EXCLUDE (cluster, node, kind, bucket) FROM samples").fetchall()
        )
        assert rows == [("GPU-a", 7, 6, 300.0, 90.0, 8, 9.0)]
