"""Output read in the owner's name, through real agents of a real spawner. Needs root, as the spawner does."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from pathlib import Path

import pytest

from hpcjobs.files import CHUNK
from hpcjobs.model.account import Account
from hpcjobs.observe.endings import SETTLE_S
from hpcjobs.settings import ClusterSettings
from tests.api.bench import NEVER, UnrulySlurm, on_bench, problem_of, settings_of

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

SHORT = "#!/bin/sh\nsleep 1\n"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("hpcjobs.output.POLL_S", 0.02)


def clusters_with(*roots: Path) -> tuple[ClusterSettings, ...]:
    return (ClusterSettings("big", observe_s=NEVER, file_roots=tuple(map(str, roots))),)


@pytest.fixture
async def bench(place, spawner, folder):
    """A bench whose user is nobody, whom the spawner may become."""
    settings = settings_of(
        place, clusters=clusters_with(folder), spawner_socket=str(folder / "spawner.sock"), streams_per_user=2
    )
    async with on_bench(settings, {"big": UnrulySlurm()}) as bench:
        await bench.tick()
        yield bench


@pytest.fixture
def file(folder):
    path: Path = folder / f"out-{time.monotonic_ns()}"
    yield path
    if path.is_dir():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


def written(path: Path, data: bytes, mode: int = 0o644) -> Path:
    path.write_bytes(data)
    path.chmod(mode)
    return path


async def job_writing_to(bench, file: Path, **body) -> None:
    await bench.submitted("nobody", stdout=str(file), **body)


async def output(bench, user: str = "nobody", **params):
    return await bench.call("GET", "/v1/jobs/1/output", user, params=params or None)


async def test_the_output_is_the_file_as_it_is(bench, file):
    data = os.urandom(2 * CHUNK + 17)
    await job_writing_to(bench, written(file, data))
    answer = await output(bench)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
    assert answer.content == data


@pytest.mark.parametrize(
    ("offset", "told"),
    [(0, b"0123456789"), (3, b"3456789"), (10, b""), (11, b""), (2**62, b""), (-3, b"789"), (-10, b"0123456789"),
     (-11, b"0123456789"), (-(2**62), b"0123456789")],
)  # fmt: skip
async def test_an_offset_counts_from_the_start_and_a_negative_one_from_the_end(bench, file, offset, told):
    await job_writing_to(bench, written(file, b"0123456789"))
    answer = await output(bench, offset=offset)
    assert (answer.status_code, answer.content) == (200, told)


@pytest.mark.parametrize("follow", [False, True])
@pytest.mark.parametrize("user", ["boss", "ops", "lead"])
async def test_no_role_reads_anothers_output_and_no_agent_is_made(bench, file, user, follow):
    await job_writing_to(bench, written(file, b"text"))
    bench.service.directory.learn("big", [Account("big", "nobody", coordinators=frozenset({"lead"}))], 1.0)
    assert (await bench.get("/v1/jobs/1", user)).status_code == 200
    answer = await output(bench, user, follow=follow)
    assert (answer.status_code, problem_of(answer)["code"]) == (403, "not-allowed")
    assert bench.service.pool._channels == {}


async def test_another_user_does_not_read_and_no_agent_is_made(bench, file):
    await job_writing_to(bench, written(file, b"text"))
    answer = await output(bench, "alice")
    assert (answer.status_code, problem_of(answer)["code"]) == (404, "job-unknown")
    assert bench.service.pool._channels == {}


@pytest.mark.parametrize("follow", [False, True])
async def test_a_file_that_the_owner_may_not_read_is_403(bench, file, follow):
    await job_writing_to(bench, written(file, b"root only", 0o600))
    answer = await output(bench, follow=follow)
    assert (answer.status_code, problem_of(answer)["code"]) == (403, "not-allowed")
    assert f"nobody may not read {file}" in problem_of(answer)["detail"]


@pytest.mark.parametrize("follow", [False, True])
async def test_the_output_of_a_user_that_no_agent_can_be_is_403(bench, file, follow):
    await bench.submitted("alice", stdout=str(file))
    answer = await output(bench, "alice", follow=follow)
    assert (answer.status_code, problem_of(answer)["code"]) == (403, "not-allowed")
    assert "there is no user 'alice' on this machine" in problem_of(answer)["detail"]


async def test_output_that_is_not_there_yet_is_404_and_says_how_the_job_is(bench, file):
    await job_writing_to(bench, file, script=SHORT)
    problem = problem_of(await output(bench))
    assert problem["code"] == "output-missing"
    assert "Job 1 is RUNNING and has written nothing yet" in problem["detail"]
    await bench.tick(2)
    assert "written nothing yet" not in problem_of(await output(bench))["detail"]


@pytest.mark.parametrize("follow", [False, True])
@pytest.mark.parametrize("through_a_link", [False, True])
async def test_no_file_of_the_service_host_is_read_as_output(bench, file, follow, through_a_link):
    if through_a_link:
        file.symlink_to("/etc/passwd")
    await job_writing_to(bench, file if through_a_link else Path("/etc/passwd"), hold=True)
    answer = await output(bench, follow=follow)
    assert (answer.status_code, problem_of(answer)["code"]) == (403, "path-outside")
    assert "below its file_roots only" in problem_of(answer)["detail"]


@pytest.mark.parametrize("follow", [False, True])
async def test_a_cluster_without_file_roots_says_that_its_output_cannot_be_reached(place, file, follow):
    async with on_bench(settings_of(place, clusters=clusters_with()), {"big": UnrulySlurm()}) as bench:
        await bench.tick()
        await job_writing_to(bench, written(file, b"text"))
        answer = await output(bench, follow=follow)
    assert (answer.status_code, problem_of(answer)["code"]) == (501, "not-supported")
    assert "it has no file_roots" in problem_of(answer)["detail"]


async def test_followed_outputs_and_streams_of_events_are_counted_together(bench, file):
    await job_writing_to(bench, written(file, b"text"))
    with bench.service.hub.streams.admit("nobody", 2):
        stream = asyncio.create_task(output(bench, follow=True))
        for _ in range(6000):
            if len(bench.service.hub.streams._open) == 2:
                break
            await asyncio.sleep(0.01)
        refused = await output(bench, follow=True)
        assert (refused.status_code, problem_of(refused)["code"]) == (429, "rate-limited")
        assert (await output(bench)).content == b"text"
        bench.slurm.end(1, "COMPLETED")
        await bench.tick()
        assert (await stream).content == b"text"
    assert await followed(bench) == b"text"
    assert not bench.service.hub.streams._open


async def test_a_follower_stays_until_a_job_that_slurm_lost_has_run_after_all(bench, file, monkeypatch):
    monkeypatch.setattr("hpcjobs.output.POLL_S", 0.0)
    await job_writing_to(bench, file, hold=True)
    reads, read, more = 0, bench.service.output.read, asyncio.Event()

    async def read_and_count(*args):
        nonlocal reads
        reads += 1
        if reads * 0.3 > SETTLE_S:
            more.set()
        return await read(*args)

    monkeypatch.setattr(bench.service.output, "read", read_and_count)
    bench.slurm.lose()
    await bench.tick(2)
    assert (await bench.get("/v1/jobs/1", "nobody")).json()["state"] == "UNKNOWN"
    stream = asyncio.create_task(output(bench, follow=True))
    await asyncio.wait_for(more.wait(), 60)
    written(file, b"at last")
    await bench.ask_accounting()
    await bench.send()
    bench.slurm.end(1, "COMPLETED")
    await bench.tick(3)
    assert (await stream).content == b"at last"


async def test_a_job_without_an_error_file_of_its_own_is_404(bench, file):
    await job_writing_to(bench, written(file, b"text"))
    answer = await output(bench, stream="stderr")
    assert answer.status_code == 404
    assert "has no output file yet" in problem_of(answer)["detail"]


async def test_what_is_no_file_is_404(bench, file):
    file.mkdir()
    await job_writing_to(bench, file)
    assert (await output(bench)).status_code == 404


async def test_without_a_spawner_the_output_is_503(place, file):
    async with on_bench(settings_of(place), {"big": UnrulySlurm()}) as bench:
        await bench.tick()
        await job_writing_to(bench, written(file, b"text"))
        answer = await output(bench)
        assert (answer.status_code, problem_of(answer)["code"]) == (503, "worker-lost")


async def followed(bench, ended: asyncio.Event | None = None, within_s: float = 60.0, **params) -> bytes:
    """Everything that a follower gets; the job ends when it is told to, or at once."""
    stream = asyncio.create_task(output(bench, follow=True, **params))
    if ended is not None:
        await ended.wait()
    bench.slurm.end(1, "COMPLETED")
    await bench.tick()
    answer = await asyncio.wait_for(stream, within_s)
    assert answer.status_code == 200
    return answer.content


async def test_a_follower_gets_all_of_a_file_that_grows(bench, file):
    await job_writing_to(bench, written(file, b""))
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    lines = [b"line %d\n" % n for n in range(200)]

    def write() -> None:
        with file.open("ab", buffering=0) as out:
            for line in lines:
                out.write(line)
                time.sleep(0.001)
        loop.call_soon_threadsafe(ended.set)

    writer = threading.Thread(target=write)
    writer.start()
    assert await followed(bench, ended) == b"".join(lines)
    writer.join()


async def test_a_follower_gets_what_is_written_just_after_the_end_is_known(bench, file, monkeypatch):
    monkeypatch.setattr("hpcjobs.output.POLL_S", 0.1)
    await job_writing_to(bench, written(file, b"early "))
    read = bench.service.output.read

    async def read_and_write(job, *where):
        chunk = await read(job, *where)
        if job.final and not chunk.data:  # the end is known, and nothing more was there
            file.write_bytes(b"early late")
        return chunk

    monkeypatch.setattr(bench.service.output, "read", read_and_write)
    assert await followed(bench) == b"early late"


async def test_a_follower_waits_for_a_file_that_appears_late(bench, file):
    await job_writing_to(bench, file)
    ended = asyncio.Event()
    stream = asyncio.create_task(followed(bench, ended))
    await asyncio.sleep(0.1)
    assert not stream.done()
    written(file, b"at last")
    await asyncio.sleep(0.1)
    ended.set()
    assert await stream == b"at last"


async def test_a_follower_of_a_job_that_ends_without_output_ends_too(bench, file):
    await job_writing_to(bench, file)
    assert await followed(bench) == b""


async def test_a_follower_of_a_job_that_has_no_file_waits_for_the_observer_and_ends_with_the_job(bench, file):
    await job_writing_to(bench, file)
    assert await followed(bench, stream="stderr") == b""


async def test_a_follower_from_before_the_end_begins_there(bench, file):
    await job_writing_to(bench, written(file, b"0123456789"))
    assert await followed(bench, offset=-4) == b"6789"


def told_when_read(bench, monkeypatch, offset):
    """An event that is set when the stream, not the look before it, has read the file from this offset."""
    was_read, read = asyncio.Event(), bench.service.output.read

    async def read_and_tell(job, path, start, limit):
        chunk = await read(job, path, start, limit)
        if (start, limit) == (offset, CHUNK):
            was_read.set()
        return chunk

    monkeypatch.setattr(bench.service.output, "read", read_and_tell)
    return was_read


async def test_a_file_that_is_cut_short_does_not_hang_or_repeat(bench, file, monkeypatch):
    await job_writing_to(bench, written(file, b"0123456789"))
    ended, was_read = asyncio.Event(), told_when_read(bench, monkeypatch, 0)
    stream = asyncio.create_task(followed(bench, ended))
    await asyncio.wait_for(was_read.wait(), 60)
    os.truncate(file, 4)
    await asyncio.sleep(0.1)
    ended.set()
    assert await stream == b"0123456789"


async def test_a_follower_from_before_the_end_of_an_empty_file_gets_what_comes(bench, file, monkeypatch):
    await job_writing_to(bench, written(file, b""))
    ended, was_read = asyncio.Event(), told_when_read(bench, monkeypatch, -4)
    stream = asyncio.create_task(followed(bench, ended, offset=-4))
    await asyncio.wait_for(was_read.wait(), 60)
    with file.open("ab") as out:
        out.write(b"much more than four bytes")
    await asyncio.sleep(0.1)
    ended.set()
    assert await stream == b"much more than four bytes"


async def test_a_broken_stream_goes_on_where_it_broke(bench, file):
    await job_writing_to(bench, written(file, b"0123456789"))
    assert await followed(bench, offset=6) == b"6789"


async def test_a_follower_who_goes_away_leaves_nothing_running(bench, file):
    await job_writing_to(bench, written(file, b"text"))
    before = len(asyncio.all_tasks())
    stream = asyncio.create_task(output(bench, follow=True))
    await asyncio.sleep(0.1)
    stream.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stream
    for _ in range(3000):  # a read under way is finished, for nobody
        if len(asyncio.all_tasks()) <= before:
            break
        await asyncio.sleep(0.02)
    assert len(asyncio.all_tasks()) <= before
    assert (await output(bench)).content == b"text"


async def test_reading_a_file_that_grows_faster_than_it_is_read_ends_where_the_end_was(bench, file, monkeypatch):
    data = os.urandom(2 * CHUNK + 5)
    await job_writing_to(bench, written(file, data))
    read = bench.service.output.read

    async def read_and_grow(*args):
        chunk = await read(*args)
        if file.stat().st_size < 9 * CHUNK:
            with file.open("ab") as out:
                out.write(bytes(CHUNK))
        return chunk

    monkeypatch.setattr(bench.service.output, "read", read_and_grow)
    assert (await output(bench)).content == data


async def test_a_file_cut_short_while_it_is_read_ends_the_answer(bench, file, monkeypatch):
    await job_writing_to(bench, written(file, bytes(2 * CHUNK)))
    read = bench.service.output.read

    async def read_and_cut(*args):
        chunk = await read(*args)
        os.truncate(file, 3)
        return chunk

    monkeypatch.setattr(bench.service.output, "read", read_and_cut)
    assert len((await output(bench)).content) == CHUNK
