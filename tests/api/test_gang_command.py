"""``hpcjobs gang`` against the real application on a loopback port."""

from __future__ import annotations

import json
import os

import pytest

from hpcjobs.client import Client
from hpcjobs.gangs.joining import members_of
from hpcjobs.model.gang import GangWay
from tests.api.test_command_line import run, served, slurm

__all__ = ["run", "served", "slurm"]


@pytest.fixture
def scripts(tmp_path):
    for name in ("a.sh", "b.sh"):
        (tmp_path / name).write_text(f"#!/bin/sh\n#SBATCH --time=10\nsleep 9999 # {name}\n")
    return str(tmp_path / "a.sh"), str(tmp_path / "b.sh")


def test_scripts_with_a_colon_between_them_are_one_gang(run, slurm, scripts):
    first, second = scripts
    result = run("gang", "--name", "duo", "-N", "1", first, "x", "-y", ":", "-J", "other", "--gpus-per-node=2", second)
    assert result.exit_code == 0, result.output
    number = int(result.stdout.split()[3])
    assert result.stdout == f"Submitted batch job {number} on cluster big\n"
    assert "One heterogeneous job" in result.stderr
    spec = slurm._jobs[number].spec
    one, two = members_of(spec)
    assert (spec.name, one.name, one.args, two.name, two.args) == ("duo", "a.sh", ("x", "-y"), "other", ())
    assert (one.resources.nodes, one.resources.wall_s, two.resources.gpus_per_node) == (1, 600, "2")
    assert "# b.sh" in two.script


def test_as_json_it_is_what_the_service_answers(run, scripts):
    result = run("gang", "--json", scripts[0], ":", scripts[1])
    assert json.loads(result.stdout)["way"] == "het"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], 'no script before or after a ":"'),
        ([":"], 'no script before or after a ":"'),
        (["{0}", ":"], 'no script before or after a ":"'),
        (["{0}", ":", "/no/such"], "No such file"),
        (["{0}", ":", "-N", "many", "{1}"], "'many' is not a count"),
        (["{0}", ":", "--follow", "{1}"], "--follow is not for one job of a gang"),
        (["{0}", ":", "--gang", "x:2", "{1}"], "--gang is not for one job of a gang"),
        (["{0}", ":", "--nonsense", "{1}"], "No such option"),
        (["{0}"], "A gang has 2 to 1000 jobs; 1 were asked for"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_submitted(run, slurm, scripts, words, complaint):
    before = slurm.calls
    result = run("gang", *(word.format(*scripts) for word in words))
    assert result.exit_code != 0
    assert complaint in result.stderr
    assert slurm.calls == before


def test_a_program_submits_a_gang(run, served, scripts):
    run("gang", *scripts[:1])  # gives the token
    with Client(served[1], os.environ["HPCJOBS_TOKEN"]) as client:
        jobs = [{"script": "#!/bin/sh\nsleep 9999\n", "name": name} for name in "ab"]
        made = client.submit_gang(jobs, name="duo", key="a-gang")
        assert made.way is GangWay.HET
        assert client.submit_gang(jobs, name="duo", key="a-gang").jobs[0].id == made.jobs[0].id
        assert [one.name for one in client.detail(made.jobs[0]).members] == ["a", "b"]
