"""From POST to the last byte of output, on both clusters."""

from __future__ import annotations

import base64
import time

import pytest

from hpcjobs.admission.texts import MAX_COMMENT_BYTES
from tests.slurm.conftest import Stack


def test_the_service_reaches_its_cluster_through_the_expected_backend(stack: Stack) -> None:
    with stack.api() as api:
        (cluster,) = api.get("/v1/clusters").json()
    assert (cluster["name"], cluster["backend"], cluster["up"]) == (stack.cluster, stack.backend, True)


@pytest.mark.parametrize("user", ["alice", "carol"])
def test_a_job_runs_as_the_user_who_asked(stack: Stack, user: str) -> None:
    job = stack.submit("#!/bin/bash\nid -un\nid -Gn\npwd\n", user=user)
    done = stack.finished(job["id"], user)
    assert (done["fate"], done["exit_code"], done["user"]) == ("COMPLETED", 0, user)
    assert done["account"] == {"alice": "vision", "carol": "climate"}[user]
    said = stack.output(job["id"], user).splitlines()
    assert said[0] == user
    assert user in said[1].split()
    assert "root" not in said[1].split()
    assert said[2] == f"/home/{user}"


def test_a_job_gets_the_nodes_and_gpus_that_it_asked_for(stack: Stack, name: str) -> None:
    nodes = 4 if stack.cluster == "slurm2605" else 2
    job = stack.submit(
        "#!/bin/bash\nsrun bash -c 'echo \"$(hostname) $CUDA_VISIBLE_DEVICES\"'\n",
        name=name,
        resources={"nodes": nodes, "ntasks_per_node": 1, "gpus_per_node": 8, "wall_s": 120},
    )
    done = stack.finished(job["id"])
    assert done["fate"] == "COMPLETED", stack.output(job["id"])
    said = sorted(stack.output(job["id"]).split("\n"))[1:]
    assert [line.split()[1] for line in said] == ["0,1,2,3,4,5,6,7"] * nodes
    assert len({line.split()[0] for line in said}) == nodes
    assert (done["nodes"], sum(done["gpus"].values()), done["name"], done["wall_s"]) == (nodes, nodes * 8, name, 120)


def test_output_comes_while_the_job_still_runs(stack: Stack, name: str) -> None:
    job = stack.submit(f"#!/bin/bash\necho first\nuntil [ -e /scratch/{name} ]; do sleep 0.5; done\necho last\n")
    seen: list[tuple[str, str]] = []
    with (
        stack.api() as api,
        stack.api() as other,
        api.stream("GET", f"/v1/jobs/{job['id']}/output", params={"follow": True}) as response,
    ):
        assert response.headers["content-type"].startswith("text/plain")
        for text in response.iter_text():
            seen.append((text, other.get(f"/v1/jobs/{job['id']}").json()["state"]))
            stack.as_user("alice", f"touch /scratch/{name}")  # now it may go on
    stack.as_user("alice", f"rm /scratch/{name}")
    assert "".join(text for text, _ in seen) == "first\nlast\n"
    assert seen[0][0] == "first\n"
    assert seen[0][1] != "FINISHED"


def test_a_follower_that_comes_late_gets_everything(stack: Stack) -> None:
    job = stack.submit("#!/bin/bash\nseq 50000\n")
    stack.finished(job["id"])
    expected = "".join(f"{number}\n" for number in range(1, 50001))
    assert stack.output(job["id"], follow=True) == expected
    assert stack.output(job["id"]) == expected
    assert stack.output(job["id"], offset=len(expected) - 6) == "50000\n"
    assert stack.output(job["id"], offset=-6) == "50000\n"


def test_stderr_is_apart_where_it_was_asked_for(stack: Stack, name: str) -> None:
    job = stack.submit("#!/bin/bash\necho out\necho err >&2\n", stdout=f"{name}-%j.out", stderr=f"{name}-%j.err")
    done = stack.finished(job["id"])
    assert done["stdout"] == f"/home/alice/{name}-{done['slurm_job_id']}.out"
    assert stack.output(job["id"]) == "out\n"
    assert stack.output(job["id"], stream="stderr") == "err\n"


