"""How the service comes up: which backend it takes, what it says where it cannot."""

from __future__ import annotations

import os
import time

import pytest

from hpcjobs.agents.pool import AgentPool, Key
from hpcjobs.errors import ClusterUnknown, WorkerLost
from hpcjobs.service import Service
from hpcjobs.settings import ClusterSettings, SettingsError
from hpcjobs.slurm.layered import ways_of
from hpcjobs.slurm.pyslurm_client import PyslurmBackend
from hpcjobs.slurm.slurmrestd import SlurmrestdBackend
from hpcjobs.spawner import load_pyslurm
from tests.api.bench import UnrulySlurm, running, settings_of

NO_PYSLURM = pytest.mark.skipif(os.geteuid() != 0 or load_pyslurm() == "", reason="needs root and no pyslurm")


@pytest.fixture
def jwt_key(tmp_path):
    path = tmp_path / "jwt.key"
    path.write_bytes(b"k" * 32)
    return path


def cluster(*ways: str, **more) -> ClusterSettings:
    return ClusterSettings("big", ways=ways, observe_s=3600, **more)


async def backend_of(settings):
    service = Service(settings)
    try:
        await service.start()
        return service.target(None).observer.backend
    finally:
        await service.stop()


@NO_PYSLURM
async def test_auto_falls_back_to_slurmrestd_and_says_why(place, spawner, folder, jwt_key, caplog):
    one = cluster(slurmrestd_url="http://127.0.0.1:1", jwt_key_file=jwt_key)
    settings = settings_of(place, clusters=(one,), spawner_socket=str(folder / "spawner.sock"), service_user="nobody")
    assert isinstance(await backend_of(settings), SlurmrestdBackend)
    messages = [record.getMessage() for record in caplog.records]
    assert any(
        said.startswith("cluster big: no pyslurm here, going by slurmrestd: pyslurm cannot be imported")
        for said in messages
    )
    assert "cluster big through slurmrestd" in messages


@NO_PYSLURM
@pytest.mark.parametrize(("ways", "url"), [(("pyslurm",), "http://127.0.0.1:1"), ((), None)])
async def test_without_pyslurm_and_a_way_round_it_the_service_does_not_start(
    place, spawner, folder, jwt_key, ways, url
):
    one = cluster(*ways, slurmrestd_url=url, jwt_key_file=jwt_key)
    with pytest.raises(SettingsError, match="cluster big: no pyslurm here: pyslurm cannot be imported"):
        await backend_of(
            settings_of(place, clusters=(one,), spawner_socket=str(folder / "spawner.sock"), service_user="nobody")
        )


@NO_PYSLURM
async def test_an_observer_that_no_agent_can_be_is_told(place, spawner, folder):
    settings = settings_of(
        place, clusters=(cluster(),), spawner_socket=str(folder / "spawner.sock"), service_user="no-such-user"
    )
    with pytest.raises(SettingsError, match="there is no user 'no-such-user'"):
        await backend_of(settings)


async def test_where_the_spawner_makes_pyslurms_agents_auto_is_pyslurm_and_waits_for_the_spawner(place, monkeypatch):
    tries = []

    async def ready(_pool, key):
        tries.append(key)
        if len(tries) < 3:
            raise WorkerLost("not yet", sent=False)

    async def no_pause(_seconds):
        return

    monkeypatch.setattr(AgentPool, "ready", ready)
    monkeypatch.setattr("hpcjobs.ways.asyncio.sleep", no_pause)
    backend = await backend_of(settings_of(place, clusters=(cluster(slurm_conf="/etc/s.conf"),)))
    assert isinstance(backend, PyslurmBackend)
    assert tries == [Key("pyslurm", "hpcjobs", "/etc/s.conf")] * 3


