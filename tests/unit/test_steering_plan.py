"""Jobs as policies want them, whatever is killed when and whoever else changes them."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hpcjobs.model.aims import JobAim, Why
from hpcjobs.model.job import JobRecord, State
from hpcjobs.model.order import Changes, Order, Verb
from hpcjobs.model.particulars import Particulars
from hpcjobs.model.steered import Key, Steered
from hpcjobs.sbatch.hostlists import expand_hostlist
from hpcjobs.steering.fields import JOB_FIELDS, MAX_NICE, orders_of
from hpcjobs.steering.plan import Step, plan_jobs
from hpcjobs.steering.plan_all import first_of


def job(number: int = 1, **facts: object) -> JobRecord:
    own = {name: facts.pop(name) for name in list(facts) if name in Particulars.__struct_fields__}
    given = {"state": State.PENDING, "user": "alice", "eligible_time": 100, **facts}
    return JobRecord(slurm_job_id=number, particulars=Particulars(**own), **given)


@dataclass
class Slurm:
    """Jobs that obey orders at once, and are listed as they are."""

    jobs: dict[int, JobRecord] = field(default_factory=dict)
    now: float = 1000.0

    def act(self, order: Order) -> None:
        number = int(order.target)
        record = self.jobs[number]
        facts: dict[str, object] = {}
        own: dict[str, object] = {}
        changes = order.changes or Changes()
        if order.verb is Verb.HOLD:
            facts["state"] = State.HELD
        elif order.verb is Verb.RELEASE:
            facts["state"] = State.PENDING
        for name, target in (("nice", "nice"), ("exclude", "excluded_nodes"), ("time_min_s", "time_min_s"),
                             ("reservation", "reservation")):  # fmt: skip
            value = getattr(changes, name)
            if value is not None:
                own[target] = value
        if changes.begin is not None:
            facts["eligible_time"] = changes.begin or int(self.now)
        particulars = msgspec.structs.replace(record.particulars, **own)
        self.jobs[number] = msgspec.structs.replace(record, particulars=particulars, **facts)


def settled(slurm: Slurm, aims: dict[int, JobAim], rows: dict[Key, Steered]) -> int:
    """Plan and carry out until nothing is to be done; returns how often something was."""
    ids = {number: f"id{number}" for number in slurm.jobs}
    for turn in range(10):
        slurm.now += 10
        plan = plan_jobs(aims, slurm.jobs, ids, rows, slurm.now - 1, slurm.now)
        if not plan:
            return turn
        for step in plan:
            rows |= {row.key: row for row in step.rows}
            for order in step.orders:
                slurm.act(order)
            for key in step.dropped:
                del rows[key]
    raise AssertionError("it never comes to rest")


def test_what_is_wished_is_ordered_once_and_taken_back_when_it_is_wished_no_more():
    slurm, rows = Slurm({1: job(nice=3, excluded_nodes="n[1-2]")}), {}
    before = slurm.jobs[1]
    aim = JobAim(points=10, avoid={"n2", "n7"}, hold=True, until=5000.5, time_min_s=61.0, whys=[Why("p", "w")])
    assert settled(slurm, {1: aim}, rows) == 1
    after = slurm.jobs[1]
    assert (after.particulars.nice, after.state, after.eligible_time) == (-7, State.HELD, 5001)
    assert set(expand_hostlist(after.particulars.excluded_nodes)) == {"n1", "n2", "n7"}
    assert after.particulars.time_min_s == 120
    settled(slurm, {}, rows)
    assert rows == {}
    assert slurm.jobs[1].particulars == before.particulars
    assert slurm.jobs[1].state is State.PENDING
    assert slurm.jobs[1].eligible_time <= slurm.now


def test_of_what_a_listing_cannot_show_yet_nothing_is_concluded():
    ids, rows = {1: "id1"}, {}
    first = plan_jobs({1: JobAim(points=5)}, {1: job()}, ids, rows, asked_at=50.0, now=51.0)
    rows |= {row.key: row for row in first[0].rows}
    assert plan_jobs({1: JobAim(points=9)}, {1: job()}, ids, rows, asked_at=51.0, now=52.0) == ()
    (later,) = plan_jobs({1: JobAim(points=9)}, {1: job(nice=-5)}, ids, rows, asked_at=52.0, now=53.0)
    assert later.orders == (Order(Verb.UPDATE, "1", changes=Changes(nice=-9)),)


def test_what_a_person_sets_is_from_then_on_what_policies_build_on():
    slurm, rows = Slurm({1: job()}), {}
    settled(slurm, {1: JobAim(points=5, avoid={"n1"})}, rows)
    slurm.act(Order(Verb.UPDATE, "1", changes=Changes(nice=100, exclude="n9")))
    settled(slurm, {1: JobAim(points=5, avoid={"n1"})}, rows)
    assert slurm.jobs[1].particulars.nice == 95
    assert set(expand_hostlist(slurm.jobs[1].particulars.excluded_nodes)) == {"n1", "n9"}
    settled(slurm, {}, rows)
    assert (slurm.jobs[1].particulars.nice, slurm.jobs[1].particulars.excluded_nodes) == (100, "n9")


def test_what_slurm_did_not_take_is_no_persons_change_however_often_policies_change_their_minds():
    slurm, rows = Slurm({1: job(nice=3)}), {}
    settled(slurm, {1: JobAim(points=1)}, rows)
    for points in (2, 3, 4, 5):  # rows are written, and the service is killed, or Slurm refuses the order
        slurm.now += 10
        (step,) = plan_jobs({1: JobAim(points=points)}, slurm.jobs, {1: "id1"}, rows, slurm.now - 1, slurm.now)
        rows |= {row.key: row for row in step.rows}
    settled(slurm, {}, rows)
    assert (slurm.jobs[1].particulars.nice, rows) == (3, {})


def test_a_start_time_that_has_passed_meanwhile_is_not_set_again_and_again():
    slurm, rows = Slurm({1: job(eligible_time=1500)}), {}
    settled(slurm, {1: JobAim(start=True)}, rows)
    slurm.now = 2000.0
    settled(slurm, {}, rows)
    assert rows == {}


def test_jobs_that_run_have_ended_or_are_not_listed_are_left_alone_and_put_right_when_they_wait_again():
    rows = {(key := Key("job", f"id{number}", "nice")): Steered(key, 0, -5, (0,), 1.0) for number in (1, 2, 3)}
    jobs = {1: job(1, state=State.RUNNING, nice=-5), 2: job(2, state=State.FINISHED, nice=-5)}
    assert plan_jobs({1: JobAim(points=7)}, jobs, {1: "id1", 2: "id2"}, rows, 10.0, 11.0) == ()
    again = {number: job(number, restarts=1, nice=-5) for number in (1, 2, 3)}
    slurm = Slurm(again)
    settled(slurm, {}, rows)
    assert ([one.particulars.nice for one in slurm.jobs.values()], rows) == ([0, 0, 0], {})


def test_a_number_that_was_given_again_is_another_job():
    key = Key("job", "old", "nice")
    assert plan_jobs({}, {1: job(nice=0)}, {1: "new"}, {key: Steered(key, 50, 45, (50,), 1.0)}, 10.0, 11.0) == ()


def test_a_least_limit_or_a_reservation_that_was_asked_for_stays():
    aim = JobAim(time_min_s=600.0, reservation="gang")
    assert plan_jobs({1: aim}, {1: job(time_min_s=60, reservation="mine")}, {1: "id1"}, {}, 10.0, 11.0) == ()


def test_a_job_is_held_before_it_is_changed_and_released_after():
    values = {"nice": 5, "hold": 1}
    assert [order.verb for order in orders_of("1", values, 0.0)] == [Verb.HOLD, Verb.UPDATE]
    assert [order.verb for order in orders_of("1", {**values, "hold": 0}, 0.0)] == [Verb.UPDATE, Verb.RELEASE]


@pytest.mark.parametrize(("points", "nice"), [(2**40, -MAX_NICE), (-(2**40), MAX_NICE)])
def test_no_nice_is_beyond_what_slurm_takes(points, nice):
    assert JOB_FIELDS["nice"].wished(0, JobAim(points=points)) == nice


@given(st.integers(-100, 100), st.integers(-100, 100))
def test_nice_is_what_was_asked_for_less_the_points(base, points):
    wished = JOB_FIELDS["nice"].wished(base, JobAim(points=points))
    assert wished == (base - points if points else None)


names = st.sets(st.sampled_from(["n1", "n2", "n3"]), max_size=2)


class Killed(RuleBasedStateMachine):
    """Policies, people, a controller that loses orders, and a service that is killed between any two of its steps."""

    def __init__(self) -> None:
        super().__init__()
        self.slurm = Slurm({1: job()})
        self.rows: dict[Key, Steered] = {}
        self.aim = JobAim()
        self.person = {"nice": 0, "exclude": ""}
        """What the job would be without policies."""

    @rule(points=st.integers(-3, 3), avoid=names, hold=st.booleans())
    def policies_change_their_minds(self, points, avoid, hold):
        self.aim = JobAim(points=points, avoid=avoid, hold=hold)

    @rule(nice=st.sampled_from([0, 1000, 2000]), exclude=st.sampled_from(["", "n8", "n9"]))
    def a_person_changes_the_job(self, nice, exclude):
        """At rest: while an order is under way, the last word is Slurm's. Never to just what policies made of it."""
        settled(self.slurm, {1: self.aim}, self.rows)
        self.slurm.act(Order(Verb.UPDATE, "1", changes=Changes(nice=nice, exclude=exclude)))
        self.person = {"nice": nice, "exclude": exclude}
        settled(self.slurm, {1: self.aim}, self.rows)

    @rule()
    def a_listing_is_asked_while_orders_are_under_way(self):
        """It shows what was before them; the service lives, and knows when they were done."""
        before = dict(self.slurm.jobs)
        self.slurm.now += 10
        plan = plan_jobs({1: self.aim}, self.slurm.jobs, {1: "id1"}, self.rows, self.slurm.now - 1, self.slurm.now)
        for step in plan:
            for order in step.orders:
                self.slurm.act(order)
            self.rows |= {row.key: msgspec.structs.replace(row, at=self.slurm.now + 5) for row in step.rows}
            for key in step.dropped:
                del self.rows[key]
        asked_at = self.slurm.now + 2
        self.slurm.now += 6
        plan = plan_jobs({1: JobAim()}, before, {1: "id1"}, self.rows, asked_at, self.slurm.now)
        for step in plan:
            for order in step.orders:
                self.slurm.act(order)
            self.rows |= {row.key: row for row in step.rows}
            for key in step.dropped:
                del self.rows[key]

    @rule(upto=st.integers(0, 4))
    def a_tick_is_killed(self, upto):
        """After so many of: rows, each order, rows again."""
        self.slurm.now += 10
        plan = plan_jobs({1: self.aim}, self.slurm.jobs, {1: "id1"}, self.rows, self.slurm.now - 1, self.slurm.now)
        for step in plan:
            if upto < 1:
                return
            self.rows |= {row.key: row for row in step.rows}
            for order in step.orders[: upto - 1]:
                self.slurm.act(order)
            if upto > len(step.orders):
                for key in step.dropped:
                    del self.rows[key]

    @invariant()
    def left_alone_it_comes_to_stand_as_wished_and_without_policies_as_it_was(self):
        for aim in (self.aim, JobAim()):
            slurm, rows = Slurm(dict(self.slurm.jobs), self.slurm.now), dict(self.rows)
            settled(slurm, {1: aim}, rows)
            own = slurm.jobs[1].particulars
            assert own.nice == self.person["nice"] - aim.points
            wanted = {*filter(None, [self.person["exclude"]]), *aim.avoid}
            assert set(expand_hostlist(own.excluded_nodes) if own.excluded_nodes else ()) == wanted
            assert slurm.jobs[1].state is (State.HELD if aim.hold else State.PENDING)
        assert rows == {}


Killed.TestCase.settings = settings(max_examples=60, stateful_step_count=12, deadline=None)
TestKilled = Killed.TestCase


def test_the_jobs_of_one_reservation_are_changed_in_one_turn_whatever_their_number():
    steps = [Step(number, (), (), ()) for number in range(1, 9)]
    aims = {number: JobAim(reservation="gang") for number in (3, 6, 8)} | {5: JobAim(reservation="other")}
    assert [step.number for step in first_of(steps, aims, 3)] == [1, 2, 3, 6, 8]
    assert [step.number for step in first_of(steps, aims, 2)] == [1, 2]
    assert first_of(steps, aims, 8) == steps
