"""The sampler of a node: whose devices are whose, what readings add up to, and that nothing is lost or double."""

from __future__ import annotations

import random
import stat
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.cli.sampler.collecting import Collector, Open, device_of
from hpcjobs.cli.sampler.keeping import MOST_WAITING, Kept, read
from hpcjobs.cli.sampler.loop import NoDevicesError, Sampler, look, way
from hpcjobs.cli.sampler.whose import Process, jobs_by_device, processes
from hpcjobs.client import ApiProblem
from hpcjobs.devices.family import Family
from hpcjobs.devices.sampling import Reading, Sampling
from hpcjobs.model.sample import BUCKET_S, DeviceSample, NodeSamples

T = 1_700_000_100 // BUCKET_S * BUCKET_S


def stepd(pid: int, job: int, step: str = "batch") -> Process:
    return Process(pid, 1, f"slurmstepd: [{job}.{step}]", {})


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ([stepd(10, 7), Process(11, 10, "bash", {"SLURM_JOB_GPUS": "0,1"})], {0: (7,), 1: (7,)}),
        ([stepd(10, 7, "0"), Process(11, 10, "python", {"SLURM_STEP_GPUS": "2-3"})], {2: (7,), 3: (7,)}),
        # Two jobs with shares of one device.
        ([stepd(10, 7), Process(11, 10, "a", {"SLURM_JOB_GPUS": "0"}), stepd(20, 9),
          Process(21, 20, "b", {"SLURM_JOB_GPUS": "0"})], {0: (7, 9)}),
        # A process that is no child of slurmstepd's says what it likes.
        ([stepd(10, 7), Process(11, 10, "bash", {}), Process(12, 11, "liar", {"SLURM_JOB_GPUS": "0-7"})], {}),
        ([Process(11, 1, "bash slurmstepd: [8.batch]", {}), Process(12, 11, "x", {"SLURM_JOB_GPUS": "0"})], {}),
        ([stepd(10, 7), Process(11, 10, "x", {"SLURM_JOB_GPUS": "MIG-1234"})], {}),
        ([stepd(10, 7), Process(11, 10, "x", {"SLURM_JOB_GPUS": "0-99999999999"})], {}),
        ([], {}),
    ],
)  # fmt: skip
def test_a_device_is_of_the_jobs_whose_steps_got_it(told, found):
    assert jobs_by_device(told) == found


def test_processes_are_read_where_slurmstepd_is_their_parent(tmp_path):
    def process(pid: int, parent: int, name: str, title: bytes, environ: bytes | None) -> None:
        folder = tmp_path / str(pid)
        folder.mkdir()
        (folder / "stat").write_text(f"{pid} ({name}) S {parent} 1 1 0")
        (folder / "cmdline").write_bytes(title)
        if environ is not None:
            (folder / "environ").write_bytes(environ)

    process(10, 1, "slurmstepd", b"slurmstepd: [7.batch]\0", None)
    process(11, 10, "a) S 99 (b", b"/bin/sh\0script\0", b"A=1\0SLURM_JOB_GPUS=0,1\0B=\xff\0")
    process(12, 11, "python", b"python\0", b"SLURM_JOB_GPUS=5\0")
    process(13, 10, "gone", b"gone\0", None)
    (tmp_path / "self").mkdir()
    (tmp_path / "14").mkdir()
    found = list(processes(tmp_path))
    assert {one.pid: one.variables for one in found} == {10: {}, 11: {"SLURM_JOB_GPUS": "0,1"}, 13: {}}
    assert jobs_by_device(found) == {0: (7,), 1: (7,)}


def reading(index: int = 0, busy: float | None = 0.5, **more: object) -> Reading:
    return Reading(index=index, uuid=f"GPU-{index}", busy=busy, **more)  # type: ignore[arg-type]


def test_readings_add_up_to_five_minutes():
    collector = Collector(10)
    for place in range(60):
        busy = 1.0 if place < 30 else 0.0
        told = reading(busy=busy, mem_used_bytes=place, power_w=300.0)
        collector.take([told], {0: (7,)}, T + 10 * (place + 1))
    over = collector.over(T + 600)
    assert [(one.bucket, one.slurm_job_id, one.samples, one.covered_s, one.busy_s) for one in over] == [
        (T, 7, 30, 300, 300), (T + 300, 7, 30, 300, 0),
    ]  # fmt: skip
    assert [(one.mem_max_bytes, one.energy_j) for one in over] == [(29, 90_000), (59, 90_000)]
    assert collector.over(T + 599)[-1].bucket == T
    collector.forget(over)
    assert collector.over(T + 10_000) == []


