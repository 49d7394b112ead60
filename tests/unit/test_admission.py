from __future__ import annotations

import msgspec
import pytest

from hpcjobs.admission import STAGES, admit
from hpcjobs.admission.resources import AMOUNTS
from hpcjobs.admission.texts import MAX_SCRIPT_BYTES
from hpcjobs.errors import Refusal, Refused
from hpcjobs.model.spec import Component, JobSpec, Resources

from .builders import SCRIPT, spec


def refusals_of(asked: JobSpec) -> dict[str, Refusal]:
    with pytest.raises(Refused) as refused:
        admit(asked)
    return {refusal.field: refusal for refusal in refused.value.refusals}


@pytest.mark.parametrize("script", ["", " ", "\n\n\t\n"])
def test_an_empty_script_is_refused_once(script):
    with pytest.raises(Refused) as refused:
        admit(spec(script))
    assert [refusal.code for refusal in refused.value.refusals] == ["script-empty"]


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("echo hello\n", "script-no-interpreter"),
        ("\n#!/bin/sh\n", "script-no-interpreter"),
        (" #!/bin/sh\n", "script-no-interpreter"),
        ("\ufeff#!/bin/sh\n", "script-no-interpreter"),
        ("#!/bin/sh\r\ntrue\r\n", "script-dos-line-breaks"),
        ("#!/bin/sh\ntrue \0\n", "script-nul"),
        ("#!/bin/sh\n" + "x" * MAX_SCRIPT_BYTES, "script-too-large"),
        ("#!/bin/sh\n#" + "ä" * (MAX_SCRIPT_BYTES // 2), "script-too-large"),
    ],
    ids=["no #!", "late #!", "indented #!", "byte order mark", "DOS", "NUL", "too large", "too large in bytes"],
)
def test_a_script_that_sbatch_would_refuse_is_refused(script, code):
    with pytest.raises(Refused) as refused:
        admit(spec(script))
    assert [refusal.code for refusal in refused.value.refusals] == [code]


def test_a_script_of_exactly_the_largest_size_passes():
    script = "#!/bin/sh\n".ljust(MAX_SCRIPT_BYTES, "x")
    assert admit(spec(script)).script == script


def test_every_fault_is_told_in_one_answer():
    asked = spec(
        "echo \0\r\n",
        Resources(nodes=0, ntasks=-1, gpus="x:y", mem_per_node_bytes=1, mem_per_cpu_bytes=1),
        workdir="here",
        account="",
        environment={"1=A": "x", "B": "\0"},
        args=("\0",),
    )
    with pytest.raises(Refused) as refused:
        admit(asked)
    assert sorted(refusal.field for refusal in refused.value.refusals) == [
        "account",
        "args",
        "environment",
        "environment.B",
        "resources.gpus",
        "resources.mem_per_cpu_bytes",
        "resources.nodes",
        "resources.ntasks",
        "script",
        "script",
        "script",
        "workdir",
    ]
    assert all(refusal.detail for refusal in refused.value.refusals)


WITH = {"switches_wait_s": {"switches": 1}}
NUMBERS = {
    field.name
    for field in msgspec.structs.fields(Resources)
    if "int" in str(field.type) and "str" not in str(field.type)
}


def test_every_number_of_a_spec_has_its_range():
    assert set(AMOUNTS) == NUMBERS


@pytest.mark.parametrize("name", sorted(AMOUNTS))
@pytest.mark.parametrize("amount", [0, -1, 2**53, 10**30])
def test_an_amount_that_slurm_cannot_hold_is_refused(name, amount):
    asked = spec(resources=Resources(**{name: amount}, **WITH.get(name, {})))
    if amount == 0 and AMOUNTS[name][0] == 0:  # as --mem=0: all the memory of each node
        admit(asked)
        return
    assert f"resources.{name}" in refusals_of(asked)


@pytest.mark.parametrize(("name", "amount"), [("nice", 2**31), ("nice", -(2**31)), ("priority", -1),
    ("priority", 2**32 - 1), ("delay_boot_s", -1), ("delay_boot_s", 2**32)])  # fmt: skip
