"""Jobs in containers on real Slurm, as alice, with images of a real registry."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest

from tests.slurm.conftest import Stack
from tests.slurm.images import REGISTRY, pushed, said, saved, unpacked
from tests.slurm.inside import HOME, agent_on, image_on
from tests.slurm.steered import Use, until
from tests.slurm.test_recovery import told

LOOKS = "#!/bin/sh\necho $IN_IMAGE; id -u; pwd; echo $SLURM_JOB_ID; exit 7\n"
NODES = '#!/bin/sh\necho "$IN_IMAGE $SLURMD_NODENAME $SLURM_PROCID"\n'


@pytest.fixture(scope="module")
def image(new: Stack) -> str:
    """A tag of the registry."""
    pushed(new, "vision/python:1")
    return f"{REGISTRY}/vision/python:1"


def ended(stack: Stack, script: str, image: str, user: str = "alice", **asked: Any) -> tuple[dict[str, Any], str]:
    """A job in an image, when it has ended, and its output."""
    container = {"image": image} | asked.pop("container", {})
    job = stack.submit(script, user, container=container, **asked)
    done = stack.finished(job["id"], user)
    return done, stack.output(job["id"], user)


def refused(stack: Stack, image: str, user: str = "alice", status: int = 422, **asked: Any) -> dict[str, Any]:
    """What is said against a job in an image; nothing of it is in Slurm."""
    name = f"refused-{uuid.uuid4().hex[:8]}"
    container = {"image": image} | asked.pop("container", {})
    with stack.api(user) as api:
        answer = api.post("/v1/jobs", json={"script": LOOKS, "name": name, "container": container, **asked})
    assert answer.status_code == status, answer.text
    assert stack.slurm_jobs_named(name) == []
    problem: dict[str, Any] = answer.json()
    return problem


def test_a_script_runs_in_an_image_of_the_registry_as_its_user(new: Stack, image: str) -> None:
    job, output = ended(new, LOOKS, image)
    mark, uid, folder, number = output.split("\n")[-5:-1]
    assert (mark, folder, number) == ("yes", HOME, str(job["slurm_job_id"]))
    assert uid == new.run("login", "id -u alice").strip()
    assert (job["fate"], job["exit_code"]) == ("FAILED", 7)


def test_every_task_of_four_nodes_is_inside(new: Stack, image: str) -> None:
    four = {"nodes": 4, "ntasks_per_node": 2, "gpus_per_node": 2}
    job, output = ended(new, NODES, image, container={"scope": "tasks"}, resources=four)
    assert job["fate"] == "COMPLETED", output
    told = sorted(line for line in output.splitlines() if line.startswith("yes c"))
    assert told == [f"yes c{1 + rank // 2} {rank}" for rank in range(8)]


def test_a_script_that_stays_outside_starts_its_steps_inside(new: Stack, image: str) -> None:
    step = f"srun $HPCJOBS_SRUN -N2 $HPCJOBS_WRAP sh -c '{NODES.splitlines()[1]}'"
    script = f"#!/bin/sh\necho ${{IN_IMAGE-outside}}\n{step}\n"
    job, output = ended(new, script, image, container={"scope": "steps"}, resources={"nodes": 2})
    assert job["fate"] == "COMPLETED", output
    lines = [line for line in output.splitlines() if line.startswith(("outside", "yes"))]
    assert lines[0] == "outside"
    assert sorted(re.sub(r"c\d", "c", line) for line in lines[1:]) == ["yes c 0", "yes c 1"]


def test_a_container_has_the_gpus_of_its_job_and_no_others(new: Stack, image: str) -> None:
    script = "#!/bin/sh\necho GPUs $CUDA_VISIBLE_DEVICES.\n"
    _, output = ended(new, script, image, resources={"gpus_per_node": "a100:2"})
    assert "GPUs 0,1." in output or re.search(r"GPUs \d,\d\.", output)
    _, output = ended(new, script, image)
    assert "GPUs ." in output


def test_variables_and_words_with_blanks_arrive_and_a_secret_is_in_no_process_list(new: Stack, image: str) -> None:
    script = '#!/bin/sh\necho "<$TOKEN> <$1> <$FROM_JOB>"\nps -ef 2>/dev/null | grep -c "s3cret word" || true\n'
    _, output = ended(
        new,
        script,
        image,
        args=["a b"],
        container={"env": {"TOKEN": "s3cret word"}},
        environment={"FROM_JOB": "yes, it's"},
    )
    assert "<s3cret word> <a b> <yes, it's>" in output
    slow = new.submit(
        "#!/bin/sh\necho ready\nsleep 60\n", container={"image": image, "env": {"TOKEN": "s3cret-" + uuid.uuid4().hex}}
    )
    said(new, slow["id"], "ready")
    node = new.job(slow["id"])["node_list"]
    assert "s3cret-" not in new.run(node, "cat /proc/*/cmdline 2>/dev/null | tr '\\0' ' '", check=False)
    with new.api() as api:
        assert api.delete(f"/v1/jobs/{slow['id']}").status_code < 300


def test_mounts_are_there_as_they_were_asked_for(new: Stack, image: str) -> None:
    new.as_user("alice", "mkdir -p /scratch/mine && echo there >/scratch/mine/file")
    script = (
        "#!/bin/sh\nread told </data/file; echo $told\necho x >/data/new || echo read-only\n"
        "echo x >/scratch/mine/new && echo written\n"
        f"read it <{HOME}/.ssh/id_ed25519.pub && echo home || echo homeless\n"
    )
    mounts = [{"source": "/scratch/mine", "target": "/data", "read_only": True}, {"source": "/scratch/mine"}]
    _, output = ended(new, script, image, container={"mounts": mounts})
    assert [line for line in output.splitlines() if line in ("there", "read-only", "written", "home", "homeless")] == [
        "there", "read-only", "written", "home",
    ]  # fmt: skip
    _, output = ended(new, script, image, container={"mounts": mounts, "home": False})
    assert "homeless" in output
    problem = refused(new, image, container={"mounts": [{"source": "/etc"}]})
    assert problem["errors"][0]["field"] == "container.mounts.0.source"
    assert problem["errors"][0]["code"] == "mount-not-allowed"


def test_the_entry_point_runs_where_it_is_asked_for(new: Stack, image: str) -> None:
    script = "#!/bin/sh\necho entry ${ENTRY-none}\n"
    assert "entry none" in ended(new, script, image)[1]
    assert "entry entered" in ended(new, script, image, container={"entrypoint": True})[1]


def test_a_warning_before_the_end_reaches_the_program_inside(new: Stack, image: str) -> None:
    script = '#!/bin/sh\ntrap "echo saved; exit 3" USR1\necho ready\nwhile :; do sleep 0.1; done\n'
    job = new.submit(script, container={"image": image}, resources={"nodes": 1})
    said(new, job["id"], "ready")
    with new.api() as api:
        answer = api.post(f"/v1/jobs/{job['id']}/signal", json={"signal": "USR1", "scope": "batch"})
    assert answer.status_code < 300, answer.text
    done = new.finished(job["id"])
    assert (done["exit_code"], "saved" in new.output(job["id"])) == (3, True)


def test_images_that_are_files_and_folders_run_as_well(new: Stack) -> None:
    new.run("c1", "install -d -m 1777 /scratch/images")
    archive = saved(new, "/scratch/images/python.tar", mark="archived")
    _, output = ended(new, LOOKS, f"docker-archive:{archive}")
    assert "archived" in output
    _, output = ended(new, LOOKS, image_on(new))
    assert f"\n{HOME}\n" in f"\n{output}"
    built = new.submit(f"#!/bin/sh\nset -e\napptainer build -F /scratch/images/built.sif docker-archive:{archive}\n")
    assert new.finished(built["id"])["fate"] == "COMPLETED"
    _, output = ended(new, LOOKS, "/scratch/images/built.sif")
    assert "archived" in output


def test_an_image_that_is_not_there_or_not_readable_is_refused_by_name(new: Stack, image: str) -> None:
    problem = refused(new, f"{REGISTRY}/vision/python:2")
    assert (problem["errors"][0]["field"], problem["errors"][0]["code"]) == ("container.image", "image-missing")
    problem = refused(new, f"{image}@sha256:{'0' * 64}")
    assert problem["errors"][0]["code"] == "image-missing"
    assert refused(new, "/scratch/nothing.sif")["errors"][0]["code"] == "image-missing"
    new.as_user("bob", "umask 077; echo >/scratch/bobs.sif")
    assert refused(new, "/scratch/bobs.sif")["errors"][0]["code"] == "image-denied"
    assert refused(new, "elsewhere.example.org/a:1")["errors"][0]["code"] == "registry-refused"
    assert refused(new, "-x")["errors"][0]["code"] == "image-name"


def test_a_job_keeps_the_image_that_its_tag_was_when_it_came(new: Stack) -> None:
    name = f"vision/moving-{uuid.uuid4().hex[:8]}:latest"
    first = pushed(new, name, "one")
    job = new.submit(LOOKS, container={"image": f"{REGISTRY}/{name}"}, hold=True)
    second = pushed(new, name, "two")
    assert first != second
    with new.api() as api:
        assert api.post(f"/v1/jobs/{job['id']}/release").status_code < 300
        launch = api.get(f"/v1/jobs/{job['id']}/detail").json()["spec"]["launch"]
    new.finished(job["id"])
    assert launch["digest"] == first
    assert "one" in new.output(job["id"]).split()
    assert "two" in ended(new, LOOKS, f"{REGISTRY}/{name}")[1].split()
    assert "one" in ended(new, LOOKS, f"{REGISTRY}/{name}@{first}")[1].split()


@pytest.mark.parametrize("stack", ["new"], indirect=True)
def test_what_goes_wrong_with_a_container_is_its_own_class(new: Stack, image: str, use: Use) -> None:
    use(checkpoint={})
    job = new.submit("#!/usr/bin/nothing\n", container={"image": image}, hints={"recover": True})
    done = new.finished(job["id"])
    assert done["fate"] == "FAILED"
    until(new, lambda: told(new, job), lambda it: any(one["failure"] for one in it))
    assert told(new, job)[0]["failure"] == "container", new.output(job["id"])


@pytest.mark.parametrize("stack", ["new"], indirect=True)
def test_a_job_goes_on_from_its_checkpoint_inside(new: Stack, image: str, use: Use, name: str) -> None:
    use(checkpoint={})
    agent = agent_on(new)
    program = (
        "import sys\nfrom injob import report\nstart = report.resume_from()\n"
        "print('from', start.name if start else None, flush=True)\n"
        "with report.saving(1 if start is None else 2) as folder:\n    (folder / 'x').write_text('x')\n"
        "sys.exit(0 if start else 75)\n"
    )
    script = f"#!/bin/sh\nexport PYTHONPATH={HOME}\nexec {agent} run -- python3 - <<'END'\n{program}\nEND\n"
    hints = {"recover": True, "checkpoints": f"/scratch/alice-{name}/run"}
    new.as_user("alice", f"mkdir -p /scratch/alice-{name}")
    job = new.submit(script, container={"image": image, "home": True}, hints=hints)
    until(new, lambda: new.job(job["id"]), lambda now: now["fate"] == "COMPLETED", 150)
    assert new.job(job["id"])["restarts"] == 1
    assert "from step-1" in new.output(job["id"])


def test_slurms_own_containers_run_a_bundle(new: Stack) -> None:
    bundle = f"/scratch/bundle-{uuid.uuid4().hex[:8]}"
    unpacked(new, bundle, "bundled")
    script = "#!/bin/sh\necho in $IN_IMAGE; exit 4\n"
    job, output = ended(new, script, bundle, container={"runtime": "oci"})
    assert "in bundled" in output
    assert job["exit_code"] == 4


def test_an_older_cluster_without_runtimes_says_so(old: Stack) -> None:
    problem = refused(old, f"{REGISTRY}/vision/python:1")
    assert problem["errors"][0]["code"] == "no-containers"
    assert "slurm2411" in problem["errors"][0]["detail"]
