"""The table of options: every option of sbatch 26.05 is in it, reads, and writes what it read."""

from __future__ import annotations

import pytest

from hpcjobs.model.spec import Component, JobSpec, Resources
from hpcjobs.sbatch.fold import read_words
from hpcjobs.sbatch.getopt import find_long
from hpcjobs.sbatch.options import ALIASES, BY_SHORT, CLIENT_OPTIONS, COMPONENT_FIELDS, OPTIONS, SBATCH, Option

MIB = 2**20
GIB = 2**30
R = "resources."
ARGUMENTS: dict[str, tuple[str | None, dict[str, object]]] = {
    "account": ("physics", {"account": "physics"}),
    "acctg-freq": ("task=30,energy=60", {"acctg_freq": "task=30,energy=60"}),
    "array": ("[00-15,20:1]%4".replace(":1", "-30:5"), {"array": "0-15,20-30:5%4"}),
    "batch": ("a100", {"batch": "a100"}),
    "bb": ("capacity=10", {R + "bb": "capacity=10"}),
    "begin": ("now+1hour", {"begin": "now+1hour"}),
    "chdir": ("/data", {"workdir": "/data"}),
    "cluster-constraint": ("!old", {"cluster_constraint": "!old"}),
    "comment": ("a=b", {"comment": "a=b"}),
    "consolidate-segments": (None, {R + "consolidate_segments": True}),
    "constraint": ("a100&ib", {R + "constraint": "a100&ib"}),
    "container": ("/images/one", {"oci_bundle": "/images/one"}),
    "container-id": ("one", {"container_id": "one"}),
    "container-type": ("oci", {"container_type": "oci"}),
    "context": ("user_u:user_r", {"context": "user_u:user_r"}),
    "contiguous": (None, {R + "contiguous": True}),
    "core-spec": ("2", {R + "core_spec": 2}),
    "cores-per-socket": ("4", {R + "cores_per_socket": 4}),
    "cpu-freq": ("low-high:performance", {R + "cpu_freq": "low-high:performance"}),
    "cpus-per-gpu": ("8", {R + "cpus_per_gpu": 8}),
    "cpus-per-task": ("12", {R + "cpus_per_task": 12}),
    "deadline": ("2026-12-24T18:00", {"deadline": "2026-12-24T18:00"}),
    "delay-boot": ("1:30", {"delay_boot_s": 90}),
    "dependency": ("afterok:12:13", {"dependency": "afterok:12:13"}),
    "distribution": ("cyclic:block,pack", {R + "distribution": "cyclic:block,pack"}),
    "error": ("%x.err", {"stderr": "%x.err"}),
    "exclude": ("n[1-3]", {R + "exclude": "n[1-3]"}),
    "exclusive": ("user", {R + "exclusive": "user"}),
    "export": ("ALL,A=1", {"export": "ALL,A=1"}),
    "extra": ("cpu>3", {"extra": "cpu>3"}),
    "extra-node-info": ("2:4:1", {R + "extra_node_info": "2:4:1"}),
    "get-user-env": (None, {"get_user_env": True}),
    "gpu-bind": ("single:2", {R + "gpu_bind": "single:2"}),
    "gpu-freq": ("high,memory=low", {R + "gpu_freq": "high,memory=low"}),
    "gpus": ("a100:4,h100:2", {R + "gpus": "a100:4,h100:2"}),
    "gpus-per-node": ("8", {R + "gpus_per_node": "8"}),
    "gpus-per-socket": ("2", {R + "gpus_per_socket": "2"}),
    "gpus-per-task": ("a100:1", {R + "gpus_per_task": "a100:1"}),
    "gres": ("gpu:a100:8,shard:2", {R + "gres": "gpu:a100:8,shard:2"}),
    "gres-flags": ("disable-binding", {R + "gres_flags": "disable-binding"}),
    "hint": ("nomultithread", {R + "hint": "nomultithread"}),
    "hold": (None, {"hold": True}),
    "input": ("in.txt", {"stdin": "in.txt"}),
    "job-name": ("train", {"name": "train"}),
    "kill-on-invalid-dep": ("yes", {"kill_on_invalid_dep": True}),
    "licenses": ("matlab:2", {R + "licenses": "matlab:2"}),
    "mail-type": ("END,FAIL", {"mail_type": "END,FAIL"}),
    "mail-user": ("alice@example.org", {"mail_user": "alice@example.org"}),
    "mcs-label": ("secret", {"mcs_label": "secret"}),
    "mem": ("16G", {R + "mem_per_node_bytes": 16 * GIB}),
    "mem-bind": ("verbose,map_mem:0,1", {R + "mem_bind": "verbose,map_mem:0,1"}),
    "mem-per-cpu": ("2G", {R + "mem_per_cpu_bytes": 2 * GIB}),
    "mem-per-gpu": ("1500K", {R + "mem_per_gpu_bytes": 1500 * 1024}),
    "mem-update": ("10@5", {"mem_update": "10@5"}),
    "mincpus": ("16", {R + "mincpus": 16}),
    "network": ("ib", {R + "network": "ib"}),
    "nice": ("-50", {"nice": -50}),
    "no-kill": ("off", {"no_kill": False}),
    "no-requeue": (None, {"requeue": False}),
    "nodelist": ("n1,n2", {R + "nodelist": "n1,n2"}),
    "nodes": ("2-4", {R + "nodes": 2, R + "nodes_max": 4, R + "node_counts": None}),
    "ntasks": ("32", {R + "ntasks": 32}),
    "ntasks-per-core": ("1", {R + "ntasks_per_core": 1}),
    "ntasks-per-gpu": ("2", {R + "ntasks_per_gpu": 2}),
    "ntasks-per-node": ("8", {R + "ntasks_per_node": 8}),
    "ntasks-per-socket": ("4", {R + "ntasks_per_socket": 4}),
    "oom-kill-step": ("0", {"oom_kill_step": False}),
    "open-mode": ("append", {"open_mode": "append"}),
    "output": ("%j.out", {"stdout": "%j.out"}),
    "overcommit": (None, {R + "overcommit": True}),
    "oversubscribe": (None, {R + "oversubscribe": True}),
    "partition": ("gpu,big", {"partition": "gpu,big"}),
    "prefer": ("ib", {R + "prefer": "ib"}),
    "priority": ("100", {"priority": 100}),
    "profile": ("task,energy", {"profile": "task,energy"}),
    "propagate": ("STACK,CORE", {"propagate": "STACK,CORE"}),
    "qos": ("high", {"qos": "high"}),
    "reboot": (None, {"reboot": True}),
    "requeue": ("expedite", {"requeue": "expedite"}),
    "reservation": ("maint", {"reservation": "maint"}),
    "resv-ports": ("4", {R + "resv_ports": 4}),
    "segment": ("4", {R + "segment": 4}),
    "signal": ("B:USR1@60", {"signal": "B:USR1@60"}),
    "sockets-per-node": ("2", {R + "sockets_per_node": 2}),
    "spread-job": (None, {R + "spread_job": True}),
    "spread-segments": (None, {R + "spread_segments": True}),
    "stepmgr": (None, {"stepmgr": True}),
    "switches": ("1@10:00", {R + "switches": 1, R + "switches_wait_s": 600}),
    "thread-spec": ("2", {R + "thread_spec": 2}),
    "threads-per-core": ("1", {R + "threads_per_core": 1}),
    "time": ("1-0", {R + "wall_s": 86400}),
    "time-min": ("1:00:00", {R + "time_min_s": 3600}),
    "tmp": ("1G", {R + "tmp_bytes": GIB}),
    "tres-bind": ("gres/gpu:closest", {R + "tres_bind": "gres/gpu:closest"}),
    "tres-per-task": ("cpu=2,gres/gpu:a100=1", {R + "tres_per_task": "cpu=2,gres/gpu:a100=1"}),
    "use-min-nodes": (None, {R + "use_min_nodes": True}),
    "wait-all-nodes": ("1", {"wait_all_nodes": True}),
    "wckey": ("project", {"wckey": "project"}),
}
ALONE = {
    "exclusive": {R + "exclusive": True},
    "nice": {"nice": 100},
    "no-kill": {"no_kill": True},
    "oom-kill-step": {"oom_kill_step": True},
    "propagate": {"propagate": "ALL"},
    "requeue": {"requeue": True},
    "resv-ports": {R + "resv_ports": 0},
}