def test_stderr_goes_with_stdout_by_default(stack: Stack) -> None:
    job = stack.submit("#!/bin/bash\necho err >&2\n")
    stack.finished(job["id"])
    assert stack.output(job["id"], stream="stderr") == stack.output(job["id"]) == "err\n"


@pytest.mark.parametrize("code", [1, 127, 128, 129, 255])
def test_an_exit_code_is_what_the_script_said(stack: Stack, code: int) -> None:
    job = stack.submit(f"#!/bin/bash\nexit {code}\n")
    done = stack.finished(job["id"])
    assert (done["fate"], done["exit_code"], done["exit_signal"]) == ("FAILED", code, 0)


def test_a_script_that_kills_itself_shows_the_signal(stack: Stack) -> None:
    job = stack.submit("#!/bin/bash\nkill -SEGV $$\n")
    done = stack.finished(job["id"])
    assert (done["fate"], done["exit_signal"]) == ("FAILED", 11)


def test_arguments_and_environment_arrive_as_they_were_given(stack: Stack) -> None:
    odd = ["a b", "ü—漢", "quote'\"", "$HOME", "*", "--flag", "line\nbreak"]
    job = stack.submit(
        '#!/bin/bash\nprintf "%s\\0" "$@" | base64 -w0; echo\nprintenv COMMA NEWLINE EMPTY SNOW | base64 -w0\n',
        args=odd,
        environment={"COMMA": "a,b=c", "NEWLINE": "x\ny", "EMPTY": "", "SNOW": "☃"},
    )
    stack.finished(job["id"])
    arguments, variables = (base64.b64decode(line).decode() for line in stack.output(job["id"]).split())
    assert arguments == "".join(f"{word}\0" for word in odd)
    assert variables == "a,b=c\nx\ny\n\n☃\n"


def test_an_empty_argument_arrives_though_pyslurm_would_drop_it(stack: Stack) -> None:
    job = stack.submit('#!/bin/bash\necho "$#"\n', args=["a", "", "b"])
    stack.finished(job["id"])
    assert stack.output(job["id"]) == "3\n"


def test_a_job_has_the_users_login_environment(stack: Stack) -> None:
    stack.as_user("bob", "grep -q FROM_PROFILE ~/.profile 2>/dev/null || echo 'export FROM_PROFILE=yes' >> ~/.profile")
    job = stack.submit('#!/bin/bash\necho "$FROM_PROFILE $HOME $USER"\n', user="bob")
    stack.finished(job["id"], "bob")
    assert stack.output(job["id"], "bob") == "yes /home/bob bob\n"


@pytest.mark.parametrize("odd", ["pipe|name", "unicode-漢ü", "quote'\"$(x)`y`;&", "back\\slash", "a" * 200])
def test_odd_job_names_come_back_as_they_went(stack: Stack, odd: str) -> None:
    job = stack.submit("#!/bin/bash\ntrue\n", name=odd)
    assert stack.finished(job["id"])["name"] == odd
    with stack.api() as api:
        found = api.get("/v1/jobs", params={"name": odd}).json()["items"]
    assert job["id"] in [entry["id"] for entry in found]


