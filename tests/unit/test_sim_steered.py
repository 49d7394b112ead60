from __future__ import annotations

import msgspec
import pytest

from hpcjobs.model.hints import Hints
from hpcjobs.model.job import Fate, State
from hpcjobs.model.steering import (
    Avoid,
    Delay,
    Depend,
    Drain,
    Hold,
    Label,
    LimitMin,
    Prefer,
    Release,
    Requeue,
    Reserve,
    Resize,
    Shrink,
    Start,
    Tune,
    Weigh,
)
from hpcjobs.plugin import Tick
from hpcjobs.sim.counts import Counts
from hpcjobs.sim.engine import simulate
from hpcjobs.sim.failures import Failures
from hpcjobs.sim.result import End
from hpcjobs.sim.schedulers import Easy, Fcfs, Slurm
from hpcjobs.sim.schedulers.slurm import Parameters
from hpcjobs.sim.steered import Ticking
from hpcjobs.sim.view import ENDED_S, EPOCH_S
from hpcjobs_plugins.policies import data, suspect
from hpcjobs_plugins.policies import gang as gang_policy
from tests.unit.simulated import fleet, job, runs_of, starts, workload

ELASTIC = Hints(nodes_min=1, nodes_max=4)


class Script:
    """Says at each time what stands there for it; what it sees is kept."""

    period_s = 10.0

    def __init__(self, says, name="script"):
        self._says = says
        self.name = name
        self.seen = {}

    def tick(self, view, now):
        at_s = int(now - EPOCH_S)
        self.seen[at_s] = view
        said = self._says(at_s) if callable(self._says) else self._says.get(at_s, [])
        if isinstance(said, Exception):
            raise said
        return said


def steered(jobs, *scripts, scheduler=None, nodes=None, **options):
    made = workload(*jobs, nodes=nodes)
    return simulate(made, scheduler or Easy(), policies=scripts, **options)


def blocked(*more):
    """A job that has all nodes until 100, and others that wait."""
    return (job(1, 0, 100, nodes=4), *more)


def test_points_come_before_the_time_of_submission():
    jobs = blocked(job(2, 1, 10, nodes=4), job(3, 2, 10, nodes=4))
    prefer = Script(lambda at_s: [Prefer(3, 5, "urgent")])
    assert starts(steered(jobs, prefer)) == {1: 0, 3: 100, 2: 110}


def test_points_of_several_policies_add_up():
    jobs = blocked(job(2, 1, 10, nodes=4), job(3, 2, 10, nodes=4))
    more, less = Script(lambda at_s: [Prefer(3, 5, "")], "more"), Script(lambda at_s: [Prefer(3, -9, "")], "less")
    assert starts(steered(jobs, more, less))[2] == 100


def test_a_wish_that_is_not_repeated_is_withdrawn():
    jobs = blocked(job(2, 1, 10))
    script = Script(lambda at_s: [Hold(2, "wait")] if at_s <= 200 else [])
    result = steered(jobs, script)
    assert starts(result)[2] == 210
    assert [(acted.at_s, acted.outcome) for acted in result.acted] == [(10, "wished"), (210, "withdrawn")]


def test_another_reason_makes_no_other_wish():
    script = Script(lambda at_s: [Hold(2, f"at {at_s}")] if at_s <= 200 else [])
    assert len(steered(blocked(job(2, 1, 10)), script).acted) == 2


def test_a_job_is_put_off_to_the_latest_time_that_is_wished():
    early = Script(lambda at_s: [Delay(2, EPOCH_S + 120, "")], "early")
    late = Script(lambda at_s: [Delay(2, EPOCH_S + 147, "")], "late")
    assert starts(steered(blocked(job(2, 1, 10)), early, late))[2] == 147


def test_a_job_stays_away_from_nodes():
    script = Script(lambda at_s: [Avoid(2, ("n0", "n1", "nowhere"), "slow")])
    (run,) = runs_of(steered(blocked(job(2, 1, 10, nodes=2)), script), 2)
    assert run.indices == (2, 3)


def test_nodes_of_more_weight_are_taken_later():
    script = Script(lambda at_s: [Weigh(("n0", "n1"), 3, "")])
    (run,) = runs_of(steered(blocked(job(2, 1, 10)), script), 2)
    assert run.indices == (2,)