def names(text: str) -> set[str]:
    return set(text.split())


RESET_EACH_COMPONENT = names("""
    bb consolidate-segments constraint contiguous core-spec cores-per-socket cpu-freq cpus-per-gpu cpus-per-task
    distribution exclusive extra-node-info gpu-bind gpu-freq gpus gpus-per-node gpus-per-socket
    gpus-per-task gres gres-flags hint licenses mail-type mail-user mem-bind mem-per-cpu mem-per-gpu mincpus network
    nodelist nodes ntasks ntasks-per-core ntasks-per-gpu ntasks-per-node ntasks-per-socket overcommit oversubscribe
    partition resv-ports segment sockets-per-node spread-job spread-segments switches thread-spec threads-per-core
    tmp tres-bind tres-per-task use-min-nodes
""")
NOT_RESET = names("""
    account acctg-freq array batch begin chdir cluster-constraint comment container container-id container-type
    context deadline delay-boot dependency error exclude export extra get-user-env hold input job-name
    kill-on-invalid-dep mcs-label mem mem-update nice no-kill no-requeue oom-kill-step open-mode output prefer priority
    profile propagate qos reboot requeue reservation signal stepmgr time time-min wait-all-nodes wckey
""")
FOR_PROGRAMS = names("""
    autocomplete bbf cluster clusters export-file external gid help ignore-pbs nodefile parsable quiet
    runtime test-only uid usage verbose version wait wrap
""")


