"""Jobs in containers by the API: what is refused, what is kept, and what Slurm is given."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hpcjobs.model.container import Launch
from hpcjobs.model.job import Job
from hpcjobs.settings import ClusterSettings, ContainerSettings, PluginSettings

from .bench import NEVER, UnrulySlurm, on_bench, problem_of, settings_of

SITE = ContainerSettings(
    runtimes=("apptainer", "oci"),
    partitions={"bare": (), "sealed": ("oci",)},
    mounts=("/cvmfs:/cvmfs:ro,optional",),
    allowed=("/home/{user}", "/scratch", "/data/{project}"),
    ask=False,
)
RUNTIMES = (PluginSettings("apptainer"), PluginSettings("oci"))
IMAGE = "registry:5000/vision/train:1"


@pytest.fixture
async def bench(tmp_path):
    async with on_bench(containers(tmp_path), {"big": UnrulySlurm()}) as made:
        yield made


def containers(tmp_path, site=SITE, plugins=RUNTIMES):
    cluster = ClusterSettings("big", observe_s=NEVER, containers=site)
    return settings_of(tmp_path, clusters=(cluster,), plugins=plugins)


async def kept(bench, **container: Any) -> dict[str, Any]:
    """The request of a job in a container, as it is kept."""
    answer = await bench.post(container={"image": IMAGE} | container)
    assert answer.status_code == 201, answer.text
    return await spec_of(bench, answer)


async def spec_of(bench, answer) -> dict[str, Any]:
    await bench.tick()
    spec: dict[str, Any] = (await bench.get(answer.headers["Location"] + "/detail")).json()["spec"]
    return spec


async def test_a_job_keeps_what_was_asked_for_and_slurm_gets_a_script_around_its_own(bench):
    spec = await kept(bench)
    assert spec["container"] == {"image": IMAGE}
    assert spec["script"] == "#!/bin/sh\nsleep 9999\n"
    launch = spec["launch"]
    assert (launch["runtime"], launch["image"]) == ("apptainer", f"docker://{IMAGE}")
    assert launch["before"][:2] == ["apptainer", "exec"]
    (entry,) = bench.slurm._jobs.values()
    assert entry.spec.script.startswith(f"#!/bin/sh\n# hpcjobs: what follows runs in docker://{IMAGE}, by apptainer.\n")
    assert "\nsleep 9999\n" in entry.spec.script


async def test_it_has_its_home_what_the_site_says_and_the_folder_above_its_checkpoints(bench):
    asked = {"hints": {"checkpoints": "/scratch/a/run-%j"}, "workdir": "/scratch/w"}
    answer = await bench.post(container={"image": IMAGE}, **asked)
    launch = (await spec_of(bench, answer))["launch"]
    said = " ".join(launch["before"])
    assert "src=/home/alice,dst=/home/alice" in said
    assert "src=/scratch/a,dst=/scratch/a" in said
    assert {one["path"] for one in launch["where"]} >= {"/cvmfs", "/scratch/w"}


@pytest.mark.parametrize(
    ("container", "field", "code"),
    [
        ({"image": "UPPER"}, "container.image", "image-name"),
        ({"mounts": [{"source": "data"}]}, "container.mounts.0.source", "invalid"),
        ({"mounts": [{"source": "/scratch/../etc"}]}, "container.mounts.0.source", "invalid"),
        ({"mounts": [{"source": "/scratch", "target": "/"}]}, "container.mounts.0.target", "invalid"),
        ({"mounts": [{"source": "/scratch"}, {"source": "/data", "target": "/scratch/"}]},
         "container.mounts.1.target", "invalid"),
        ({"mounts": [{"source": "/etc"}]}, "container.mounts.0.source", "mount-not-allowed"),
        ({"mounts": [{"source": "/scratchy"}]}, "container.mounts.0.source", "mount-not-allowed"),
        ({"env": {"A-B": "x"}}, "container.env", "invalid"),
        ({"env": {"A": "x\0"}}, "container.env", "invalid"),
        ({"name": "a b"}, "container.name", "invalid"),
        ({"save": "x.sqsh"}, "container.save", "invalid"),
        ({"mpi": "pmix"}, "container.mpi", "invalid"),
        ({"extra_args": ["--x"]}, "container.extra_args", "operators-only"),
        ({"runtime": "enroot"}, "container.runtime", "no-runtime"),
        ({"save": "/scratch/x.sqsh"}, "container.save", "container-unsupported"),
    ],
)  # fmt: skip
async def test_what_cannot_be_meant_is_refused_by_its_field(bench, container, field, code):
    answer = await bench.post(container={"image": IMAGE} | container)
    assert answer.status_code == 422, answer.text
    errors = problem_of(answer)["errors"]
    assert (field, code) in [(error["field"], error["code"]) for error in errors], errors
    assert bench.slurm.calls == 0


async def test_a_project_may_mount_what_is_its_own(bench):
    mounts = {"image": IMAGE, "mounts": [{"source": "/data/vision/a"}]}
    assert (await bench.post(container=mounts, account="vision")).status_code == 201
    problem = problem_of(await bench.post(container=mounts, account="climate"))
    told = problem["errors"][0]["detail"]
    assert "climate may not mount /data/vision/a; they may mount what is in /home/alice" in told


async def test_operators_may_say_words_to_the_runtime(bench):
    body = {"container": {"image": IMAGE, "extra_args": ["--nvccli"]}}
    assert (await bench.post(user="ops", **body)).status_code == 201
    assert "--nvccli" in next(iter(bench.slurm._jobs.values())).spec.script


async def test_every_partition_of_a_job_must_have_the_runtime(bench):
    body = {"container": {"image": IMAGE}}
    problem = problem_of(await bench.post(**body, partition="bare"))
    assert problem["errors"][0]["detail"] == "Partition bare has no runtime for containers."
    problem = problem_of(await bench.post(**body, partition="sealed"))
    assert problem["errors"][0]["code"] == "container-unsupported"
    assert (await bench.post(**body, partition="gpu")).status_code == 201


async def test_none_is_no_container(bench):
    spec = await kept(bench, runtime="none")
    assert "launch" not in spec


async def test_what_a_request_says_of_the_launch_is_not_heeded(bench):
    first = await kept(bench)
    forged = first["launch"] | {"before": ["rm", "-rf", "/"]}
    answer = await bench.post(container={"image": IMAGE}, launch=forged)
    assert await spec_of(bench, answer) == first
    answer = await bench.post(launch=forged)
    assert "launch" not in await spec_of(bench, answer)


async def test_srun_variables_carry_what_srun_is_told(bench):
    spec = await kept(bench, scope="tasks", mpi="pmix")
    assert spec["launch"]["srun"] == ["--mpi=pmix"]


async def test_accelerators_bring_the_flags_of_their_family(bench):
    answer = await bench.post(container={"image": IMAGE}, resources={"gpus_per_node": "a100:1"})
    launch = (await spec_of(bench, answer))["launch"]
    assert "--nv" in launch["before"]
    answer = await bench.post(container={"image": IMAGE, "devices": False}, resources={"gpus_per_node": "a100:1"})
    launch = (await spec_of(bench, answer))["launch"]
    assert "--nv" not in launch["before"]


async def test_a_cluster_without_containers_says_so(tmp_path):
    async with on_bench(settings_of(tmp_path), {"big": UnrulySlurm()}) as bench:
        problem = problem_of(await bench.post(container={"image": IMAGE}))
    assert problem["errors"] == [
        {"field": "container", "detail": "Cluster big runs no containers.", "code": "no-containers"}
    ]


async def test_a_runtime_without_its_plugin_is_none(tmp_path):
    async with on_bench(containers(tmp_path, plugins=()), {"big": UnrulySlurm()}) as bench:
        problem = problem_of(await bench.post(container={"image": IMAGE}))
    assert {error["code"] for error in problem["errors"]} == {"no-runtime"}


async def test_the_same_key_makes_one_job_also_when_plugins_say_it_otherwise(bench):
    body = {"container": {"image": IMAGE}}
    first = await bench.post("key", **body)
    again = await bench.post("key", **body)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["id"] == again.json()["id"]


async def test_who_is_not_the_owner_sees_no_values_of_variables(bench):
    answer = await bench.post(container={"image": IMAGE, "env": {"TOKEN": "s3cret"}})
    await bench.tick()
    job = msgspec.convert((await bench.get(answer.headers["Location"])).json(), Job)
    shown = await bench.service.details.of(job, bench.observer, False)
    assert "s3cret" not in msgspec.json.encode(shown).decode()
    assert shown.spec.container.image == IMAGE


async def test_gangs_of_containers_are_jobs_of_their_own(bench):
    answer = await bench.call(
        "POST", "/v1/gangs", json={"jobs": [{"script": "#!/bin/sh\n:\n", "container": {"image": IMAGE}}] * 2}
    )
    assert problem_of(answer)["code"] or answer.status_code == 201


def test_a_launch_is_kept_as_small_as_it_is():
    told = msgspec.json.decode(msgspec.json.encode(Launch("apptainer", "docker://a", before=("apptainer",))))
    assert told == {"runtime": "apptainer", "image": "docker://a", "before": ["apptainer"]}