def test_a_device_that_several_jobs_share_has_its_time_once():
    collector = Collector(10)
    collector.take([reading(busy=0.8), reading(1, busy=None, power_w=100.0)], {0: (7, 9)}, T + 10)
    told = collector.over(T + 300)
    assert [(one.device, one.slurm_job_id, one.covered_s, one.busy_s, one.energy_j) for one in told] == [
        ("GPU-0", 7, 5, 4, None), ("GPU-0", 9, 5, 4, None), ("GPU-1", None, 0, 0, 1000),
    ]  # fmt: skip


def test_a_reading_stands_for_no_more_than_twice_the_usual_time():
    collector = Collector(10)
    for now in (10, 1010, 1005, 1015):
        collector.take([reading()], {}, T + now)
    assert sum(one.covered_s for one in collector.over(T + 9_000)) == 10 + 20 + 0 + 10


def test_devices_without_a_name_are_left_out_and_slices_are_told_apart():
    assert device_of(Reading(busy=1.0)) == ""
    assert device_of(Reading(uuid="GPU-a", instance="7")) == "GPU-a/7"
    collector = Collector(10)
    collector.take([Reading(busy=1.0), Reading(index=0, instance="7", profile="1g.5gb", busy=1.0)], {0: (7,)}, T + 10)
    assert [(one.device, one.profile, one.slurm_job_id) for one in collector.over(T + 300)] == [
        ("0/7", "1g.5gb", None)
    ]  # fmt: skip


turns = st.lists(
    st.tuples(st.integers(1, 400), st.lists(st.floats(0, 1), min_size=1, max_size=3), st.sets(st.integers(1, 3))),
    max_size=25,
)  # fmt: skip


@given(turns, st.integers(0, 2**32))
def test_begun_anew_at_any_time_it_adds_up_to_the_same(told, seed):
    chance = random.Random(seed)
    straight, broken = Collector(60), Collector(60)
    now = T
    for lasted, busy, jobs in told:
        now += lasted
        found = [reading(index, share) for index, share in enumerate(busy)]
        whose = {0: tuple(sorted(jobs))} if jobs else {}
        straight.take(found, whose, now)
        broken.take(found, whose, now)
        if chance.random() < 0.4:
            broken = Collector(60, broken.so_far())
    assert broken.over(now + 400) == straight.over(now + 400)
    for one in straight.over(now + 400):
        assert 0 <= one.busy_s <= one.covered_s <= BUCKET_S