def test_every_option_of_sbatch_26_05_is_known_and_on_the_right_side():
    assert {option.long for option in OPTIONS} == RESET_EACH_COMPONENT | NOT_RESET == set(ARGUMENTS)
    assert set(CLIENT_OPTIONS) == FOR_PROGRAMS
    assert set(ALIASES) == {"ntasks-per-tres", "resources", "tasks-per-node"}
    # 121 names in the tables of sbatch of 25.11, 26.05 and 26.11
    assert len(RESET_EACH_COMPONENT | NOT_RESET | FOR_PROGRAMS | set(ALIASES)) == 121


def test_what_sbatch_forgets_at_each_component_is_the_components():
    ours = {option.long for option in OPTIONS if option.of_component}
    assert ours == RESET_EACH_COMPONENT | {"exclude", "mem", "prefer", "time", "time-min"}


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.long)
def test_an_option_is_read_by_every_name_and_in_every_argument_form(option: Option):
    argument, fields = ARGUMENTS[option.long]
    alone = [[f"--{option.long}"], *([[f"-{option.short}"]] if option.short else [])]
    joined = [[f"--{option.long}={argument}"], *([[f"-{option.short}{argument}"]] if option.short else [])]
    apart = [[f"--{option.long}", argument or ""], *([[f"-{option.short}", argument or ""]] if option.short else [])]
    forms = {"none": alone, "optional": joined, "required": joined + apart}[option.takes]
    for words in forms:
        assert read_words(words) == fields, words
    assert (option.takes == "optional") == (option.long in ALONE)
    for words in alone if option.takes == "optional" else ():
        assert read_words(words) == ALONE[option.long], words


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.long)
def test_what_an_option_reads_it_writes_so_that_it_reads_the_same(option: Option):
    for fields in [ARGUMENTS[option.long][1], *([ALONE[option.long]] if option.long in ALONE else [])]:
        written = option.write(*(fields[name] for name in option.fields))
        words = [f"--{option.long}"] if written is True else [f"--{option.long}={written}"]
        assert read_words(words) == fields
    assert option.write(*[None] * len(option.fields)) is None


def test_every_field_that_an_option_sets_is_one_of_the_spec_and_every_field_has_an_option():
    said = {name for option in OPTIONS for name in option.fields}
    for option in OPTIONS:
        assert set(ARGUMENTS[option.long][1]) == set(option.fields)
    beside = {
        "script",
        "args",
        "script_name",
        "resources",
        "het",
        "environment",
        "read_directives",
        "parallel",
        "hints",
        "container",
        "launch",
    }
    assert said == (set(JobSpec.__struct_fields__) - beside) | {R + name for name in Resources.__struct_fields__}
    assert set(Component.__struct_fields__) == COMPONENT_FIELDS
    assert COMPONENT_FIELDS - {"resources"} <= said