async def test_where_both_can_be_had_pyslurm_comes_first_and_slurmrestd_does_what_it_lacks(place, monkeypatch, jwt_key):
    async def ready(_pool, _key):
        return

    monkeypatch.setattr(AgentPool, "ready", ready)
    one = cluster(slurmrestd_url="http://127.0.0.1:1", jwt_key_file=jwt_key)
    backend = await backend_of(settings_of(place, clusters=(one,)))
    assert [way.kind for way in ways_of(backend)] == ["pyslurm", "slurmrestd"]
    assert backend.kind == "pyslurm"


async def test_a_spawner_that_does_not_come_up_is_told_in_the_end(place, monkeypatch):
    monkeypatch.setattr("hpcjobs.ways.SPAWNER_TRIES", 1)
    with pytest.raises(SettingsError, match="cluster big: the spawner does not come up"):
        await backend_of(settings_of(place, clusters=(cluster(),)))


@pytest.mark.parametrize("given", [{}, {"slurmrestd_url": "http://127.0.0.1:1"}, {"jwt_key_file": "key"}])
async def test_slurmrestd_needs_its_address_and_its_key(place, jwt_key, given):
    more = given | ({"jwt_key_file": jwt_key} if "jwt_key_file" in given else {})
    with pytest.raises(SettingsError, match="slurmrestd needs slurmrestd_url and jwt_key_file"):
        await backend_of(settings_of(place, clusters=(cluster("slurmrestd", **more),)))


async def test_slurmrestd_by_name_asks_no_spawner(place, jwt_key):
    one = cluster("slurmrestd", slurmrestd_url="http://127.0.0.1:1", jwt_key_file=jwt_key)
    assert isinstance(await backend_of(settings_of(place, clusters=(one,))), SlurmrestdBackend)


async def test_a_key_too_short_to_sign_with_stops_the_start(place):
    (place / "token.key").write_bytes(b"short")
    with pytest.raises(SettingsError, match="has 5 bytes; 32 are the least"):
        await backend_of(settings_of(place, clusters=(cluster(),)))


async def test_the_first_cluster_is_the_default_and_each_has_its_own_jobs(place):
    clusters = (ClusterSettings("big", observe_s=3600), ClusterSettings("small", observe_s=3600, home="/home2/{user}"))
    backends = {name: UnrulySlurm(name) for name in ("big", "small")}
    async with running(settings_of(place, clusters=clusters), backends) as bench:
        for name in backends:
            await bench.service.target(name).observer.tick(time.time())
        assert [(await bench.post(cluster=name)).json()["cluster"] for name in (None, "small")] == ["big", "small"]
        assert [backends[name]._jobs[1].spec.workdir for name in backends] == ["/home/alice", "/home2/alice"]
        listed = (await bench.get("/v1/jobs", cluster="small")).json()
        assert [job["cluster"] for job in listed["items"]] == ["small"]
        assert set(listed["observed_at"]) == {"small"}
        assert {(await bench.get(f"/v1/jobs/1?cluster={name}")).json()["cluster"] for name in backends} == set(backends)
        with pytest.raises(ClusterUnknown, match="there are big, small"):
            bench.service.target("other")
        backends["small"].down = True
        await bench.service.target("small").observer.tick(time.time())
        ready = (await bench.http.get("/readyz")).json()
        assert (ready["cluster big"], ready["cluster small"]) == ("ok", "The controller is away.")


async def test_an_attempt_that_a_stopped_service_left_open_is_settled_by_the_next(place):
    slurm = UnrulySlurm()
    async with running(settings_of(place), {"big": slurm}) as bench:
        await bench.tick()
        slurm.mishaps = ["bug after", "bug before"]
        assert [(await bench.post(key)).status_code for key in ("taken", "lost")] == [500, 500]
    async with running(settings_of(place), {"big": slurm}) as bench:
        await bench.tick()
        await bench.settle()
        lost, taken = (await bench.get("/v1/jobs")).json()["items"]
        assert (taken["slurm_job_id"], taken["state"]) == (1, "RUNNING")
        assert (lost["slurm_job_id"], lost["state"]) == (None, "SUBMITTING")
        await bench.send()
        assert (await bench.get(f"/v1/jobs/{lost['id']}")).json()["slurm_job_id"] == 2
