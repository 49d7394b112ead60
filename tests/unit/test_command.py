"""A call of sbatch put together from its script, variables and command line; sbatch itself judges in tests/slurm."""

from __future__ import annotations

import pytest

from hpcjobs.sbatch.command import Command, read_command_line, read_line
from hpcjobs.sbatch.getopt import Misspelt
from hpcjobs.sbatch.options import BY_LONG, SBATCH
from hpcjobs.sbatch.variables import EARLY_VARIABLES, GONE, SWITCH_COUNT, SWITCH_WAIT, VARIABLES

GIB = 2**30
SITE = SBATCH.with_site({"x11-plugin": "required", "quiet-nodes": "none"})


def read(line: str = "x.sh", script: str = "", environment: dict[str, str] | None = None) -> Command:
    return read_command_line(read_line(line.split(), SITE), f"#!/bin/sh\n{script}", environment or {}, SITE)


def test_the_later_word_wins_script_then_variables_then_command_line():
    command = read("-J typed x.sh", "#SBATCH -J script -p slow -t 5\n", {"SBATCH_PARTITION": "fast"})
    assert command.request() == {"name": "typed", "partition": "fast", "resources": {"wall_s": 300}}


def test_what_follows_the_script_is_its_own():
    line = read_line(["-N2", "run.sh", "-N3", "--help", "x y"], SBATCH)
    assert (line.words, line.early) == (["run.sh", "-N3", "--help", "x y"], {})
    assert read_line(["-N2", "--", "-x"], SBATCH).words == ["-x"]


def test_what_counts_at_once_counts_wherever_it_stands():
    line = read_line(["-N1", "-v", ":", "-Qvv", "--wrap", "sleep 1"], SBATCH)
    assert line.early == {"verbose": "3", "quiet": "1", "wrap": "sleep 1"}
    with pytest.raises(Misspelt) as misspelt:
        read_line(["--wrap=x", "run.sh"], SBATCH)
    assert misspelt.value.heard == ("error: Script arguments not permitted with --wrap option",)
    assert misspelt.value.exit_code == 1


def test_components_have_what_sbatch_does_not_forget_and_their_own():
    command = read("-n1 --time=9 : -n2 --mem=1G -p gpu x.sh", "#SBATCH -c2\n#SBATCH hetjob\n#SBATCH -c3\n")
    assert command.request() == {
        "resources": {"ntasks": 1, "cpus_per_task": 2, "wall_s": 540, "mem_per_node_bytes": GIB},
        "het": [
            {
                "partition": "gpu",
                "resources": {"ntasks": 2, "cpus_per_task": 3, "wall_s": 540, "mem_per_node_bytes": GIB},
            }
        ],
    }


def test_the_options_of_one_component_hold_for_all_that_the_script_has():
    assert read("-n4 x.sh", "#SBATCH hetjob\n").request() == {
        "resources": {"ntasks": 4},
        "het": [{"resources": {"ntasks": 4}}],
    }


def test_a_word_on_the_whole_job_in_a_later_component_is_refused_and_a_variables_passed_over():
    with pytest.raises(Misspelt, match="account is the whole job's"):
        read("-A one : -A two x.sh")
    command = read("-A one : -n2 x.sh", "", {"SBATCH_ACCOUNT": "two"})
    assert command.components[0]["account"] == "one"
    assert command.notes == ["warning: account is the whole job's, and the first component's counts"]


