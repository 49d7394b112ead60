"""Several jobs as one heterogeneous job: which can be, and that each is found in it again as it was."""

from __future__ import annotations

import importlib.resources
import subprocess

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.admission import AFTER_PLUGINS, admit
from hpcjobs.gangs.joining import DEFAULT_OUTPUT, OUTPUT, OWN, join, members_of, why_not
from hpcjobs.model.hints import Hints
from hpcjobs.model.spec import Component, JobSpec, Resources
from hpcjobs.sbatch.argv import argv_of
from hpcjobs.sbatch.fold import read_command

HOUR = Resources(nodes=1, wall_s=3600)
REPLACE = msgspec.structs.replace


def member(**fields):
    return admit(JobSpec(**({"script": "#!/bin/sh\n", "resources": HOUR, "name": "m"} | fields)))


words = st.text(st.characters(codec="utf-8", exclude_characters="\0\r", exclude_categories=("Cs",)), max_size=20)
names = st.from_regex(r"[A-Z_]{1,8}", fullmatch=True)
resources = st.builds(
    Resources,
    nodes=st.integers(1, 4),
    ntasks_per_node=st.none() | st.integers(1, 4),
    gpus_per_node=st.none() | st.sampled_from(["1", "a100:8"]),
    constraint=st.none() | st.just("a100"),
    wall_s=st.just(3600),
)
members = st.builds(
    JobSpec,
    script=st.one_of(st.just("#!/bin/sh\n"), words.map(lambda text: f"#!/bin/sh\n{text}\n#member x\n")),
    args=st.lists(words, max_size=3).map(tuple),
    resources=resources,
    name=st.just("m") | st.from_regex(r"[a-z][a-z0-9-]{0,9}", fullmatch=True),
    partition=st.none() | st.sampled_from(["gpu", "cpu"]),
    workdir=st.none() | st.just("/scratch/a b"),
    stdout=st.none() | st.just("out-%j.txt"),
    stderr=st.none() | st.just("/tmp/err"),
    stdin=st.none() | st.just("in"),
    open_mode=st.none() | st.sampled_from(["append", "truncate"]),
    environment=st.dictionaries(names, words, max_size=3),
    mail_user=st.none() | st.just("ada@example.org"),
    read_directives=st.just(False),
)


@given(st.lists(members, min_size=2, max_size=5))
def test_each_member_is_found_again_as_it_was(jobs):
    joined = join(jobs, "duo")
    expected = [REPLACE(job, script_name=job.name, stdout=job.stdout or DEFAULT_OUTPUT) for job in jobs]
    assert list(members_of(joined)) == expected
    assert why_not(jobs) == ""


@given(st.lists(members, min_size=2, max_size=4))
def test_what_is_joined_is_admitted_and_said_to_sbatch_as_it_is(jobs):
    joined = admit(join(jobs, "duo"), AFTER_PLUGINS)
    assert [joined.resources, *(one.resources for one in joined.het)] == [job.resources for job in jobs]
    back = read_command(argv_of(joined), "#!/bin/sh\n")
    assert back.all_resources == joined.all_resources
    assert [back.partition, *(one.partition for one in back.het)] == [job.partition for job in jobs]


def test_the_job_is_the_launcher_with_an_output_of_its_own():
    joined = join([member(name="a"), member(name="b", stdout="b.txt")], "duo")
    assert (joined.name, joined.stdout, joined.read_directives) == ("duo", OUTPUT, False)
    assert joined.script.startswith("#!/bin/bash\n")
    assert len(joined.het) == 1


def test_what_all_have_of_variables_is_the_jobs_and_the_rest_goes_with_each():
    joined = join([member(environment={"A": "1", "B": "2"}), member(environment={"A": "1", "B": "3"})], "duo")
    assert joined.environment == {"A": "1"}
    assert [one.environment["B"] for one in members_of(joined)] == ["2", "3"]


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"array": "0-3"}, "is an array"),
        ({"dependency": "afterok:7"}, "depends on other jobs"),
        ({"het": (Component(),)}, "is a heterogeneous job itself"),
        ({"account": "vision"}, "another account"),
        ({"qos": "high"}, "another qos"),
        ({"requeue": False}, "another requeue"),
        ({"begin": "now+1hour"}, "another begin"),
        ({"signal": "USR1@60"}, "another signal"),
        ({"oci_bundle": "/images/a"}, "in a container"),
        ({"parallel": "tp=2"}, "placed by a plugin"),
        ({"hints": Hints(preemptible=True)}, "hints for policies"),
        ({"resources": Resources(wall_s=7200)}, "longer time limit"),
        ({"resources": Resources()}, "longer time limit"),
        ({"resources": REPLACE(HOUR, bb="#BB capacity=1G")}, "burst buffer"),
        ({"resources": REPLACE(HOUR, distribution="arbitrary")}, "nodes in a file"),
    ],
)
def test_what_a_heterogeneous_job_cannot_do_is_said(other, why):
    jobs = [JobSpec("#!/bin/sh\n", resources=HOUR), REPLACE(JobSpec("#!/bin/sh\n", resources=HOUR), **other)]
    assert why in why_not(jobs)
    assert "Job 1 " in why_not(jobs)


def test_what_sbatch_would_carry_over_to_a_silent_member_is_no_joint_job():
    first = member(resources=REPLACE(HOUR, mem_per_node_bytes=2**30))
    assert "leaves mem_per_node_bytes open" in why_not([first, member()])
    assert why_not([member(), first]) == ""


def test_a_member_may_have_a_shorter_limit_than_the_first():
    shorter = member(resources=REPLACE(HOUR, wall_s=1800))
    assert why_not([member(), shorter, shorter]) == ""


def test_there_are_no_more_members_than_slurm_takes_components():
    assert why_not([member()] * 128) == ""
    assert "at most 128 components" in why_not([member()] * 129)


def test_every_field_is_either_each_members_own_or_one_for_all():
    """A new field of a spec: can each component have its own? Then it stands in OWN and in the launcher's line."""
    assert set(JobSpec.__struct_fields__) >= OWN
    assert {"account", "qos", "reservation", "comment", "hold", "nice", "export", "get_user_env"}.isdisjoint(OWN)


def test_any_other_heterogeneous_job_has_no_members():
    plain = JobSpec("#!/bin/sh\n#member a b\n", het=(Component(), Component()))
    assert members_of(plain) == ()
    assert members_of(JobSpec("#!/bin/sh\n")) == ()


def test_the_launcher_is_bash():
    script = importlib.resources.files("hpcjobs.gangs").joinpath("launcher.sh").read_text()
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False, capture_output=True).stderr == ""
    assert not [line for line in script.splitlines() if line.startswith(("#SBATCH", "#PBS", "#BSUB", "#member "))]