def test_a_reservation_keeps_nodes_from_others_and_its_jobs_on_them():
    jobs = blocked(job(2, 1, 100, nodes=1), job(3, 2, 50, nodes=2))
    keep = Reserve("r", ("n2", "n3"), EPOCH_S + 120, EPOCH_S + 400, (3,), "gang")
    script = Script(lambda at_s: [keep])
    result = steered((*jobs, job(4, 3, 30, nodes=4), job(5, 4, 19, nodes=2)), script)
    assert [runs_of(result, number)[0].indices for number in (2, 3, 5)] == [(0,), (2, 3), (1, 2)]
    begun = starts(result)
    assert begun[2] == 100
    assert begun[3] == 120
    assert begun[5] == 100  # it is gone before the reservation begins
    assert begun[4] == 400  # not on kept nodes, though they are free from 170 on


def test_of_two_reservations_that_want_the_same_node_the_first_policy_has_its_way():
    first = Reserve("a", ("n2", "n3"), EPOCH_S + 50, EPOCH_S + 400, (3,), "")
    second = Reserve("b", ("n3", "n1"), EPOCH_S + 50, EPOCH_S + 400, (2,), "")
    one, other = Script(lambda at_s: [first], "one"), Script(lambda at_s: [second], "other")
    result = steered(blocked(job(2, 1, 10), job(3, 2, 10, nodes=2)), one, other)
    assert set(one.seen[20].reservations) == {"a"}
    assert [runs_of(result, number)[0].indices for number in (2, 3)] == [(0,), (2, 3)]


def test_a_reservation_is_gone_when_nobody_wishes_it():
    jobs = blocked(job(2, 1, 30, nodes=4))
    keep = Reserve("r", ("n3",), EPOCH_S + 50, EPOCH_S + 9000, (77,), "")
    result = steered(jobs, Script(lambda at_s: [keep] if at_s < 300 else []))
    assert starts(result)[2] == 300


def test_a_shorter_limit_lets_a_job_start_before_the_first_and_ends_it_then():
    jobs = (job(1, 0, 100, nodes=3), job(2, 1, 100, nodes=4), job(3, 2, 200, nodes=1))
    script = Script(lambda at_s: [LimitMin(3, 60, "")])
    result = steered(jobs, script)
    (run,) = runs_of(result, 3)
    assert (run.start_s, run.end_s, run.end) == (10, 100, End.TIMEOUT)
    assert starts(result)[2] == 100


def test_slurms_backfill_is_tuned():
    jobs = (job(1, 0, 7200, nodes=3), job(2, 1, 100, nodes=4), job(3, 2, 9000, nodes=1))
    script = Script(lambda at_s: [Tune({"bf_window": "10", "unknown": "x"}, "")])
    tuned = steered(jobs, script, scheduler=Slurm(Parameters(bf_window=1440)))
    assert starts(tuned)[3] < 7200 < starts(steered(jobs, scheduler=Slurm()))[3]


def test_a_requeued_job_starts_anew_with_other_nodes_and_not_where_it_was():
    jobs = (job(1, 0, 120, wall_s=1000, nodes=2, hints=ELASTIC, checkpoint_s=15.0),)
    script = Script({40: [Requeue(1, "grow", 3, ("n0",))]})
    first, second = runs_of(steered(jobs, script), 1)
    assert (first.end, first.end_s, first.lost_s) == (End.REQUEUED, 40, 10)
    assert (second.start_s, second.nodes, second.indices) == (40, 3, (1, 2, 3))
    assert second.end_s == pytest.approx(40 + (120 - 30) * 2 / 3)


def test_a_running_job_gives_nodes_back_and_takes_longer():
    jobs = (job(1, 0, 100, wall_s=1000, nodes=4, hints=ELASTIC), job(2, 1, 10, nodes=2))
    result = steered(jobs, Script({20: [Shrink(1, 2, "others wait")]}))
    first, second = runs_of(result, 1)
    assert (first.end, first.end_s, first.lost_s) == (End.SHRUNK, 20, 0)
    assert (second.nodes, second.indices, second.end_s) == (2, (0, 1), pytest.approx(20 + 80 * 2))
    assert starts(result)[2] == 20
    assert result.ended[1] is End.COMPLETED