@pytest.mark.parametrize(
    ("line", "heard", "code"),
    [
        ("--nope x.sh", ["unrecognized option '--nope'"], 255),
        ("-Z x.sh", ["invalid option -- 'Z'"], 255),
        ("--node x.sh", ["option '--node' is ambiguous; possibilities: '--nodefile' '--nodelist' '--nodes'"], 255),
        ("--hold=1 x.sh", ["option '--hold' doesn't allow an argument"], 255),
        ("--time", ["option '--time' requires an argument"], 255),
        ("-t", ["option requires an argument -- 't'"], 255),
        ("--time=soon x.sh", ["error: Invalid --time specification"], 255),
        ("-n x x.sh", ['error: Invalid numeric value "x" for --ntasks.'], 1),
        ("-N 0x x.sh", ['error: "0x" is not a valid node count'], 255),
        ("--hint=x x.sh", ['error: unrecognized --hint argument "x", see --hint=help'], 1),
        ("--gpu-bind= x.sh", [], 0),
        ("--mem=1 --mem-per-cpu=1 x.sh",
            ["fatal: --mem, --mem-per-cpu, and --mem-per-gpu are mutually exclusive."], 1),
        ("--exclusive -s x.sh", ["fatal: --exclusive and --oversubscribe options are mutually exclusive"], 1),
        ("--gres=gpu:1 --gpus-per-node=1 x.sh",
            ["fatal: --gpus-per-node and --gres=gpu are mutually exclusive."], 1),
        ("-c2 --cpus-per-gpu=1 x.sh",
            ["fatal: --cpus-per-task, --tres-per-task=cpu:#, and --cpus-per-gpu are mutually exclusive"], 1),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_sbatchs_words(line: str, heard: list[str], code: int):
    if not heard:
        assert read(line).components
        return
    with pytest.raises(Misspelt) as misspelt:
        read(line)
    assert (list(misspelt.value.heard), misspelt.value.exit_code) == (heard, code)


def test_a_bad_directive_is_told_with_its_line():
    for script, told in {
        "#SBATCH -N1\n#SBATCH --nope\n": "line 3 of the script: the option '--nope'",
        "#SBATCH stray -N1\n": "line 2 of the script: 'stray' is no option",
        "#SBATCH -J 'open\n": "is not closed",
    }.items():
        with pytest.raises(Misspelt, match=told):
            read(script=script)


@pytest.mark.parametrize(
    ("value", "said"), [("", True), ("yes", True), ("YES", True), ("1", True), ("-2", True), ("0", None), ("no", None)]
)
def test_a_flags_variable_sets_it_or_takes_it_back(value: str, said: bool | None):
    command = read("x.sh", "#SBATCH -O\n", {"SBATCH_OVERCOMMIT": value})
    assert command.components[0]["resources.overcommit"] is said


def test_every_variable_of_sbatch_26_05_is_known():
    assert len(VARIABLES) + len(EARLY_VARIABLES) == 67
    assert set(VARIABLES.values()) <= set(BY_LONG) | {SWITCH_COUNT, SWITCH_WAIT, GONE}


def test_a_bad_value_of_a_variable_is_told_with_its_name():
    with pytest.raises(Misspelt, match="SBATCH_TIMELIMIT: ") as misspelt:
        read("x.sh", "", {"SBATCH_TIMELIMIT": "soon"})
    assert misspelt.value.heard == ("error: Invalid --time specification",)
    with pytest.raises(Misspelt) as misspelt:
        read("x.sh", "", {"SBATCH_REQ_SWITCH": "two"})
    assert misspelt.value.heard == ('error: Invalid numeric value "two" for --switches.',)
    with pytest.raises(Misspelt, match="older series") as misspelt:
        read("x.sh", "", {"SBATCH_POWER": "1"})
    assert (misspelt.value.heard, misspelt.value.exit_code) == ((), 255)


def test_waiting_for_no_switches_is_nothing_and_what_is_no_time_is_no_limit():
    assert read("x.sh", "", {"SBATCH_WAIT4SWITCH": "5"}).request() == {}
    environment = {"SBATCH_REQ_SWITCH": "2", "SBATCH_WAIT4SWITCH": "soon"}
    assert read("x.sh", "", environment).request() == {"resources": {"switches": 2}}


def test_options_of_the_sites_plugins_are_passed_on_where_they_are_declared():
    assert read("--x11-plugin=a --quiet-nodes x.sh").site == {"x11-plugin": "a", "quiet-nodes": True}
    with pytest.raises(Misspelt):
        read_line(["--x11-plugin=a", "x.sh"], SBATCH)


PBS = """#PBS -N name
#PBS -l nodes=2:ppn=4:gpus=1,walltime=01:00:00,mem=4gb
#PBS -q queue -A acct
#PBS -m abe -M a@b -j oe
#PBS -W umask=027 -W depend=afterok:7
#PBS -v A=1,B -h -p 5 -t 1-4
"""


def test_pbs_is_translated():
    command = read(script=PBS)
    assert command.client == {"umask": "027"}
    assert command.request() == {
        "name": "name", "partition": "queue", "account": "acct", "mail_type": "BEGIN,END,FAIL", "mail_user": "a@b",
        "dependency": "afterok:7", "export": "A=1,B", "hold": True, "nice": 5, "array": "1-4",
        "resources": {"nodes": 2, "ntasks": 8, "gpus_per_node": "1", "wall_s": 3600, "mem_per_node_bytes": 4 * GIB},
    }  # fmt: skip
    assert read("x.sh", PBS, {"SBATCH_IGNORE_PBS": ""}).request() == {}


def test_bsub_is_translated_and_then_pbs_is_not():
    script = "#BSUB -J lsf -n 2,4 -M 5000 -W 30 -cwd /scratch -m 'c1 c2'\n#BSUB -x -q night\n#PBS -N pbs\n"
    assert read(script=script).request() == {
        "name": "lsf", "partition": "night", "workdir": "/scratch",
        "resources": {"ntasks": 4, "mem_per_cpu_bytes": 5000 * 1024, "wall_s": 1800, "nodelist": "c1,c2",
            "exclusive": True},
    }  # fmt: skip


def test_pbs_pro_says_what_a_task_has():
    command = read(script="#PBS -l select=2:ncpus=8:mpiprocs=4\n#PBS -l accelerator=true\n#PBS -l proc=a100\n")
    assert command.request()["resources"] == {"nodes": 2, "mincpus": 8, "ntasks_per_node": 4, "cpus_per_task": 2,
        "gres": "gpu:1", "constraint": "a100"}  # fmt: skip


@pytest.mark.parametrize(
    ("script", "heard"),
    [
        ("#PBS -Y\n", "invalid option -- 'Y'"),
        ("#PBS -o\n", "option requires an argument -- 'o'"),
        ("#PBS -h stray\n", "error: Invalid argument: stray"),
        ("#BSUB -n 3,\n", "error: #BSUB -n format not correct given: '3,'"),
        ("#PBS -W umask=99\n", "error: Invalid -W umask= specification"),
        ("#PBS -l naccelerators=x\n", 'error: Invalid numeric value "x" for naccelerators.'),
        ("#PBS -N 'open\n", "fatal: stdin: line 2: Unmatched `'` in [ 'open]"),
    ],
)
def test_what_cannot_be_translated_is_refused(script: str, heard: str):
    with pytest.raises(Misspelt) as misspelt:
        read(script=script)
    assert misspelt.value.heard[0].startswith(heard)


def test_pbs_is_not_looked_for_in_the_middle_of_a_program():
    assert read(script="true\n" * 101 + "#PBS -N late\n").request() == {}
    assert read(script="true\n" * 90 + "#PBS -N late\n").request() == {"name": "late"}


def test_slurms_old_word_and_more_nodes_than_tasks_are_warned_of():
    command = read("-n2 x.sh", "#SLURM -N4\n")
    assert command.notes == [
        "error: Change from #SLURM to #SBATCH in your script and verify the options are valid in sbatch",
        "warning: can't run 2 processes on 4 nodes, setting nnodes to 2",
    ]


def test_the_directives_of_a_component_are_one_command_line():
    assert read(script="#SBATCH -p\n#SBATCH gpu -J x\n").request() == {"partition": "gpu", "name": "x"}
    with pytest.raises(Misspelt, match="line 3 of the script: 'stray'"):
        read(script="#SBATCH -n1\n#SBATCH stray\n")
