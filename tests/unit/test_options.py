from __future__ import annotations

import pytest

from hpcjobs.model.job import JobSpec, Resources
from hpcjobs.sbatch.options import OPTIONS, Option, fill_in, read_words

from .builders import spec

GIB = 2**30
ARGUMENTS: dict[str, tuple[str, dict[str, object]]] = {
    "account": ("physics", {"account": "physics"}),
    "chdir": ("/data", {"workdir": "/data"}),
    "comment": ("a=b", {"comment": "a=b"}),
    "constraint": ("a100&ib", {"resources.constraint": "a100&ib"}),
    "cpus-per-task": ("12", {"resources.cpus_per_task": 12}),
    "dependency": ("afterok:12:13", {"dependency": "afterok:12:13"}),
    "error": ("%x.err", {"stderr": "%x.err"}),
    "exclude": ("n[1-3]", {"resources.exclude": "n[1-3]"}),
    "gpus": ("a100:4,h100:2", {"resources.gpus": "a100:4,h100:2"}),
    "gpus-per-node": ("8", {"resources.gpus_per_node": "8"}),
    "gpus-per-task": ("a100:1", {"resources.gpus_per_task": "a100:1"}),
    "gres": ("gpu:a100:8", {"resources.gpus_per_node": "a100:8"}),
    "input": ("in.txt", {"stdin": "in.txt"}),
    "job-name": ("train", {"name": "train"}),
    "mem": ("16G", {"resources.mem_per_node_bytes": 16 * GIB}),
    "mem-per-cpu": ("2G", {"resources.mem_per_cpu_bytes": 2 * GIB}),
    "nodelist": ("n1,n2", {"resources.nodelist": "n1,n2"}),
    "nodes": ("2-4", {"resources.nodes": 2, "resources.nodes_max": 4}),
    "ntasks": ("32", {"resources.ntasks": 32}),
    "ntasks-per-node": ("8", {"resources.ntasks_per_node": 8}),
    "output": ("%j.out", {"stdout": "%j.out"}),
    "partition": ("gpu,big", {"partition": "gpu,big"}),
    "qos": ("high", {"qos": "high"}),
    "reservation": ("maint", {"reservation": "maint"}),
    "time": ("1-0", {"resources.wall_s": 86400}),
}
FLAGS = {
    "exclusive": {"resources.exclusive": True},
    "hold": {"hold": True},
    "no-requeue": {"requeue": False},
    "requeue": {"requeue": True},
}


def test_every_option_of_the_table_has_an_example_here():
    assert {option.long for option in OPTIONS} == set(ARGUMENTS) | set(FLAGS)
    assert {option.long for option in OPTIONS if option.read is None} == set(FLAGS)


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.long)
def test_an_option_is_read_by_every_name_and_in_both_argument_forms(option: Option):
    if option.read is None:
        forms, fields = [[f"--{option.long}"]], FLAGS[option.long]
        if option.short:
            forms.append([f"-{option.short}"])
    else:
        argument, fields = ARGUMENTS[option.long]
        forms = [[f"--{option.long}={argument}"], [f"--{option.long}", argument]]
        if option.short:
            forms += [[f"-{option.short}{argument}"], [f"-{option.short}", argument]]
    for words in forms:
        assert read_words(words) == fields, words


def test_every_field_that_an_option_sets_is_one_of_the_spec():
    for fields in [example for _, example in ARGUMENTS.values()] + list(FLAGS.values()):
        for name in fields:
            struct, field = (Resources, name[10:]) if name.startswith("resources.") else (JobSpec, name)
            assert field in struct.__struct_fields__, name


def test_letters_of_options_are_not_given_twice():
    letters = [option.short for option in OPTIONS if option.short]
    assert len(letters) == len(set(letters))


@pytest.mark.parametrize(
    ("argument", "request_"),
    [("gpu", "1"), ("gpu:2", "2"), ("gpu:a100", "a100:1"), ("gpu:tesla", "tesla:1"), ("gpu:a100:2,gpu:h100:1",
     "a100:2,h100:1"), ("gpu:1g.10gb:2", "1g.10gb:2")],
)  # fmt: skip
def test_gres_of_gpus_means_gpus_a_node_and_one_where_no_count_stands(argument, request_):
    assert read_words([f"--gres={argument}"]) == {"resources.gpus_per_node": request_}


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--no-such-option=1"], "is not one that hpcjobs knows yet"),
        (["-Z"], "is not one that hpcjobs knows yet"),
        (["word"], "is not one that hpcjobs knows yet"),
        (["-"], "is not one that hpcjobs knows yet"),
        (["--"], "is not one that hpcjobs knows yet"),
        (["--nodes"], "--nodes needs an argument"),
        (["-N"], "--nodes needs an argument"),
        (["--hold=yes"], "--hold takes no argument"),
        (["--exclusive=user"], "--exclusive takes no argument"),
        (["--ntasks=two"], "'two' is not a whole number"),
        (["--ntasks=-2"], "'-2' is not a whole number"),
        (["--gres=shard:2"], "--gres of 'shard' is not known here"),
        (["--gpus=a100:x"], "is not of the form"),
        (["--mem=10B"], "Invalid memory"),
        (["--time=soon"], "Invalid time"),
    ],
)
def test_a_bad_option_is_refused_by_name(words, complaint):
    with pytest.raises(ValueError, match=complaint):
        read_words(words)


def test_a_later_option_wins_even_when_it_narrows_a_range():
    assert read_words(["-N2-4", "-N3", "--requeue", "--no-requeue"]) == {
        "resources.nodes": 3,
        "resources.nodes_max": None,
        "requeue": False,
    }


def test_directives_fill_in_only_what_the_spec_leaves_open():
    script = "#!/bin/sh\n#SBATCH -J script -p slow -N 8 --mem=1G -t 10 --hold --exclusive\ntrue\n"
    asked = spec(script, Resources(nodes=2, exclusive=False), name="asked", hold=False)
    filled, refusals = fill_in(asked)
    assert refusals == []
    assert (filled.name, filled.hold, filled.partition) == ("asked", False, "slow")
    assert filled.resources == Resources(nodes=2, exclusive=False, mem_per_node_bytes=GIB, wall_s=600)


def test_a_range_in_the_script_does_not_widen_an_explicit_node_count():
    filled, _ = fill_in(spec("#!/bin/sh\n#SBATCH -N 2-8\n", Resources(nodes=1)))
    assert (filled.resources.nodes, filled.resources.nodes_max) == (1, None)


def test_every_faulty_directive_is_told_with_its_line_and_the_good_ones_still_count():
    script = "#!/bin/sh\n#SBATCH --nope\n#SBATCH -J good\n#SBATCH --comment='open\n#SBATCH -n x\ntrue\n#SBATCH --late\n"
    filled, refusals = fill_in(spec(script))
    assert filled.name == "good"
    assert [refusal.detail.split(":")[0] for refusal in refusals] == ["line 2", "line 4", "line 5"]
    assert {(refusal.field, refusal.code) for refusal in refusals} == {("script", "bad-directive")}


def test_a_script_without_directives_leaves_the_spec_as_it_is():
    assert fill_in(spec(name="x")) == (spec(name="x"), [])