def test_a_waiting_job_asks_for_fewer_nodes():
    jobs = (job(1, 0, 100, nodes=3), job(2, 1, 40, wall_s=1000, nodes=4, hints=ELASTIC))
    (run,) = runs_of(steered(jobs, Script({10: [Resize(2, 1, "")]})), 2)
    assert (run.start_s, run.nodes, run.end_s) == (10, 1, 10 + 160)


@pytest.mark.parametrize(
    ("action", "why"),
    [
        (Requeue(2, ""), "does not run"),
        (Requeue(1, "", 2), "cannot run with more or fewer"),
        (Shrink(1, 5, ""), "cannot grow"),
        (Shrink(2, 1, ""), "does not run"),
        (Resize(1, 1, ""), "does not wait"),
        (Depend(1, "afterok:2", ""), "nothing depends"),
        (Release(1, ""), "nobody holds"),
        (Resize(2, 5, ""), "1 to 4 nodes"),
        (Resize(3, 50, ""), "would not fit"),
        (Drain(("nowhere",), ""), "no such nodes"),
    ],
)
def test_what_cannot_be_done_is_told(action, why):
    jobs = blocked(job(2, 1, 10, nodes=2, hints=ELASTIC), job(3, 1, 10, hints=Hints(nodes_min=1, nodes_max=99)))
    (acted,) = steered(jobs, Script({10: [action]})).acted
    assert acted.outcome.startswith("not done: ")
    assert why in acted.outcome


def test_a_drained_node_takes_no_jobs_and_comes_back_only_with_repairs():
    jobs = (job(1, 0, 50, nodes=1), job(2, 20, 10, nodes=4), job(3, 21, 5, nodes=1))
    drained = Script({10: [Drain(("n0",), "bad")]})
    result = steered(jobs, drained)
    assert runs_of(result, 1)[0].end_s == 50  # what runs there goes on
    assert result.waiting == (2,)
    assert runs_of(result, 3)[0].indices == (1,)
    seen_to = steered(jobs, drained, failures=Failures(per_1000_node_days=0, repair_s=200))
    assert starts(seen_to)[2] == 210


def test_a_policy_that_raises_is_skipped_and_counted_and_its_wishes_stay():
    script = Script(lambda at_s: [Hold(2, "")] if at_s == 90 else ValueError("no") if at_s < 300 else [])
    result = steered(blocked(job(2, 1, 10)), script)
    assert starts(result)[2] == 300
    assert result.policy_errors == {"script": 8 + 20}


def test_an_answer_that_is_no_action_counts_as_an_error():
    assert steered(blocked(), Script({10: ["hold it"]})).policy_errors == {"script": 1}
    assert steered(blocked(), Script({10: [Delay(1, float("nan"), "")]})).policy_errors == {"script": 1}


def test_a_simulation_whose_policy_holds_jobs_for_ever_stops():
    result = steered((job(1),), Script(lambda at_s: [Hold(1, "")], "never"), Script(lambda at_s: []))
    assert starts(result) == {1: 0}
    result = steered((job(1), job(2, 5, nodes=4)), Script(lambda at_s: [Hold(2, "")], "never"))
    assert result.waiting == (2,)


def test_a_view_says_what_slurm_would():
    jobs = (
        job(1, 0, 35, wall_s=60, nodes=2, gpus=4, cpus_per_node=4, account="ml", name="train", gpu_types=("h100",)),
        job(2, 5, 10, nodes=4, hints=ELASTIC),
        job(3, 6, 10, nodes=4),
    )
    script = Script(lambda at_s: [Hold(3, ""), Label(("n1",), "fast", "")] if at_s < 100 else [])
    steered((*jobs, job(4, 1000, 1)), script)
    view = script.seen[20]
    assert view.asked_at == EPOCH_S + 20
    one, two, three = (view.jobs[number] for number in (1, 2, 3))
    assert (one.state, one.node_list, one.gpus, one.cpus) == (State.RUNNING, "n[0-1]", {"h100": 8}, 8)
    assert (one.start_time, one.end_time, one.account, one.name) == (EPOCH_S, EPOCH_S + 60, "ml", "train")
    assert (two.state, two.nodes, two.submit_time, two.start_time) == (State.PENDING, 4, EPOCH_S + 5, 0)
    assert (three.state, three.reason) == (State.PENDING, "Priority"), "what policies have made of it is not shown"
    assert view.hints == {2: ELASTIC}
    node = view.nodes["n1"]
    assert (node.raw_state, node.cpus_alloc, node.gpus, node.gpus_alloc) == ("MIXED", 4, {"h100": 8}, {"h100": 4})
    assert (node.features, view.nodes["n3"].raw_state) == ((), "IDLE")
    assert list(view.partitions) == ["main"]
    ended = script.seen[40].jobs[1]
    assert (ended.state, ended.fate, ended.end_time) == (State.FINISHED, Fate.COMPLETED, EPOCH_S + 35)
    assert 1 in script.seen[int(30 + ENDED_S)].jobs
    assert 1 not in script.seen[int(40 + ENDED_S)].jobs
    assert script.seen[20].jobs[1].state is State.RUNNING  # a view is not changed later


