"""Images of registries and the cluster's store, by the API: one job brings an image there, and all others wait for it.

Needs root, as the spawner does: files are looked at as their user.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil

import pytest

from hpcjobs.errors import Refusal, Refused
from hpcjobs.settings import ClusterSettings, ContainerSettings, ImageStoreSettings, PluginSettings
from tests.api.bench import NEVER, UnrulySlurm, on_bench, problem_of, settings_of
from tests.unit.test_registry import DIGEST, serving

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user"),
]

NOBODY = 65534
HEX = DIGEST.removeprefix("sha256:")


@pytest.fixture
def home(folder):
    path = folder / "home"
    path.mkdir(mode=0o755)
    os.chown(path, NOBODY, NOBODY)
    yield path
    shutil.rmtree(path)


@pytest.fixture
async def registry():
    async with serving() as server:
        yield server


@pytest.fixture
def image(registry):
    return f"127.0.0.1:{registry.port}/lab/train:1"


@pytest.fixture
async def bench(place, spawner, folder, home, registry, monkeypatch):
    monkeypatch.setattr("hpcjobs.store.store.Store.upgrade", lambda _store: None)  # the copy is of the newest schema
    host = f"127.0.0.1:{registry.port}"
    store = ImageStoreSettings(
        private=f"{home}/images-{{user}}", shared=(f"{home}/shared", f"{home}/images-{{project}}"), max_bytes=2**30
    )
    site = ContainerSettings(runtimes=("apptainer",), registries=(host,), insecure=(host,), store=store)
    cluster = ClusterSettings("big", observe_s=NEVER, home=str(home), file_roots=(str(home),), containers=site)
    told = settings_of(
        place, spawner_socket=str(folder / "spawner.sock"), clusters=(cluster,), plugins=(PluginSettings("apptainer"),)
    )
    async with on_bench(told, {"big": UnrulySlurm()}) as bench:
        await bench.tick()
        yield bench


def keep(folder, image, mark=b"SIF", digest=DIGEST):
    """Put an image into a folder of the store, as the job that fetches does."""
    folder.mkdir(exist_ok=True)
    stem = folder / digest.removeprefix("sha256:")
    stem.with_suffix(".sif").write_bytes(mark)
    name = f"docker://{image}@{digest}"
    label = {"image": name, "digest": digest, "format": "sif", "bytes": len(mark), "made_at": 1.0}
    stem.with_suffix(".json").write_text(json.dumps(label))
    for path in (folder, *folder.iterdir()):
        os.chown(path, NOBODY, NOBODY)
    return stem.with_suffix(".sif")


async def submit(bench, image, **container):
    return await bench.post(user="nobody", container={"image": image} | container)


def launched(bench):
    """What Slurm was given: name, dependency and launch of each job."""
    specs = [entry.spec for entry in bench.slurm._jobs.values()]
    return [(spec.name, spec.dependency, spec.launch and spec.launch.image) for spec in specs]


async def test_what_is_not_there_is_fetched_by_a_job_that_the_others_wait_for(bench, home, image):
    answers = await asyncio.gather(*(submit(bench, image) for _ in range(16)))
    assert {answer.status_code for answer in answers} == {201}, [answer.text for answer in answers]
    fetch, *others = sorted(bench.slurm._jobs.values(), key=lambda entry: entry.spec.name != "image-train")
    number = fetch.record.slurm_job_id
    path = f"{home}/images-nobody/{HEX}.sif"
    assert {(one.spec.dependency, one.spec.launch.image) for one in others} == {(f"afterok:{number}", path)}
    assert len(others) == 16
    order = json.loads(fetch.spec.args[0])
    assert (order["digest"], order["folder"], order["max_bytes"]) == (DIGEST, f"{home}/images-nobody", 2**30)
    assert order["image"] == f"docker://{image}@{DIGEST}"
    assert order["insecure"] is True
    assert (home / ".hpcjobs" / "logs").is_dir()


async def test_what_is_there_is_waited_for_by_nobody(bench, home, image):
    path = keep(home / "images-nobody", image)
    assert (await submit(bench, image)).status_code == 201
    assert launched(bench) == [("hpcjobs", None, str(path))]


async def test_a_shared_folder_is_looked_into_first(bench, home, image):
    keep(home / "images-nobody", image)
    path = keep(home / "shared", image)
    assert (await submit(bench, image)).status_code == 201
    assert launched(bench) == [("hpcjobs", None, str(path))]


@pytest.mark.parametrize("fault", ["torn", "no label", "another digest"])
async def test_what_is_not_whole_is_not_there(bench, home, image, fault):
    path = keep(home / "images-nobody", image)
    if fault == "torn":
        path.write_bytes(b"S")
    elif fault == "no label":
        path.with_suffix(".json").unlink()
    else:
        text = path.with_suffix(".json").read_text()
        path.with_suffix(".json").write_text(text.replace(f'"digest": "{DIGEST}"', f'"digest": "sha256:{"0" * 64}"'))
    assert (await submit(bench, image)).status_code == 201
    assert [name for name, _, _ in launched(bench)] == ["image-train", "hpcjobs"]


async def test_without_its_registry_a_tag_is_what_it_was_last(bench, home, registry, image):
    path = keep(home / "images-nobody", image)
    registry.special["/v2/lab/train/manifests/1"] = lambda _: registry_down()
    assert (await submit(bench, image)).status_code == 201
    assert (await submit(bench, f"{image}@{DIGEST}")).status_code == 201
    assert {where for _, _, where in launched(bench)} == {str(path)}
    problem = problem_of(await submit(bench, image, pull="always"))
    assert problem["code"] == "registry-down"


async def test_without_its_registry_what_was_never_here_is_told_before_anything_is_queued(bench, registry, image):
    registry.special["/v2/lab/train/manifests/1"] = lambda _: registry_down()
    problem = problem_of(await submit(bench, image))
    assert (problem["code"], bench.slurm.calls) == ("registry-down", 0)


async def test_a_digest_that_is_there_asks_no_registry(bench, home, registry, image):
    keep(home / "images-nobody", image)
    assert (await submit(bench, f"{image}@{DIGEST}")).status_code == 201
    assert registry.asked == []


async def test_never_is_what_is_there_or_nothing(bench, home, registry, image):
    problem = problem_of(await submit(bench, image, pull="never"))
    assert problem["errors"][0]["code"] == "image-missing"
    path = keep(home / "images-nobody", image)
    assert (await submit(bench, image, pull="never")).status_code == 201
    assert launched(bench) == [("hpcjobs", None, str(path))]
    assert registry.asked == []


async def test_a_fetch_that_failed_is_made_anew(bench, image):
    assert (await submit(bench, image)).status_code == 201
    (number,) = (number for number, one in bench.slurm._jobs.items() if one.spec.name == "image-train")
    bench.slurm.end(number, "FAILED")
    await bench.tick()
    assert (await submit(bench, image)).status_code == 201
    fetches = [number for number, one in bench.slurm._jobs.items() if one.spec.name == "image-train"]
    assert len(fetches) == 2
    assert launched(bench)[-1][1] == f"afterok:{fetches[-1]}"


async def test_what_a_job_waits_for_already_is_kept_and_an_or_is_refused(bench, image):
    answer = await bench.post(user="nobody", container={"image": image}, dependency="singleton")
    assert answer.status_code == 201, answer.text
    assert launched(bench)[-1][1].startswith("singleton,afterok:")
    answer = await bench.post(user="nobody", container={"image": image}, dependency="afterok:1?afterok:2")
    assert problem_of(answer)["errors"][0]["code"] == "image-dependency"


async def test_a_refusal_of_slurms_passes_with_its_cause(bench, image):
    bench.slurm.mishaps = [Refused([Refusal("", "Too many jobs.", "limit")])]
    problem = problem_of(await submit(bench, image))
    assert (problem["errors"][0]["field"], problem["errors"][0]["code"]) == ("container.image", "image-fetch")
    assert "Too many jobs." in problem["detail"]
    assert (await submit(bench, image)).status_code == 201
    assert [name for name, _, _ in launched(bench)] == ["image-train", "hpcjobs"]


async def test_what_it_waits_for_by_its_own_words_is_not_given_up(bench, image):
    assert (await bench.post(user="nobody", container={"image": image}, dependency="singleton")).status_code == 201
    assert (await submit(bench, image)).status_code == 201
    specs = [entry.spec for entry in bench.slurm._jobs.values() if entry.spec.container]
    assert [spec.kill_on_invalid_dep for spec in specs] == [None, True]


async def test_the_same_key_asks_no_registry_again_and_fetches_nothing_more(bench, registry, image):
    body = {"user": "nobody", "container": {"image": image}}
    first = await bench.post("key", **body)
    asked = len(registry.asked)
    (number,) = (number for number, one in bench.slurm._jobs.items() if one.spec.name == "image-train")
    bench.slurm.end(number, "FAILED")
    await bench.tick()
    registry.special["/v2/lab/train/manifests/1"] = lambda _: registry_down()
    again = await bench.post("key", **body)
    assert (first.status_code, again.json()["id"]) == (201, first.json()["id"])
    assert (len(registry.asked), len(bench.slurm._jobs)) == (asked, 2)


async def test_an_account_that_is_a_path_leads_nowhere(bench, home, image):
    keep(home / "images-nobody", image)
    answer = await bench.post(user="nobody", container={"image": image}, account="nobody/../nobody")
    assert answer.status_code == 201, answer.text
    assert launched(bench)[0][2] == f"{home}/images-nobody/{HEX}.sif"


async def test_a_job_is_judged_without_fetching_anything(bench, image):
    body = {"script": "#!/bin/sh\n:\n", "container": {"image": image}}
    answer = await bench.call("POST", "/v1/jobs/validate", "nobody", json=body)
    assert (answer.status_code, answer.json()["valid"]) == (200, True)
    assert bench.slurm.calls == 0


def registry_down():
    from tests.unit.test_registry import Told

    return Told(503, b"")