def test_an_amount_of_the_job_that_slurm_cannot_hold_is_refused(name, amount):
    assert set(refusals_of(spec(**{name: amount}))) == {name}


EVERY_PAIR = [
    (Resources(mem_per_node_bytes=1, mem_per_gpu_bytes=1), "mem_per_gpu_bytes"),
    (Resources(mem_per_cpu_bytes=1, mem_per_gpu_bytes=1), "mem_per_gpu_bytes"),
    (Resources(exclusive="user", oversubscribe=True), "oversubscribe"),
    (Resources(core_spec=1, thread_spec=0), "thread_spec"),
    (Resources(cpus_per_task=1, cpus_per_gpu=1), "cpus_per_gpu"),
    (Resources(gpus_per_task=1, ntasks_per_gpu=1), "ntasks_per_gpu"),
    (Resources(ntasks_per_node=1, ntasks_per_gpu=1), "ntasks_per_gpu"),
    (Resources(nodes=1, node_counts="1,3"), "node_counts"),
    (Resources(nodes_max=1, node_counts="1,3"), "node_counts"),
    (Resources(wall_s=60, time_min_s=120), "time_min_s"),
    (Resources(switches_wait_s=60), "switches_wait_s"),
    (Resources(gpus_per_node=1, gres="shard:1,gpu:2"), "gres"),
    (Resources(tres_per_task="cpu=2", cpus_per_task=2), "tres_per_task"),
    (Resources(tres_per_task="cpu=2", cpus_per_gpu=2), "tres_per_task"),
    (Resources(tres_per_task="gres/gpu:a100=1", gpus_per_task=2), "tres_per_task"),
]


@pytest.mark.parametrize(("asked", "field"), EVERY_PAIR)
def test_what_contradicts_itself_is_refused_in_every_component(asked, field):
    assert set(refusals_of(spec(resources=asked))) == {f"resources.{field}"}
    assert set(refusals_of(spec(het=(Component(), Component(asked))))) == {f"het.1.resources.{field}"}


@pytest.mark.parametrize(
    "asked",
    [
        Resources(exclusive=False, oversubscribe=True),
        Resources(wall_s=0, time_min_s=120),
        Resources(nodes=4, segment=2),
        Resources(gpus_per_node=1, gres="shard:1"),
        Resources(tres_per_task="gres/gpu=1", cpus_per_task=2),
        Resources(tres_per_task="cpu=1", gpus_per_task=2),
        Resources(spread_segments=True, consolidate_segments=True),
        Resources(hint="compute_bound", threads_per_core=1),
    ],
)
def test_what_sbatch_takes_together_passes(asked):
    assert admit(spec(resources=asked)).resources == asked


def test_an_array_is_brought_into_its_usual_form_and_is_not_heterogeneous():
    assert admit(spec(array="[01-3:1]%2")).array == "1-3%2"
    assert set(refusals_of(spec(array="1-3", het=(Component(),)))) == {"array"}


FAULTY_TEXTS = {
    "array": "x",
    "begin": "soon",
    "deadline": "2026-13-01",
    "export": "1A=2",
    "mail_type": "LATER",
    "mem_update": "5",
    "profile": "some",
    "propagate": "FOO",
    "signal": "FOO",
    "resources.cpu_freq": "fast",
    "resources.distribution": "round",
    "resources.extra_node_info": "0",
    "resources.gres_flags": "x",
    "resources.hint": "x",
    "resources.mem_bind": "x",
    "resources.node_counts": "0",
    "resources.tres_per_task": "mem=1",
}


def test_every_faulty_text_is_told_in_one_answer():
    top = {name: text for name, text in FAULTY_TEXTS.items() if "." not in name}
    inner = {name.partition(".")[2]: text for name, text in FAULTY_TEXTS.items() if "." in name}
    assert set(refusals_of(spec(resources=Resources(**inner), **top))) == set(FAULTY_TEXTS)


def test_texts_of_components_are_judged_like_those_of_the_job():
    asked = spec(het=(Component(Resources(constraint="a\0", hint="x"), partition="", mail_type="LATER"),))
    assert set(refusals_of(asked)) == {"het.0.resources.constraint", "het.0.resources.hint", "het.0.partition",
        "het.0.mail_type"}  # fmt: skip