class Service:
    """What the service keeps of what it is told: the last of each device, time and job."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, int, int | None], DeviceSample] = {}
        self.fails: ApiProblem | None = None
        self.heard = 0

    def send(self, told: NodeSamples) -> None:
        if self.fails and self.fails.status != 0:
            raise self.fails
        self.kept |= {(one.device, one.bucket, one.slurm_job_id): one for one in told.devices}
        self.heard += 1
        if self.fails:
            raise self.fails  # it has them, and the answer was lost


def feed(folder: Path, busy: int) -> Sampling:
    """A command that prints what nvidia-smi prints, of two devices."""
    command = folder / "smi"
    command.write_text(
        f"#!/bin/sh\nprintf 'index, uuid, name, utilization.gpu [%%]\\n'\n"
        f"printf '0, GPU-a, NVIDIA A100, {busy} %%\\n1, GPU-b, NVIDIA A100, N/A\\n'\n"
    )
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    fields = {"index": ("index",), "uuid": ("uuid",), "model": ("name",), "busy_percent": ("utilization.gpu [%]",)}
    return Sampling(argv=(str(command),), format="csv", fields=fields)  # type: ignore[arg-type]


def sampler(folder: Path, service: Service, said: list[str], busy: int = 50) -> Sampler:
    return Sampler(feed(folder, busy), Kept(folder / "kept"), "n1", 60, service.send, said.append)


LOST = ApiProblem(0, "unreachable", "No answer came.", retry_after_s=5)
AWAY = ApiProblem(503, "unavailable", "Not now.", retry_after_s=5)
NO_TOKEN = ApiProblem(401, "unauthorized", "The token has expired.")
REFUSED = ApiProblem(422, "refused", "No such node.")


def killed(_so_far: Open) -> None:
    """The end of the process, before that is written."""
    raise ZeroDivisionError


@pytest.mark.parametrize("seed", range(12))
def test_killed_anywhere_and_with_the_service_away_each_sample_arrives_once(tmp_path, seed):
    chance = random.Random(seed)
    service, said = Service(), []
    whole = sampler(tmp_path, service, said)
    now = T
    for turn in range(60):
        now += 60
        service.fails = chance.choice([None, None, LOST, AWAY, NO_TOKEN])
        fate = chance.random() if turn % 2 else 0.2
        if fate < 0.15 and turn < 59:
            whole.kept.write_open = killed  # type: ignore[method-assign]
        with suppress(ZeroDivisionError):
            whole.turn(now)
        if fate < 0.3:
            whole = sampler(tmp_path, service, said)  # started anew
    service.fails = None
    whole.turn(now + 400)
    whole.deliver(now + 1000)
    covered: dict[int, float] = defaultdict(float)
    for one in service.kept.values():
        covered[one.bucket] += one.covered_s
    assert {covered[T + 300 * place] for place in range(12)} == {300.0}
    assert sum(covered.values()) == pytest.approx(
        60 * 60 + 20
    )  # the last look stands for two minutes, mostly of open ones
    assert {one.busy_s / one.covered_s for one in service.kept.values() if one.covered_s} == {0.5}
    assert whole.kept.waiting() == []


def test_what_is_wrong_is_said_once_and_what_is_refused_is_put_aside(tmp_path):
    service, said = Service(), []
    whole = sampler(tmp_path, service, said)
    service.fails = AWAY
    for turn in range(1, 20):
        whole.turn(T + 60 * turn)
    assert said == ["samples are kept for now: Not now."]
    service.fails = REFUSED
    assert whole.deliver(T + 2000)
    assert said[-1] == "sending works again"
    assert "put aside: No such node." in said[-2]
    assert whole.kept.waiting() == []
    assert len(list((tmp_path / "kept" / "refused").iterdir())) == 3
    (tmp_path / "smi").write_text("#!/bin/sh\necho broken >&2; exit 9\n")
    for turn in range(20, 23):
        whole.turn(T + 60 * turn)
    assert said.count(f"{tmp_path}/smi ended with 9: broken") == 1


def test_a_file_that_cannot_be_read_stops_nothing(tmp_path):
    service, said = Service(), []
    kept = Kept(tmp_path / "kept")
    (kept.folder / "open.json").write_text("{")
    (kept.folder / "300.json").write_text("[")
    whole = sampler(tmp_path, service, said)
    whole.turn(T + 60)
    assert whole.deliver(T + 100)
    assert "300.json is put aside" in said[0]
    assert (kept.folder / "open.unreadable").exists()


def test_the_oldest_files_are_dropped_where_nobody_takes_them(tmp_path):
    kept = Kept(tmp_path)
    samples = [DeviceSample(device="a", bucket=300 * place, samples=1, covered_s=1, busy_s=1) for place in range(3)]
    for place in range(10, MOST_WAITING + 10):
        (tmp_path / f"{300 * place}.json").touch()
    kept.write(samples[2:])
    assert len(kept.waiting()) == MOST_WAITING
    assert kept.waiting()[0].stem == "3000"


def test_the_same_five_minutes_written_twice_are_put_together(tmp_path):
    kept = Kept(tmp_path)
    one = DeviceSample(device="a", bucket=T, samples=1, covered_s=1, busy_s=1)
    other = DeviceSample(device="b", bucket=T, samples=1, covered_s=1, busy_s=1)
    more = DeviceSample(device="a", bucket=T, samples=2, covered_s=2, busy_s=1)
    for samples in ([one], [other], [more]):
        kept.write(samples)
    assert set(read(kept.waiting()[0]).devices) == {more, other}
    kept.write_open(Open([one], {"a": 5.0}))
    assert Kept(tmp_path).open() == Open([one], {"a": 5.0})


def test_the_first_way_that_works_is_taken(tmp_path):
    working = feed(tmp_path, 10)
    broken = Sampling(argv=("false",), format="csv", fields={"index": ("index",)})
    absent = Sampling(argv=("hpcjobs-no-such-command",), format="csv", fields={"index": ("index",)})
    family = Family(name="a", title="A", gres="gpu", sample=(absent, broken, working))
    assert way([family]) == working
    assert [one.index for one in look(working)] == [0, 1]
    with pytest.raises(NoDevicesError, match="false ended with 1"):
        way([Family(name="a", title="A", gres="gpu", sample=(absent, broken))])
    with pytest.raises(NoDevicesError, match="no command is here"):
        way([Family(name="a", title="A", gres="gpu", sample=(absent,))])