def test_a_view_shows_nodes_that_are_down_or_drained():
    script = Script({10: [Drain(("n1",), "")]})
    failures = Failures(per_1000_node_days=1e6, repair_s=1e6, seed=1)
    at_s, index = next(failures.strikes(4))
    steered((job(1, 0, at_s + 50, nodes=1, gpus=1),), script, failures=failures, until_s=at_s + 60)
    view = script.seen[max(script.seen)]
    assert view.nodes[f"n{index}"].raw_state == "DOWN"
    assert view.nodes["n1"].usable is False


def test_policies_are_told_of_nodes_that_failed_under_jobs_and_large_jobs_keep_away_from_them():
    failures = Failures(per_1000_node_days=1e6, repair_s=1.0, seed=1)
    at_s, index = next(failures.strikes(4))
    alone = fleet(4)
    filled = tuple(job(number, 0, at_s + 50, nodes=1, gpus=8) for number in range(1, 5))
    script = Script(lambda _: [])
    steered(filled, script, failures=failures, until_s=at_s + 60)
    (failure, *_) = script.seen[max(script.seen)].failures
    assert (failure.node, failure.at) == (alone[index].name, EPOCH_S + at_s)
    assert failure.slurm_job_id in range(1, 5)
    (hook,) = suspect.PLUGIN.hooks(suspect.Settings(suspect_at=0.7, large_nodes=2))
    lemons = [
        Failures(per_1000_node_days=20_000, repair_s=1.0, seed=seed, lemons=0.25, lemon_failures=1.0)
        for seed in range(20)
    ]
    lemon, bad = next(one for one in lemons if next(one.strikes(4))[1] == 0), 0  # of the nodes that are taken first
    many = tuple(job(number, 3600.0 * number, 3000.0, nodes=2) for number in range(1, 40))
    plain, kept = (
        simulate(workload(*many, nodes=alone), Easy(), policies=policies, failures=lemon)
        for policies in ([], [Ticking("suspect", hook.run, 60.0)])
    )
    hit = [sum(run.end is End.NODE_FAIL for run in result.runs) for result in (plain, kept)]
    assert hit[0] > 3 * hit[1] > 0, "the first failure cannot be foreseen"
    later = [run for run in kept.runs if run.start_s > next(lemon.strikes(4))[0] + 3600]
    assert not [run for run in later if bad in run.indices]


def test_policy_data_is_told_which_nodes_hold_what_and_jobs_start_there():
    nodes = tuple(msgspec.structs.replace(node, datasets=("imagenet",) * (node.name == "n2")) for node in fleet(3))
    (hook,) = data.PLUGIN.hooks(data.Settings())
    reader = job(2, 20, 50, hints=Hints(datasets=("imagenet",)))
    jobs = workload(job(1, 0, 60, nodes=3), reader, nodes=nodes)
    plain, steered_ = (
        simulate(jobs, Easy(), policies=policies) for policies in ([], [Ticking("data", hook.run, 10.0)])
    )
    assert [runs_of(result, 2)[0].indices for result in (plain, steered_)] == [(0,), (2,)]


def test_where_only_the_number_of_nodes_is_simulated_wishes_about_nodes_change_nothing():
    jobs = blocked(job(2, 1, 10))
    script = Script(
        lambda at_s: (
            [Avoid(2, ("n0",), ""), Weigh(("n0",), 1, ""), Reserve("r", ("n0",), 0, 4e9, (), "")]
            + ([Drain(("n0",), "")] if at_s == 10 else [])
        )
    )
    result = steered(jobs, script, space=Counts(4))
    assert starts(result) == {1: 0, 2: 100}
    assert script.seen[10].nodes == {}