@pytest.mark.parametrize(("name", "most"), [("cpus_per_task", 0xFFFD), ("ntasks_per_node", 0xFFFD),
    ("nodes", 0xFFFF_FFFD), ("ntasks", 0xFFFF_FFFD)])  # fmt: skip
def test_a_count_may_be_as_large_as_slurms_field_and_no_larger(name, most):
    admit(spec(resources=Resources(**{name: most})))
    assert str(most) in refusals_of(spec(resources=Resources(**{name: most + 1})))[f"resources.{name}"].detail


@pytest.mark.parametrize("name", ["gpus", "gpus_per_node", "gpus_per_task"])
@pytest.mark.parametrize("request_", [0, -1, "0", "a100:0", "a100:1,h100:0", "a100:1,a100:1", "", "a100:"])
def test_a_request_for_no_gpu_or_in_another_form_is_refused(name, request_):
    assert f"resources.{name}" in refusals_of(spec(resources=Resources(**{name: request_})))


@pytest.mark.parametrize("request_", [1, "8", "a100:4", "a100:4,h100:2"])
def test_a_request_for_gpus_passes_as_it_was_asked(request_):
    assert admit(spec(resources=Resources(gpus_per_node=request_))).resources.gpus_per_node == request_


def test_a_range_of_nodes_upside_down_is_refused_also_across_spec_and_script():
    assert set(refusals_of(spec(resources=Resources(nodes=4, nodes_max=2)))) == {"resources.nodes_max"}
    asked = spec("#!/bin/sh\n#SBATCH -N 4\n", Resources(nodes_max=2))
    assert set(refusals_of(asked)) == {"resources.nodes_max"}


def test_two_ways_to_ask_for_memory_exclude_each_other_also_across_spec_and_script():
    asked = spec("#!/bin/sh\n#SBATCH --mem=4G\n", Resources(mem_per_cpu_bytes=2**30))
    assert set(refusals_of(asked)) == {"resources.mem_per_cpu_bytes"}


def test_a_variable_may_have_any_name_that_shells_and_others_export():
    names = ("BASH_FUNC_module%%", "1A", "A-B", "ProgramFiles(x86)", "Ä")
    assert set(admit(spec(environment=dict.fromkeys(names, "x"))).environment) == set(names)


@pytest.mark.parametrize("name", ["", "A=B", "A\0", "A\n"])
def test_a_bad_name_of_a_variable_is_refused(name):
    assert set(refusals_of(spec(environment={name: "x"}))) == {"environment"}


@pytest.mark.parametrize("name", ["PATH", "_", "_A1", "a", "SLURM_JOB_NAME"])
def test_a_good_name_of_a_variable_passes_with_any_text(name):
    environment = {name: "two words\nand = a line"}
    assert admit(spec(environment=environment)).environment == environment


@pytest.mark.parametrize("workdir", ["data", "./data", "~/data", "../x"])
def test_a_relative_working_directory_is_refused(workdir):
    assert set(refusals_of(spec(workdir=workdir))) == {"workdir"}
    assert set(refusals_of(spec(f"#!/bin/sh\n#SBATCH -D {workdir}\n"))) == {"workdir"}


@pytest.mark.parametrize("text", ["", "a\0b"])
@pytest.mark.parametrize("name", ["name", "account", "partition", "comment", "stdout", "script_name"])
def test_an_empty_text_or_a_nul_is_refused(name, text):
    if name in ("name", "script_name") and not text:
        assert admit(spec(**{name: text})).name == "hpcjobs"  # empty is no name: the default takes its place
    else:
        assert name in refusals_of(spec(**{name: text}))


def test_a_job_is_named_by_the_spec_then_the_script_then_its_file_then_us():
    directive = "#!/bin/sh\n#SBATCH -J line\n"
    assert admit(spec(directive, name="asked", script_name="file.sh")).name == "asked"
    assert admit(spec(directive, script_name="file.sh")).name == "line"
    assert admit(spec(SCRIPT, script_name="file.sh")).name == "file.sh"
    assert admit(spec(SCRIPT)).name == "hpcjobs"


