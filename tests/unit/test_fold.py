"""Directives and command lines folded into a spec, one component or several."""

from __future__ import annotations

import pytest

from hpcjobs.model.spec import Component, Resources
from hpcjobs.sbatch.fold import fill_in, read_command, read_words

from .builders import spec

GIB = 2**30


def test_directives_fill_in_only_what_the_spec_leaves_open():
    script = "#!/bin/sh\n#SBATCH -J script -p slow -N 8 --mem=1G -t 10 --hold --exclusive\ntrue\n"
    asked = spec(script, Resources(nodes=2, exclusive=False), name="asked", hold=False)
    filled, refusals = fill_in(asked)
    assert refusals == []
    assert (filled.name, filled.hold, filled.partition) == ("asked", False, "slow")
    assert filled.resources == Resources(nodes=2, exclusive=False, mem_per_node_bytes=GIB, wall_s=600)


@pytest.mark.parametrize(
    ("directive", "asked", "filled"),
    [
        ("-N 2-8", Resources(nodes=1), Resources(nodes=1)),
        ("-N 1,3", Resources(nodes=1), Resources(nodes=1)),
        ("-N 1,3", Resources(nodes_max=4), Resources(nodes_max=4)),
        ("-N 2-8", Resources(node_counts="1,3"), Resources(node_counts="1,3")),
        ("-N 4", Resources(nodes_max=2), Resources(nodes=4, nodes_max=2)),
        ("--switches=2@5", Resources(switches=1), Resources(switches=1)),
    ],
)
def test_an_option_of_several_fields_does_not_mix_with_the_specs_own_word(directive, asked, filled):
    assert fill_in(spec(f"#!/bin/sh\n#SBATCH {directive}\n", asked))[0].resources == filled


def test_every_faulty_directive_is_told_with_its_line_and_the_good_ones_still_count():
    script = "#!/bin/sh\n#SBATCH --nope\n#SBATCH -J good\n#SBATCH --comment='open\n#SBATCH -n x\ntrue\n#SBATCH --late\n"
    filled, refusals = fill_in(spec(script))
    assert filled.name == "good"
    assert [refusal.detail.split(":")[0] for refusal in refusals] == ["line 2", "line 4", "line 5"]
    assert {(refusal.field, refusal.code) for refusal in refusals} == {("script", "bad-directive")}


def test_a_script_without_directives_leaves_the_spec_as_it_is():
    assert fill_in(spec(name="x")) == (spec(name="x"), [])


HET = """#!/bin/sh
#SBATCH --job-name=pair --ntasks=1 --mem=4G --time=10
#SBATCH --partition=cpu
#SBATCH hetjob
#SBATCH -N 2 --gpus-per-node=8 -p gpu --job-name=pair
#SBATCH packjob
#SBATCH --mem-per-cpu=1G
#SBATCH --time=20
"""


def test_hetjob_begins_a_component_that_forgets_what_sbatch_forgets():
    filled, refusals = fill_in(spec(HET))
    assert refusals == []
    assert (filled.name, filled.partition) == ("pair", "cpu")
    assert filled.resources == Resources(ntasks=1, mem_per_node_bytes=4 * GIB, wall_s=600)
    assert filled.het == (
        Component(Resources(nodes=2, gpus_per_node="8", mem_per_node_bytes=4 * GIB, wall_s=600), partition="gpu"),
        Component(Resources(mem_per_cpu_bytes=GIB, wall_s=1200)),
    )


def test_components_of_the_request_go_before_those_of_the_script_one_by_one():
    asked = spec(HET, het=(Component(Resources(nodes=4, wall_s=60)),))
    filled, _ = fill_in(asked)
    assert filled.het[0] == Component(
        Resources(nodes=4, gpus_per_node="8", mem_per_node_bytes=4 * GIB, wall_s=60), partition="gpu"
    )
    assert filled.het[1].resources.wall_s == 1200


def test_what_is_the_whole_jobs_stands_before_the_first_hetjob():
    _, refusals = fill_in(spec("#!/bin/sh\n#SBATCH -A one\n#SBATCH hetjob\n#SBATCH -A two\n#SBATCH -A one -N 2\n"))
    assert [refusal.detail for refusal in refusals] == [
        "line 4: #SBATCH -A two: account is the whole job's: say it before the first hetjob"
    ]


def test_a_command_line_is_read_component_by_component():
    read = read_command(["-N2", "--mem=1G", ":", "-n3", "--partition=gpu"], "#!/bin/sh\n#SBATCH -J unread\n")
    assert read.resources == Resources(nodes=2, mem_per_node_bytes=GIB)
    assert read.het == (Component(Resources(ntasks=3, mem_per_node_bytes=GIB), partition="gpu"),)
    assert read.name is None


def test_a_colon_in_an_argument_of_its_own_is_not_mistaken_where_it_is_joined():
    assert read_words(["--comment=:"]) == {"comment": ":"}
    assert read_command(["--comment=:"], "#!/bin/sh\n").comment == ":"


@pytest.mark.parametrize("word", ["hetjob", "HETJOB", "PackJob -N 8", "hetjob --nope"])
def test_a_component_begins_in_any_capitals_and_the_rest_of_its_line_is_not_read(word):
    filled, refusals = fill_in(spec(f"#!/bin/sh\n#SBATCH -N1\n#SBATCH {word}\n#SBATCH -n2\n"))
    assert (refusals, filled.resources, filled.het) == ([], Resources(nodes=1), (Component(Resources(ntasks=2)),))


def test_a_letters_argument_begins_right_after_it():
    assert read_words(["-o=out.txt", "-J=x"]) == {"stdout": "=out.txt", "name": "=x"}
    assert read_words(["-HN2", "-OJ", "x"])["name"] == "x"
    for word in ("-H=", "-N=2", "-", "-H-"):
        with pytest.raises(ValueError):  # noqa: PT011
            read_words([word])


def test_a_cluster_of_flags_may_be_long():
    assert read_words(["-" + "H" * 50_000]) == {"hold": True}


def test_slurms_old_word_fills_in_like_the_new_one():
    filled, _ = fill_in(spec("#!/bin/sh\n#SLURM --array=0-9\n"))
    assert filled.array == "0-9"
    _, refusals = fill_in(spec("#!/bin/sh\n#SLURM --nope\n"))
    assert refusals[0].detail.startswith("line 2: #SLURM --nope: ")


def test_directives_without_end_are_not_read():
    def codes(lines: str) -> list[str]:
        return [refusal.code for refusal in fill_in(spec(f"#!/bin/sh\n{lines}"))[1]]

    assert codes("#SBATCH hetjob\n" * 127) == []
    assert codes("#SBATCH hetjob\n" * 128) == ["too-many-components"]
    assert codes("#SBATCH -H\n" * 10_000) == ["directives-too-large"]
    assert codes("#SBATCH x\n" * 1000) == ["bad-directive"] * 100


def test_the_same_header_gives_the_same_fields_over_and_over():
    for body in ("true\n", "false\n"):
        filled, _ = fill_in(spec(f"#!/bin/sh\n#SBATCH -N 2\n{body}", Resources(ntasks=4)))
        assert filled.resources == Resources(nodes=2, ntasks=4)
    assert fill_in(spec("#!/bin/sh\n#SBATCH -N 2\n"))[0].resources == Resources(nodes=2)