def test_policies_see_the_same_whichever_scheduler_runs():
    script = Script(lambda at_s: [])
    steered(blocked(), script, scheduler=Fcfs(), nodes=fleet(4))
    assert script.seen[10].jobs[1].state is State.RUNNING


def test_a_job_that_was_to_begin_later_may_start_at_once():
    jobs = (job(1, 0, 10), job(2, 5, 10))
    script = Script(lambda at_s: [Start(2, "")] if at_s >= 50 else [])
    result = steered(jobs, script, begin_s=lambda job: 1000.0 if job.number == 2 else 0.0)
    assert starts(result) == {1: 0, 2: 50}
    assert script.seen[10].jobs[2].reason == "BeginTime"
    assert starts(steered(jobs, begin_s=lambda job: 1000.0))[2] == 1005


def test_a_hold_is_stronger_than_a_start():
    hold = Script(lambda at_s: [Hold(1, "")] if at_s < 200 else [], "hold")
    script = Script(lambda at_s: [Start(1, ""), Delay(1, EPOCH_S + 9000, "")])
    result = steered((job(1, 0, 10), job(2, 0, 1)), hold, script, begin_s=lambda job: 15.0 * (job.number == 1))
    assert starts(result)[1] == 200
    assert [hold.seen[at_s].jobs[1].reason for at_s in (10, 20)] == ["BeginTime", "Priority"]


def test_a_view_tells_reservations_and_who_is_in_them():
    keep = Reserve("r", ("n1", "n0"), EPOCH_S + 50.5, EPOCH_S + 90, (2,), "")
    script = Script(lambda at_s: [keep] if at_s < 40 else [])
    steered(blocked(job(2, 1, 10)), script)
    seen = script.seen[20]
    there = seen.reservations["r"]
    assert (there.nodes, there.start, there.end) == (("n0", "n1"), EPOCH_S + 50, EPOCH_S + 90)
    assert seen.jobs[2].particulars.reservation == "r"
    assert script.seen[50].reservations == {}
    assert script.seen[50].jobs[2].particulars.reservation == ""


def test_the_gang_policy_starts_its_members_together():
    gang = Hints(gang="g", gang_size=2)
    jobs = (job(1, 0, 100, nodes=3), job(2, 5, 50, wall_s=90, nodes=2, hints=gang), job(3, 6, 300, nodes=1),
            job(4, 9, 50, wall_s=90, nodes=2, hints=gang))  # fmt: skip
    (tick,) = [hook for hook in gang_policy.PLUGIN.hooks(gang_policy.Settings()) if isinstance(hook, Tick)]
    result = steered(
        jobs, Ticking("gang", tick.run, tick.period_s), begin_s=lambda job: 3.15e7 if job.hints.gang else 0.0
    )
    begun = starts(result)
    assert begun[3] == 6
    assert begun[2] == begun[4] == pytest.approx(306, abs=4)  # a tick or two after the last node is free
    assert result.policy_errors == {}
    assert all(run.idle_s == 0 for run in result.runs)
    assert set(result.ended.values()) == {End.COMPLETED}


def test_policies_see_jobs_as_they_were_asked_for_as_on_a_real_cluster():
    wishes = [Prefer(2, 50, ""), Hold(2, ""), Avoid(2, ("n0",), ""), LimitMin(2, 5, ""), Delay(3, EPOCH_S + 60, "")]
    script = Script(lambda at_s: [*wishes, Label(("n1",), "fast", "")] if at_s < 50 else [])
    still = Script(lambda at_s: [])
    steered(blocked(job(2, 1, 10), job(3, 1, 10)), script)
    steered(blocked(job(2, 1, 10), job(3, 1, 10)), still)
    assert script.seen[30].jobs == still.seen[30].jobs
    assert script.seen[30].nodes == still.seen[30].nodes


def test_nodes_that_an_act_keeps_a_job_from_are_seen():
    script = Script({10: [Requeue(1, "n0 is slow.", avoid=("n0",))]})
    steered((job(1, 0, 100, nodes=1),), script)
    assert script.seen[20].jobs[1].particulars.excluded_nodes == "n0"
