"""Users' credentials for registries by the API and the command: kept, used, and never told to anybody.

What is written into homes needs root, as the spawner does.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import stat

import msgspec
import pytest

from hpcjobs.identity import Scope
from hpcjobs.settings import ClusterSettings, ContainerSettings, ImageStoreSettings, PluginSettings
from tests.api.bench import NEVER, SCRIPT, UnrulySlurm, on_bench, problem_of, settings_of
from tests.api.test_command_line import run, served
from tests.unit.test_registry import BASIC, DIGEST, PASSWORD, serving

__all__ = ["run", "served"]

ROOT = [
    pytest.mark.thorough,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user"),
]
NOBODY = 65534
HUB = {"registry": "ghcr.io", "user": "alice-at-hub", "secret": PASSWORD}
RUNTIMES = tuple(map(PluginSettings, ("apptainer", "pyxis", "oci")))


async def put(bench, name="hub", of="alice", **change):
    return await bench.call("PUT", f"/v1/credentials/{name}", of, json=HUB | change)


async def listed(bench, user="alice"):
    return (await bench.get("/v1/credentials", user)).json()


async def test_one_is_kept_listed_replaced_and_forgotten(bench):
    answer = await put(bench)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert set(told) == {"name", "registry", "user", "created_at", "used_at"}
    assert (told["name"], told["registry"], told["user"], told["used_at"]) == ("hub", "ghcr.io", "alice-at-hub", None)
    assert await listed(bench) == [told]
    assert (await put(bench, registry="Registry:5000", user="alice")).json()["registry"] == "registry:5000"
    assert [one["registry"] for one in await listed(bench)] == ["registry:5000"]
    assert (await bench.call("DELETE", "/v1/credentials/hub")).status_code == 204
    assert await listed(bench) == []
    assert problem_of(await bench.call("DELETE", "/v1/credentials/hub"))["code"] == "not-found"


async def test_nobody_sees_or_forgets_anothers_whatever_their_role(bench):
    await put(bench)
    for user in ("bob", "ops", "boss"):
        assert await listed(bench, user) == []
        assert (await bench.call("DELETE", "/v1/credentials/hub", user)).status_code == 404
        assert (await bench.call("PUT", "/v1/credentials/hub", user, json=HUB | {"user": user})).status_code == 200
    assert [one["user"] for one in await listed(bench)] == ["alice-at-hub"]


async def test_a_token_that_is_not_for_jobs_may_not(bench):
    told = await bench.call("PUT", "/v1/credentials/hub", json=HUB, scopes=[Scope.JOBS_READ])
    assert problem_of(told)["code"] == "scope-missing"
    told = await bench.call("GET", "/v1/credentials", scopes=[Scope.JOBS_WRITE])
    assert problem_of(told)["code"] == "scope-missing"


async def test_one_has_as_many_as_one_may(bench):
    most = bench.service.settings.credentials_per_user
    for number in range(most):
        assert (await put(bench, f"c{number}")).status_code == 200
    assert problem_of(await put(bench, "more"))["code"] == "conflict"
    assert (await put(bench, "c0")).status_code == 200
    assert (await put(bench, "more", "bob")).status_code == 200


@pytest.mark.parametrize(
    ("name", "change", "status", "field"),
    [
        ("a%20b", {}, 400, "name"),
        ("a%0A", {}, 422, "name"),
        ("a" * 65, {}, 400, "name"),
        ("hub", {"registry": "https://ghcr.io"}, 422, "registry"),
        ("hub", {"user": "a:b"}, 422, "user"),
        ("hub", {"secret": "x" * 8193}, 400, None),
        ("hub", {"secret": "é" * 5000}, 422, "secret"),
        ("hub", {"secret": ""}, 400, None),
        ("hub", {"secret": None}, 400, None),
        ("hub", {"password": "hunter2-"}, 400, None),
    ],
)
async def test_what_cannot_be_one_is_refused(bench, name, change, status, field):
    answer = await put(bench, name, **change)
    problem = problem_of(answer)
    assert answer.status_code == status, answer.text
    assert field is None or [error["field"] for error in problem["errors"]] == [field]
    assert await listed(bench) == []


def test_the_command_keeps_lists_and_forgets_them_and_shows_no_secret(run):
    add = ("credential", "add", "hub", "--registry", "ghcr.io", "--user", "alice")
    assert "--secret-stdin reads it" in run(*add, stdin=PASSWORD).stderr
    assert "no secret came" in run(*add, "--secret-stdin").stderr
    made = run(*add, "--secret-stdin", stdin=f"{PASSWORD}\n")
    assert (made.exit_code, made.output) == (0, "kept hub, for ghcr.io\n")
    assert "hub\tghcr.io\talice\t" in run("credential", "list").stdout
    (one,) = json.loads(run("credential", "list", "--json").stdout)
    assert one["name"] == "hub"
    assert run("credential", "remove", "hub").exit_code == 0
    gone = run("credential", "remove", "hub")
    assert (gone.exit_code, "nobody has no credential 'hub'" in gone.stderr) == (1, True)


async def test_a_change_is_in_the_audit_log_by_its_name(bench):
    await put(bench)
    await bench.call("DELETE", "/v1/credentials/hub")
    rows = (await bench.get("/v1/audit", "boss")).json()["items"]
    told = [(row["action"], row["target"], row["status"]) for row in rows]
    assert ("PUT /v1/credentials/{name}", "/v1/credentials/hub", 200) in told
    assert ("DELETE /v1/credentials/{name}", "/v1/credentials/hub", 204) in told


# What is used


@pytest.fixture
async def registry():
    async with serving() as server:
        server.challenge, server.wanted = ['Basic realm="lab"'], BASIC
        yield server


def host_of(registry):
    return f"127.0.0.1:{registry.port}"


def contained(place, registry, site, cluster=(), **more):
    host = host_of(registry)
    told = {"runtimes": ("apptainer",), "registries": (host,), "insecure": (host,)} | site
    made = ClusterSettings("big", observe_s=NEVER, containers=ContainerSettings(**told), **dict(cluster))
    return settings_of(place, clusters=(made,), plugins=RUNTIMES, **more)


async def submit(bench, registry, user="nobody", credential="hub", **container):
    image = {"image": f"{host_of(registry)}/lab/train:1", "credential": credential}
    return await bench.post(user=user, container=image | container)


def faults(answer):
    return [(error["field"], error["code"]) for error in problem_of(answer)["errors"]]


@pytest.fixture
async def far(place, registry, monkeypatch):
    """A cluster whose files cannot be reached from here."""
    monkeypatch.setattr("hpcjobs.store.store.Store.upgrade", lambda _store: None)
    site = {"runtimes": ("apptainer", "pyxis", "oci"), "ask": False}
    told = contained(place, registry, site, {"file_roots": ()})
    async with on_bench(told, {"big": UnrulySlurm()}) as bench:
        await bench.tick()
        yield bench


async def test_a_job_names_one_that_is_there_and_for_its_registry(far, registry):
    assert faults(await submit(far, registry)) == [("container.credential", "credential-missing")]
    await put(far, of="nobody")
    answer = await submit(far, registry)
    assert faults(answer) == [("container.credential", "credential-elsewhere")]
    told = problem_of(answer)["errors"][0]["detail"]
    assert told == f"Credential 'hub' is for ghcr.io alone, and the image is of {host_of(registry)}."
    for image in ("/images/a.sif", "library://lab/a/b:1", "oci-archive:/a.tar"):
        answer = await submit(far, registry, image=image)
        assert ("container.credential", "credential-elsewhere") in faults(answer)
    assert faults(await submit(far, registry, credential="no name")) == [("container.credential", "invalid")]
    assert registry.asked == []
    assert far.slurm.calls == 0


async def test_where_no_file_can_be_written_for_nodes_a_credential_is_refused(far, registry):
    await put(far, of="nobody", registry=host_of(registry))
    answer = await submit(far, registry)
    assert faults(answer) == [("container.credential", "container-unsupported")]
    assert "it has no file_roots" in problem_of(answer)["detail"]
    assert (await submit(far, registry, credential="")).status_code == 201


@pytest.fixture
def home(folder):
    path = folder / "home"
    path.mkdir(mode=0o755)
    os.chown(path, NOBODY, NOBODY)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def at_home(place, spawner, folder, home, registry, monkeypatch):
    """A bench whose cluster has a home of nobody's, with a site that says more."""
    monkeypatch.setattr("hpcjobs.store.store.Store.upgrade", lambda _store: None)
    cluster = {"home": str(home), "file_roots": (str(home),)}

    def opened(**site):
        told = contained(place, registry, site, cluster, spawner_socket=str(folder / "spawner.sock"))
        return on_bench(told, {"big": UnrulySlurm()})

    return opened


