"""The order of ranks that a plugin gives, in a file below the user's home. Needs root, as the spawner does."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil

import pytest

from hpcjobs.settings import ClusterSettings
from tests.api.bench import NEVER, UnrulySlurm, on_bench, settings_of
from tests.unit.plugged import install

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user"),
]

NOBODY = 65534
RANKS = """
    def place(spec, view):
        return Placement(nodes=("n1", "n2"), ranks=("n2", "n1", "n2"), why="it is near")
    PLUGIN = Plugin(name="ranks", api=1, hooks=[Place(place)])
"""
TEXT = "n2\nn1\nn2\n"


@pytest.fixture
def home(folder):
    path = folder / "home"
    path.mkdir(mode=0o755)
    os.chown(path, NOBODY, NOBODY)
    yield path
    shutil.rmtree(path)


@pytest.fixture
async def bench(place, spawner, folder, home, tmp_path, monkeypatch):
    site = tmp_path / "site"
    install(site, "ranks", RANKS)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", f"{site}:{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setattr("hpcjobs.store.store.Store.upgrade", lambda _store: None)  # the copy is of the newest schema
    cluster = ClusterSettings("big", observe_s=NEVER, file_roots=(str(home),))
    told = settings_of(place, spawner_socket=str(folder / "spawner.sock"), clusters=(cluster,))
    async with on_bench(told, {"big": UnrulySlurm()}) as bench:
        await bench.tick()
        used = await bench.call("PUT", "/v1/plugins", "boss", json={"plugins": [{"name": "ranks"}]})
        assert used.status_code == 200, used.text
        yield bench


def environments(bench):
    return [entry.spec.environment for entry in bench.slurm._jobs.values()]


async def test_srun_finds_the_order_of_ranks_in_a_file_of_the_users(bench, home):
    for _ in range(2):
        assert (await bench.post(user="nobody", parallel="tp=3")).status_code == 201
    (file,) = (home / ".hpcjobs" / "hosts").iterdir()
    assert (file.read_text(), file.stat().st_uid) == (TEXT, NOBODY)
    for variables in environments(bench):
        assert variables["SLURM_HOSTFILE"] == str(file)
        assert variables["SLURM_DISTRIBUTION"] == "arbitrary"
        assert variables["HPCJOBS_RANK_NODES"] == "n2,n1"


async def test_jobs_of_one_order_that_come_at_once_all_have_the_file(bench, home):
    answers = await asyncio.gather(*(bench.post(user="nobody", parallel="tp=3") for _ in range(20)))
    assert {answer.status_code for answer in answers} == {201}
    assert len(environments(bench)) == 20
    assert all("SLURM_HOSTFILE" in variables for variables in environments(bench))
    (file,) = (home / ".hpcjobs" / "hosts").iterdir()
    assert file.read_text() == TEXT


async def test_what_a_service_that_was_killed_had_written_of_the_file_is_not_taken_for_it(bench, home):
    folder = home / ".hpcjobs" / "hosts"
    folder.mkdir(parents=True)
    name = hashlib.sha256(TEXT.encode()).hexdigest()
    (folder / f".{name[:24]}.{name[:32]}.part").write_text("n2\nn")
    from hpcjobs.agents.uploads import part_name

    (folder / os.fsdecode(part_name(name[:24].encode(), name[:32]))).write_text("n2\nn")
    for path in (home / ".hpcjobs", folder, *folder.iterdir()):
        os.chown(path, NOBODY, NOBODY)
    assert (await bench.post(user="nobody", parallel="tp=3")).status_code == 201
    assert (folder / name[:24]).read_text() == TEXT


async def test_a_job_whose_ranks_can_be_written_nowhere_goes_without_the_file(bench, home):
    (home / ".hpcjobs").write_text("in the way")
    assert (await bench.post(user="nobody", parallel="tp=3")).status_code == 201
    (variables,) = environments(bench)
    assert ("SLURM_HOSTFILE" in variables, variables["HPCJOBS_RANK_NODES"]) == (False, "n2,n1")