def test_a_comment_of_the_greatest_length_arrives_whole(stack: Stack) -> None:
    comment = "x" * MAX_COMMENT_BYTES
    job = stack.submit("#!/bin/bash\ntrue\n", comment=comment)
    assert stack.finished(job["id"])["comment"] == comment
    with stack.api() as api:
        refused = api.post("/v1/jobs", json={"script": "#!/bin/sh\n", "comment": comment + "x"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "comment")


def test_a_large_script_arrives_whole(stack: Stack) -> None:
    script = "#!/bin/bash\n" + "# " + "x" * 1_000_000 + '\nwc -c < "$0"\n'
    job = stack.submit(script)
    assert stack.finished(job["id"])["fate"] == "COMPLETED"
    assert int(stack.output(job["id"])) == len(script)


def test_a_running_job_is_cancelled(stack: Stack) -> None:
    job = stack.submit("#!/bin/bash\nsleep 300\n")
    stack.running(job["id"])
    with stack.api() as api:
        assert api.delete(f"/v1/jobs/{job['id']}").status_code == 202
        assert stack.finished(job["id"])["fate"] == "CANCELLED"
        again = api.delete(f"/v1/jobs/{job['id']}")
    assert (again.status_code, again.json()["code"]) == (409, "conflict")


def test_a_held_job_waits_and_can_be_cancelled(stack: Stack) -> None:
    job = stack.submit("#!/bin/bash\ntrue\n", hold=True)
    held = stack.wait(job["id"], lambda now: now["state"] == "HELD")
    assert held["reason"] == "JobHeldUser"
    with stack.api() as api:
        missing = api.get(f"/v1/jobs/{job['id']}/output")
        assert (missing.status_code, missing.json()["code"]) == (404, "output-missing")
        assert api.delete(f"/v1/jobs/{job['id']}").status_code == 202
    assert stack.finished(job["id"])["fate"] == "CANCELLED"


def test_a_job_is_found_by_its_slurm_number(stack: Stack) -> None:
    job = stack.submit("#!/bin/bash\ntrue\n")
    assert stack.job(str(job["slurm_job_id"]))["id"] == job["id"]


def test_a_job_is_there_for_reading_as_soon_as_it_is_submitted(stack: Stack) -> None:
    with stack.api() as api:
        for _ in range(5):
            job = api.post("/v1/jobs", json={"script": "#!/bin/bash\ntrue\n"}).json()
            assert api.get(f"/v1/jobs/{job['id']}").json()["slurm_job_id"] == job["slurm_job_id"]
            assert api.get("/v1/jobs", params={"limit": 1}).json()["items"][0]["id"] == job["id"]


def test_jobs_of_native_sbatch_are_listed_too(stack: Stack, name: str) -> None:
    number = stack.as_user("alice", f"sbatch --parsable -J {name} --wrap 'echo native'").strip()
    give_up = time.monotonic() + 90
    found: list[dict[str, object]] = []
    with stack.api() as api:
        while not found and time.monotonic() < give_up:
            found = api.get("/v1/jobs", params={"name": name}).json()["items"]
            time.sleep(0.2)
    assert [job["slurm_job_id"] for job in found] == [int(number)]
    stack.finished(str(found[0]["id"]))
    assert stack.output(str(found[0]["id"])) == "native\n"


def test_pages_hold_every_job_once(stack: Stack, name: str) -> None:
    ids = [stack.submit("#!/bin/bash\ntrue\n", name=name, hold=True)["id"] for _ in range(7)]
    seen: list[str] = []
    cursor: str | None = None
    with stack.api() as api:
        while True:
            query = {"name": name, "limit": 3} | ({"cursor": cursor} if cursor else {})
            page = api.get("/v1/jobs", params=query).json()
            seen += [job["id"] for job in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        held = api.get("/v1/jobs", params={"name": name, "state": ["HELD", "PENDING"]}).json()["items"]
        done = api.get("/v1/jobs", params={"name": name, "state": "FINISHED"}).json()["items"]
        for job_id in ids:
            assert api.delete(f"/v1/jobs/{job_id}").status_code == 202
    assert seen == ids[::-1]
    assert (len(held), len(done)) == (7, 0)


def test_nodes_show_what_is_taken(stack: Stack) -> None:
    job = stack.submit(
        "#!/bin/bash\nsleep 300\n", resources={"nodes": 1, "gpus_per_node": "a100:3", "cpus_per_task": 2}
    )
    node = stack.running(job["id"])["node_list"]
    with stack.api() as api:
        nodes = {entry["name"]: entry for entry in api.get(f"/v1/clusters/{stack.cluster}/nodes").json()["items"]}
        give_up = time.monotonic() + 90
        while nodes[node]["gpus_alloc"] != {"a100": 3} and time.monotonic() < give_up:
            time.sleep(0.3)
            nodes = {entry["name"]: entry for entry in api.get(f"/v1/clusters/{stack.cluster}/nodes").json()["items"]}
        api.delete(f"/v1/jobs/{job['id']}")
    assert nodes[node]["gpus"] == {"a100": 8}
    assert nodes[node]["gpus_alloc"] == {"a100": 3}
    assert (nodes[node]["cpus_alloc"], nodes[node]["usable"]) == (2, True)
    kinds = {"slurm2605": {"a100", "h100"}}.get(stack.cluster)
    assert kinds is None or {kind for entry in nodes.values() for kind in entry["gpus"]} == kinds
    assert sum(sum(entry["gpus"].values()) for entry in nodes.values()) == 8 * len(nodes)
