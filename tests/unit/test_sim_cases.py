"""What is compared: how cases are written, and what is made of them."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hpcjobs.errors import Refused
from hpcjobs.sim.cases import PLACEMENTS, Case, Named, check, parse_case, parse_named, scheduler_of, space_of
from hpcjobs.sim.counts import Counts
from hpcjobs.sim.engine import simulate
from hpcjobs.sim.nodes import Nodes
from hpcjobs.sim.schedulers import SCHEDULERS
from tests.unit.simulated import job, starts, workload

BASE = Case(name="base", policies=(Named("urgent"),))


def test_a_case_says_what_differs_and_its_policies_come_after_those_of_all():
    text = 'ours, new: scheduler=slurm:{"bf_interval": 60}  policy=gang:{"ahead": 2, "heal_s": 60.5} policy=binpack'
    assert parse_case(f"{text} placement=fgd", BASE) == Case(
        name="ours, new",
        scheduler=Named("slurm", {"bf_interval": 60}),
        policies=(Named("urgent"), Named("gang", {"ahead": 2, "heal_s": 60.5}), Named("binpack")),
        placement="fgd",
    )


def test_a_case_may_say_nothing():
    assert parse_case("as all:", BASE) == Case(name="as all", policies=(Named("urgent"),))


def test_a_case_may_change_a_real_cluster():
    case = parse_case("more: add-nodes=4:n1 without=n[1-3],n7", BASE)
    assert (case.add_nodes, case.without) == ("4:n1", "n[1-3],n7")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "a name of up to 40 characters and a colon"),
        ("no colon", "a name of up to 40 characters and a colon"),
        (": scheduler=fcfs", "a name of up to 40 characters and a colon"),
        ("x" * 41 + ":", "a name of up to 40 characters and a colon"),
        ("a\nb:", "a name of up to 40 characters and a colon"),
        ("a: fcfs", "'fcfs' is not of the form key=value"),
        ("a: sched=fcfs", "no key is called 'sched'; there are scheduler, policy, placement, add-nodes, without"),
        ("a: scheduler=", "'' is no name"),
        ("a: placement=", "nothing stands behind the ="),
        ("a: placement=fgd placement=fgd", "placement: it is said twice"),
        ("a: scheduler=easy scheduler=easy", "scheduler: it is said twice"),
        ("a: add-nodes=1 add-nodes=2", "add-nodes: it is said twice"),
        ("a: policy=gang:", "the settings of gang are no JSON"),
        ("a: policy=gang:[1]", "the settings of gang are no JSON object"),
        ('a: policy=gang:{"ahead": 2}x', "there is more behind it: 'x'"),
        ("a: policy=gang:" + "[" * 100_000, "the settings of gang are no JSON"),
    ],
)
def test_what_is_no_case_is_refused_with_where_it_is_wrong(text, complaint):
    with pytest.raises(Refused) as caught:
        parse_case(text, BASE)
    assert complaint in caught.value.detail
    assert caught.value.detail.startswith("--case")
    assert len(caught.value.detail) < 300


def test_an_option_has_one_name_and_nothing_behind_it():
    assert parse_named('easy:{"depth": 3}', "--scheduler") == Named("easy", {"depth": 3})
    with pytest.raises(Refused, match="--policy: there is more behind it: ' gang'"):
        parse_named("urgent gang", "--policy")


@pytest.mark.parametrize(
    ("case", "complaint"),
    [
        (Case(name="c", scheduler=Named("lifo")), "no scheduler is called 'lifo'; there are fcfs, easy"),
        (Case(name="c", scheduler=Named("easy", {"depth": 0})), "the settings of easy are wrong"),
        (Case(name="c", scheduler=Named("easy", {"deep": 1})), "the settings of easy are wrong"),
        (Case(name="c", scheduler=Named("fcfs", {"depth": 1})), "the settings of fcfs are wrong"),
        (
            Case(name="c", scheduler=Named("slurm", {"bf_depth": 1})),
            "slurm has no setting 'bf_depth'; there are bf_interval",
        ),
        (Case(name="c", scheduler=Named("slurm", {"bf_interval": 0})), "bf_interval is a whole number above 0"),
        (Case(name="c", scheduler=Named("slurm", {"bf_interval": True})), "Expected `int`, got `bool` - at `$.bf_int"),
        (Case(name="c", scheduler=Named("slurm", {"bf_interval": "9"})), "Expected `int`, got `str` - at `$.bf_int"),
        (Case(name="c", scheduler=Named("slurm", {"by_clock": 1})), "Expected `bool`, got `int` - at `$.by_clock`"),
        (Case(name="c", scheduler=Named("slurm", {"priority": {"fair": 1}})), "unknown field `fair` - at `$.priority`"),
        (Case(name="c", scheduler=Named("slurm", {"priority": {"age": -1}})), ">= 0 - at `$.priority.age`"),
        (Case(name="c", placement="worst"), "no placement is called 'worst'; there are order, consecutive"),
        (Case(name="c", policies=(Named("gang"), Named("gang"))), "gang is in it twice"),
    ],
)
def test_what_cannot_be_made_is_refused(case, complaint):
    with pytest.raises(Refused) as caught:
        check(case)
    assert complaint in caught.value.detail
    assert "c: " in caught.value.detail


@pytest.mark.parametrize("name", SCHEDULERS)
def test_each_scheduler_can_be_made_and_is_another_each_time(name):
    case = Case(name="c", scheduler=Named(name))
    made = workload(job(1))
    assert scheduler_of(case, made).name == name
    assert scheduler_of(case, made) is not scheduler_of(case, made)


def test_slurm_goes_by_its_clock_and_by_priorities_where_a_case_says_so():
    said = 'x: scheduler=slurm:{"by_clock": true, "priority": {"job_size": 1000}, "batch_sched_delay": 9}'
    jobs = job(1, 0.5, 20.5, nodes=4), job(2, 1.2, 20, nodes=1), job(3, 1.3, 20, nodes=4)
    made = workload(*jobs)
    assert begun(said, made) == {1: 1, 3: 22, 2: 43}
    assert begun("x:", made) == {1: 0.5, 2: 21, 3: 41}


def begun(text, made):
    case = parse_case(text, Case(name="base"))
    return starts(simulate(made, scheduler_of(case, made), space=space_of(case, made)))


@pytest.mark.parametrize("name", PLACEMENTS)
def test_each_placement_can_be_made(name):
    space = space_of(Case(name="c", placement=name), workload(job(1)))
    assert isinstance(space, Nodes)
    assert space.gpus == 32


def test_counted_nodes_are_a_placement():
    space = space_of(Case(name="c", placement="counts"), workload(job(1)))
    assert isinstance(space, Counts)
    assert space.nodes == 4


@given(
    st.text(max_size=60)
    | st.from_regex(r"a: ?((scheduler|policy|placement|x)=[a-z]{0,3}(:[{}\[\]\":1 ]{0,9})? ?){0,4}")
)
@example("a:\u2028policy=x")
@example("a: policy=x:{}policy=y")
@example('a: policy=x:{"\ud800": NaN}')
def test_any_text_is_a_case_or_refused(text):
    refused = None
    try:
        case = parse_case(text, BASE)
        check(case)
    except Refused as error:
        refused = error
    if refused is not None:
        assert refused.detail.startswith("--")
    else:
        assert case.name
        assert case.policies[0] == Named("urgent")