def test_what_is_admitted_is_admitted_again_unchanged():
    once = admit(spec("#!/bin/sh\n#SBATCH -N 2-4 -J x --gres=gpu:a100:2 --mem=1G\n", environment={"A": "b"}))
    assert admit(once) == once


def test_the_script_itself_is_never_changed():
    script = "#!/bin/sh\n#SBATCH -N 2\n\n\ttrue \n"
    assert admit(spec(script)).script == script


def test_rules_run_in_order_and_a_later_rule_sees_what_an_earlier_one_changed():
    def rename(asked):
        return msgspec.structs.replace(asked, name="renamed"), ()

    def judge(asked):
        return asked, [Refusal("name", f"{asked.name} is not wanted")]

    with pytest.raises(Refused, match="renamed is not wanted"):
        admit(spec(), [*STAGES, (rename, judge)])


@pytest.mark.parametrize("name", ["gpus", "gpus_per_node", "gpus_per_socket", "gpus_per_task"])
@pytest.mark.parametrize(
    "request_",
    [10**25, 2**32 - 2, "a100:4294967294", "a100:4294967293,1", "9" * 5000, "a100:4G"],
    ids=["huge", "one too many", "typed", "together", "long", "letter"],
)
def test_more_gpus_than_slurm_counts_are_refused(name, request_):
    assert set(refusals_of(spec(resources=Resources(**{name: request_})))) == {f"resources.{name}"}


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (Resources(gpus=2**32 - 3, ntasks_per_gpu=2), "ntasks"),
        (Resources(gres="gpu:65536", nodes=65536, ntasks_per_gpu=1), "ntasks"),
        (Resources(extra_node_info="65533:65533"), None),
        (Resources(extra_node_info="65533:65533:2"), "ntasks"),
        (Resources(extra_node_info="65533", nodes=65600), "ntasks"),
        (Resources(ntasks=2**31, cpus_per_task=2), "cpus_per_task"),
        (Resources(ntasks=2**31, tres_per_task="cpu=2"), "cpus_per_task"),
        (Resources(ntasks=2**31, cpus_per_task=1), None),
    ],
)
def test_what_follows_from_a_request_must_be_a_number_that_slurm_holds(asked, field):
    if field is None:
        admit(spec(resources=asked))
        return
    assert set(refusals_of(spec(resources=asked))) == {f"resources.{field}"}
    assert set(refusals_of(spec(het=(Component(asked),)))) == {f"het.0.resources.{field}"}


@pytest.mark.parametrize(
    "gres", ["gpu:" + "9" * 5000, "gpu:99999999999", "gpu:a100:5G"], ids=["long", "huge", "letter"]
)
def test_generic_resources_beyond_any_count_are_refused_where_they_are_asked_for(gres):
    assert set(refusals_of(spec(resources=Resources(gres=gres)))) == {"resources.gres"}
    assert set(refusals_of(spec(f"#!/bin/sh\n#SBATCH --gres={gres}\n"))) == {"script"}


def test_what_is_too_large_is_not_read():
    def read(_):
        raise AssertionError("it was read")

    with pytest.raises(AssertionError, match="it was read"):
        admit(spec(), (STAGES[0], (read,)))
    large = [
        (spec("#!/bin/sh\n".ljust(MAX_SCRIPT_BYTES + 1, "x")), "script"),
        (spec(array="0-4000000," * 10_000 + "1"), "array"),
        (spec(resources=Resources(mem_bind="v," * 40_000)), "resources.mem_bind"),
        (spec(het=(Component(),) * 128), "het"),
        (spec(het=(Component(Resources(constraint="x" * 2**17)),)), "het.0.resources.constraint"),
    ]
    for asked, field in large:
        with pytest.raises(Refused) as refused:
            admit(asked, (STAGES[0], (read,)))
        assert [refusal.field for refusal in refused.value.refusals] == [field]


def test_as_many_components_and_ranges_pass_as_slurm_takes():
    assert len(admit(spec(het=(Component(),) * 127)).het) == 127
    many = ",".join(str(number) for number in range(0, 20_000, 2))
    assert admit(spec(array=many)).array == many
    assert "array" in refusals_of(spec(array=f"{many},20001"))