def test_letters_of_options_are_not_given_twice():
    letters = [option.short for option in (*OPTIONS, *CLIENT_OPTIONS.values()) if option.short]
    assert len(letters) == len(set(letters)) == len(BY_SHORT)


@pytest.mark.parametrize(
    ("name", "long"),
    [("part", "partition"), ("ntasks-per-n", "ntasks-per-node"), ("mem", "mem"), ("time", "time"), ("gpus", "gpus"),
     ("tasks-per-node", "ntasks-per-node"), ("ntasks-per-tres", "ntasks-per-gpu"), ("resources", "licenses"),
     ("reso", "licenses"), ("wait", "wait"), ("requ", "requeue"), ("cpus-per-t", "cpus-per-task")],
)  # fmt: skip
def test_the_beginning_of_an_option_names_it_where_no_other_begins_so(name, long):
    assert find_long(name, SBATCH) == long


@pytest.mark.parametrize("name", ["n", "mem-", "exc", "container-", "res", "cluster-"[:7]])
def test_the_beginning_of_several_options_is_refused_with_their_names(name):
    if name == "cluster":
        assert find_long(name, SBATCH) == "cluster"
        return
    with pytest.raises(ValueError, match="could be any of --"):
        find_long(name, SBATCH)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--no-such-option=1"], "is not one that hpcjobs knows"),
        (["-Z"], "is not an option that hpcjobs knows"),
        (["word"], "is not an option that hpcjobs knows"),
        (["-"], "is not an option that hpcjobs knows"),
        (["--", "-N2"], "'-N2' is not an option that hpcjobs knows"),
        (["--=x"], "is not one that hpcjobs knows"),
        (["--nodes"], "--nodes needs an argument"),
        (["-N"], "--nodes needs an argument"),
        (["--hold=yes"], "--hold takes no argument"),
        (["--exclusive=cell"], "'cell' is not one of user, mcs, topo"),
        (["--requeue=no"], "'no' is not one of expedite"),
        (["--ntasks=two"], "'two' is not a whole number"),
        (["--ntasks=-2"], "'-2' is not a whole number"),
        (["--ntasks=²"], "is not a whole number"),
        (["--nice=x"], "'x' is not a whole number"),
        (["--gpus=a100:x"], "is not of the form"),
        (["--mem=10B"], "Invalid memory"),
        (["--time=soon"], "Invalid time"),
        (["--delay-boot=infinite"], "is not a duration"),
        (["--begin=soon"], "Invalid time specification"),
        (["--wait"], "--wait has no meaning here: a submission is answered at once"),
        (["-W"], "--wait has no meaning here"),
        (["-M", "x"], "--clusters has no meaning here: the request names the cluster"),
        (["--uid=0"], "a job runs as whoever submits it"),
        (["--export-file=x"], "the file is not here"),
    ],
)
def test_a_bad_option_is_refused_by_name(words, complaint):
    with pytest.raises(ValueError, match=complaint):
        read_words(words)


def test_options_that_change_nothing_here_are_passed_over_with_their_arguments():
    assert read_words(["-Qv", "--parsable", "--ignore-pbs", "-J", "x", "--"]) == {"name": "x"}


def test_flags_can_share_a_dash_and_the_last_may_have_an_argument():
    assert read_words(["-HON2"]) == {"hold": True, R + "overcommit": True, R + "nodes": 2, R + "nodes_max": None,
        R + "node_counts": None}  # fmt: skip


def test_a_later_option_wins_even_when_it_narrows_a_range():
    assert read_words(["-N2-4", "-N3", "--requeue", "--no-requeue"]) == {
        R + "nodes": 3,
        R + "nodes_max": None,
        R + "node_counts": None,
        "requeue": False,
    }
    assert read_words(["-N4", "-N1,3-9:2"])[R + "node_counts"] == "1,3-9:2"
    assert read_words(["-N1,3", "-N2k"]) == {R + "nodes": 2048, R + "nodes_max": None, R + "node_counts": None}