def kept(home, name="hub"):
    return home / ".hpcjobs" / "credentials" / f"{name}.json"


def look(path):
    status = path.stat()
    return stat.S_IMODE(status.st_mode), status.st_uid, json.loads(path.read_text())


def auths(registry, secret=PASSWORD):
    return {"auths": {host_of(registry): {"auth": base64.b64encode(f"alice:{secret}".encode()).decode()}}}


class TestAtHome:
    pytestmark = ROOT

    async def test_the_registry_and_the_runtime_are_told_and_nobody_else(self, at_home, home, registry):
        async with at_home() as bench:
            assert faults(await submit(bench, registry, credential="")) == [("container.image", "image-denied")]
            await put(bench, of="nobody", registry=host_of(registry), user="alice")
            answer = await submit(bench, registry)
            assert answer.status_code == 201, answer.text
            path = kept(home)
            assert look(path) == (0o600, NOBODY, auths(registry))
            (entry,) = bench.slurm._jobs.values()
            launch = entry.spec.launch
            assert launch.image == f"docker://{host_of(registry)}/lab/train:1@{DIGEST}"
            assert launch.authfile == str(path)
            at = launch.before.index("--authfile")
            assert launch.before[at + 1] == str(path)
            sent = msgspec.json.encode(entry.spec).decode()
            assert str(path) in entry.spec.script
            await bench.tick()
            detail = (await bench.get(answer.headers["Location"] + "/detail", "nobody")).text
            for told in (sent, detail, answer.text):
                assert PASSWORD not in told
                assert BASIC.partition(" ")[2] not in told
            assert [one["used_at"] is None for one in await listed(bench, "nobody")] == [False]

    async def test_the_file_is_written_anew_when_the_credential_is_and_closed_when_it_was_open(
        self, at_home, home, registry
    ):
        async with at_home() as bench:
            await put(bench, of="nobody", registry=host_of(registry), user="alice")
            assert (await submit(bench, registry)).status_code == 201
            path = kept(home)
            first = path.stat().st_ino
            assert (await submit(bench, registry)).status_code == 201
            assert path.stat().st_ino == first, "what is so is not written again"
            path.chmod(0o644)
            assert (await submit(bench, registry)).status_code == 201
            assert look(path) == (0o600, NOBODY, auths(registry))
            registry.challenge = []
            await put(bench, of="nobody", registry=host_of(registry), user="alice", secret="another-one")
            answers = await asyncio.gather(*(submit(bench, registry) for _ in range(8)))
            assert {answer.status_code for answer in answers} == {201}
            assert look(path) == (0o600, NOBODY, auths(registry, "another-one"))
            assert os.listdir(path.parent) == ["hub.json"]

    async def test_what_is_only_tried_or_refused_writes_nothing(self, at_home, home, registry):
        async with at_home() as bench:
            await put(bench, of="nobody", registry=host_of(registry), user="alice")
            container = {"image": f"{host_of(registry)}/lab/train:1", "credential": "hub"}
            body = {"script": "#!/bin/sh\n:\n", "container": container}
            verdict = (await bench.call("POST", "/v1/jobs/validate", "nobody", json=body)).json()
            assert verdict["valid"] is True
            assert faults(await submit(bench, registry, save="/a.sif")) == [("container.save", "container-unsupported")]
            await put(bench, of="nobody", registry=host_of(registry), user="alice", secret="wrong-one")
            answer = await submit(bench, registry)
            assert faults(answer) == [("container.image", "image-denied")]
            assert "the credential of alice" in problem_of(answer)["detail"]
            assert os.listdir(home) == []

    async def test_nothing_is_written_through_what_is_in_the_way(self, at_home, home, registry):
        target = home / "mine"
        target.write_text("precious")
        kept(home).parent.mkdir(parents=True)
        kept(home).symlink_to(target)
        for path in (home / ".hpcjobs", kept(home).parent, target):
            os.chown(path, NOBODY, NOBODY)
        async with at_home() as bench:
            await put(bench, of="nobody", registry=host_of(registry), user="alice")
            answer = await submit(bench, registry)
            assert problem_of(answer)["code"] == "not-allowed"
            assert PASSWORD not in answer.text
            assert bench.slurm.calls == 0
        assert target.read_text() == "precious"

    async def test_runtimes_that_cannot_be_given_one_refuse_it(self, at_home, home, registry):
        registry.challenge = []
        async with at_home(runtimes=("pyxis", "oci")) as bench:
            await put(bench, of="nobody", registry=host_of(registry), user="alice")
            told = faults(await submit(bench, registry))
            assert told.count(("container.credential", "container-unsupported")) == 2
            assert os.listdir(home) == []

    async def test_what_brings_an_image_to_the_store_asks_with_it_and_jobs_that_wait_for_that_do_not(
        self, at_home, home, registry, monkeypatch
    ):
        monkeypatch.setattr("hpcjobs.images.fetching._script", lambda: SCRIPT)
        store = ImageStoreSettings(private=f"{home}/images-{{user}}")
        async with at_home(store=store) as bench:
            await put(bench, of="nobody", registry=host_of(registry), user="alice")
            assert (await submit(bench, registry)).status_code == 201
            fetch, job = sorted(bench.slurm._jobs.values(), key=lambda entry: entry.spec.launch is not None)
            assert json.loads(fetch.spec.args[0])["authfile"] == str(kept(home))
            assert look(kept(home)) == (0o600, NOBODY, auths(registry))
            assert (job.spec.launch.authfile, "--authfile" in job.spec.launch.before) == ("", False)
            assert PASSWORD not in msgspec.json.encode(fetch.spec).decode()
