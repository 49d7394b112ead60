"""What every backend keeps to. The modules that import this give the fixture ``subject``."""

from __future__ import annotations

import uuid
from typing import Any

import msgspec
import pytest

from hpcjobs.errors import Conflict, JobUnknown, NotAllowed, NotSupported, Refused
from hpcjobs.model.gres import parse_tres
from hpcjobs.model.history import HistoryQuery
from hpcjobs.model.job import Fate, State
from hpcjobs.model.node_order import NodeOrder
from hpcjobs.model.order import Changes, SignalScope, Verb
from hpcjobs.model.reservation import ReservationFlag, ReservationOrder, ReservationVerb
from hpcjobs.model.spec import Resources
from hpcjobs.sbatch.hostlists import in_hostlist
from hpcjobs.slurm.base import Op
from hpcjobs.slurm.targets import expand_tasks

from .subject import GONE, Subject

EVERY_VERB: list[tuple[Verb, dict[str, Any]]] = [
    (Verb.CANCEL, {}),
    (Verb.HOLD, {}),
    (Verb.RELEASE, {}),
    (Verb.REQUEUE, {}),
    (Verb.SUSPEND, {}),
    (Verb.RESUME, {}),
    (Verb.SIGNAL, {"signal": "USR1"}),
    (Verb.UPDATE, {"changes": Changes(name="other")}),
]

ODD_TEXTS = [
    "two\nlines",
    "tab\tand  spaces ",
    'it\'s "quoted" `twice`',
    "größer ☃ 漢字",
    "a|b;c&d>e<f*g?h[i]j{k}l~m",
    "$(touch /tmp/hpcjobs-was-here) ${HOME} $HOME !!",
    "-x --hold",
    "back\\slash \\n %j %%",
    "#SBATCH --hold",
    "a=b,c:d",
]

BAD_TARGETS = ["", "abc", "-1", "0", "1 2", "1;id", "$(id)", "1_", "1_[", "1_[2-]", "1_[1]x", "1+", "1\n", "1_2_3", "٣"]


async def test_a_submitted_job_is_listed_and_found_by_its_mark_in_its_owners_jobs_only(subject: Subject) -> None:
    launch = subject.launch(hold=True, comment="mine", name="some name")
    number = await subject.backend.submit("alice", launch)
    subject.numbers.append(number)
    job = await subject.record(number)
    assert (job.user, job.name, job.comment, job.attempt) == ("alice", "some name", "mine", launch.attempt)
    assert (job.state, job.raw_state, job.reason) == (State.HELD, "PENDING", "JobHeldUser")
    assert (job.fate, job.workdir, job.array_job_id, job.array_task) == (None, "/tmp", 0, "")
    assert await subject.backend.find("alice", launch.attempt) == number
    assert await subject.backend.find("bob", launch.attempt) is None
    assert await subject.backend.find("alice", uuid.uuid4().hex) is None


async def test_nodes_and_the_partitions_that_they_name_are_listed_together(subject: Subject) -> None:
    view = await subject.backend.view(subject.now)
    assert view.nodes
    assert view.nodes_by_partition().keys() == view.partitions.keys()
    told = all(partition.flags_told for partition in view.partitions.values())
    assert [partition.default for partition in view.partitions.values()].count(True) == told
    for name, inside in view.nodes_by_partition().items():
        partition = view.partitions[name]
        assert (partition.state, partition.total_nodes) == ("UP", len(inside))
        assert all(in_hostlist(node.name, partition.nodes) for node in inside)


async def test_a_cluster_says_how_it_schedules(subject: Subject) -> None:
    await subject.backend.view(subject.now)
    if subject.backend.lacks(Op.SCHEDULING):
        with pytest.raises(NotSupported, match=r"v0\.0\.45 is the first that does"):
            await subject.backend.scheduling()
        return
    found = await subject.backend.scheduling()
    assert (found.scheduler, found.priority, found.age_max_s) == ("sched/backfill", "priority/multifactor", 7 * 86_400)
    if subject.real:  # as slurm-conf/common.conf says
        assert found.parameters == {"bf_interval": "5", "bf_continue": "", "batch_sched_delay": "1"}
        weights = {"age": 1000, "fairshare": 10_000, "jobsize": 1000, "partition": 1000, "qos": 2000}
        assert (found.weights, found.select_parameters) == (weights, ("CR_CORE_MEMORY",))
        assert found.topology in ("topology/flat", "topology/default")


async def test_a_node_says_what_it_is_made_of_and_what_jobs_have_of_it(subject: Subject) -> None:
    number = await subject.submit(resources=Resources(nodes=1, gpus_per_node=2, wall_s=60))
    job = await subject.running(number)
    node = (await subject.backend.view(subject.now)).nodes[job.node_list]
    assert sum(node.gpus_alloc.values()) >= 2
    if not subject.real:
        return
    told = node.particulars
    assert (told.sockets, told.cores, told.threads, told.cpus_total) == (2, 32, 1, 64)
    assert told.address == told.hostname == node.name
    assert (told.architecture, told.weight, told.tmp_disk_bytes) == ("x86_64", 1, 10_000 * 2**20)
    assert told.gres == "gpu:a100:8" or told.gres == "gpu:h100:8"
    assert told.gres_used.startswith(told.gres[:9])
    assert "IDX" in told.gres_used
    assert f"gres/{told.gres[:8]}=8" in told.tres
    assert "gres/gpu" in told.tres_alloc
    assert subject.now > told.slurmd_start_time > told.boot_time > subject.now - 10 * 365 * 86400
    assert told.os.startswith("Linux")
    assert told.version
    assert told.features_active == node.features
    assert told.cpu_load is not None
    assert told.free_mem_bytes


async def test_odd_names_and_comments_come_back_as_they_are(subject: Subject) -> None:
    numbers = [await subject.submit(hold=True, name=text, comment=text) for text in ODD_TEXTS]
    jobs = await subject.jobs()
    assert [jobs[number].name for number in numbers] == ODD_TEXTS
    assert [jobs[number].comment for number in numbers] == ODD_TEXTS


async def test_a_changed_name_comes_back_as_it_is_however_odd(subject: Subject) -> None:
    number = await subject.submit(hold=True)
    for text in ODD_TEXTS:
        assert await subject.order(Verb.UPDATE, number, changes=Changes(name=text, comment=text))
        job = await subject.record(number)
        assert (job.name, job.comment) == (text, text)


async def test_what_slurm_would_never_run_is_refused_with_slurms_name_for_it(subject: Subject) -> None:
    with pytest.raises(Refused) as refused:
        await subject.submit(partition="no-such-partition")
    assert refused.value.refusals[0].code == "ESLURM_INVALID_PARTITION_NAME"
    with pytest.raises(Refused):
        await subject.submit(resources=Resources(nodes=999, wall_s=60))


async def test_a_held_job_is_released_and_a_waiting_one_is_held(subject: Subject) -> None:
    number = await subject.submit(hold=True)
    assert await subject.order(Verb.RELEASE, number)
    await subject.running(number)
    waits = await subject.submit(hold=True)
    assert await subject.order(Verb.UPDATE, waits, changes=Changes(begin=2_000_000_000))
    assert await subject.order(Verb.RELEASE, waits)
    assert (await subject.record(waits)).state is State.PENDING
    assert await subject.order(Verb.HOLD, waits)
    job = await subject.record(waits)
    assert (job.state, job.reason) == (State.HELD, "JobHeldUser")


async def test_a_cancelled_job_has_ended_and_takes_no_orders_any_more(subject: Subject) -> None:
    number = await subject.submit()
    await subject.running(number)
    assert await subject.order(Verb.CANCEL, number)
    job = await subject.ended(number)
    assert (job.fate, job.state) == (Fate.CANCELLED, State.FINISHED)
    assert job.end_time >= job.start_time > 0
    for verb, more in EVERY_VERB:
        if verb is Verb.REQUEUE:  # Slurm takes back what has ended
            continue
        if verb in (Verb.SUSPEND, Verb.RESUME) and not subject.users_suspend:
            continue
        try:
            await subject.order(verb, number, **more)
        except Conflict:
            continue
        assert subject.backend.lacks(Op(verb)), verb


async def test_a_waiting_job_is_cancelled_too(subject: Subject) -> None:
    number = await subject.submit(hold=True)
    assert await subject.order(Verb.CANCEL, number)
    assert (await subject.ended(number)).fate is Fate.CANCELLED


async def test_a_job_that_slurm_does_not_know_is_unknown_to_every_verb(subject: Subject) -> None:
    for verb, more in EVERY_VERB:
        try:
            await subject.order(verb, GONE, **more)
        except JobUnknown:
            continue
        assert subject.backend.lacks(Op(verb)), verb


async def test_nobody_acts_on_another_users_job(subject: Subject) -> None:
    number = await subject.submit()
    await subject.running(number)
    before = await subject.record(number)
    for verb, more in EVERY_VERB:
        try:
            await subject.order(verb, number, "bob", **more)
        except NotAllowed:
            continue
        assert subject.backend.lacks(Op(verb)), verb
    assert await subject.record(number) == before


async def test_a_target_that_is_no_job_is_refused_before_slurm_hears_of_it(subject: Subject) -> None:
    for target in BAD_TARGETS:
        for verb, more in EVERY_VERB:
            try:
                can = await subject.order(verb, target, **more)
            except Refused:
                continue
            assert not can, (target, verb)


async def test_a_signal_that_there_is_not_is_refused(subject: Subject) -> None:
    number = await subject.submit(hold=True)
    for name in ("", "NOPE", "0", "999", "USR1; id", "$(id)"):
        with pytest.raises(Refused):
            await subject.order(Verb.SIGNAL, number, signal=name)


@pytest.mark.parametrize("scope", list(SignalScope))
async def test_a_signal_reaches_a_running_job(subject: Subject, scope: SignalScope) -> None:
    number = await subject.submit()
    await subject.running(number)
    assert await subject.order(Verb.SIGNAL, number, signal="CONT", scope=scope)
    assert await subject.order(Verb.SIGNAL, number, signal="KILL", scope=SignalScope.FULL)
    assert (await subject.ended(number)).fate in (Fate.CANCELLED, Fate.FAILED)


async def test_a_requeued_job_waits_again_and_has_been_restarted_once(subject: Subject) -> None:
    number = await subject.submit()
    await subject.running(number)
    if await subject.order(Verb.REQUEUE, number, hold=True):
        job = await subject.until(number, lambda job: job.state is State.HELD)
        assert job.restarts == 1
        assert await subject.order(Verb.RELEASE, number)
        assert (await subject.record(number)).state in (State.PENDING, State.RUNNING)
    else:
        assert (await subject.record(number)).restarts == 0


async def test_a_suspended_job_is_resumed(subject: Subject) -> None:
    number = await subject.submit()
    await subject.running(number)
    if not subject.users_suspend and not subject.backend.lacks(Op.SUSPEND):
        with pytest.raises(NotAllowed):
            await subject.order(Verb.SUSPEND, number)
    elif await subject.order(Verb.SUSPEND, number):
        await subject.until(number, lambda job: job.state is State.SUSPENDED)
        assert await subject.order(Verb.RESUME, number)
        await subject.running(number)
    assert (await subject.record(number)).raw_state == "RUNNING"


async def test_a_job_is_changed_in_what_is_named_and_in_nothing_else(subject: Subject) -> None:
    launch = subject.launch(hold=True, comment="mine")
    number = await subject.backend.submit("alice", launch)
    subject.numbers.append(number)
    before = await subject.record(number)
    comment = f"yours hpcjobs:{launch.attempt}"
    changes = Changes(comment=comment, wall_s=301, begin=2_000_000_000, nice=7, requeue=False)
    assert await subject.order(Verb.UPDATE, number, changes=changes)
    after = await subject.record(number)
    assert (after.comment, after.attempt) == ("yours", launch.attempt)
    if subject.real:
        assert after.wall_s == 360
    assert after.eligible_time == 2_000_000_000
    assert (after.name, after.account, after.state, after.nodes) == (
        before.name,
        before.account,
        before.state,
        before.nodes,
    )


async def test_a_dependency_a_node_list_and_a_number_of_nodes_are_set_and_taken_away(subject: Subject) -> None:
    other = await subject.submit(hold=True)
    number = await subject.submit(hold=True)
    assert await subject.order(Verb.UPDATE, number, changes=Changes(dependency=f"afterany:{other}"))
    assert str(other) in (await subject.record(number)).dependency
    if await subject.order(Verb.UPDATE, number, changes=Changes(dependency="")):
        assert (await subject.record(number)).dependency == ""
    if await subject.order(Verb.UPDATE, number, changes=Changes(nodes=2)):
        assert (await subject.record(number)).nodes == 2


async def test_a_change_that_slurm_refuses_is_a_refusal_with_its_name(subject: Subject) -> None:
    number = await subject.submit(hold=True)
    with pytest.raises(Refused) as refused:
        await subject.order(Verb.UPDATE, number, changes=Changes(partition="no-such-partition"))
    assert refused.value.refusals[0].code == "ESLURM_INVALID_PARTITION_NAME"


async def test_an_array_waits_as_one_and_its_tasks_are_named_singly_or_together(subject: Subject) -> None:
    number = await subject.submit(array="1-6%2", hold=True)
    assert set(await subject.tasks(number)) == {"1-6%2"}
    can = await subject.order(Verb.CANCEL, f"{number}_2")
    can_several = await subject.order(Verb.CANCEL, f"{number}_[4-5]")
    left = [task for task in range(1, 7) if not (can and task == 2) and not (can_several and task in (4, 5))]
    waiting = [name for name, job in (await subject.tasks(number)).items() if job.fate is None and not name.isdigit()]
    assert waiting == [f"{_folded(left)}%2"]
    if await subject.order(Verb.HOLD, f"{number}_3"):
        assert (await subject.tasks(number))["3"].state is State.HELD
        assert await subject.order(Verb.RELEASE, f"{number}_3")
    if await subject.order(Verb.UPDATE, number, changes=Changes(array_max_running=1)):
        assert any(name.endswith("%1") for name in await subject.tasks(number))
    for one in await subject.backend.history(HistoryQuery(numbers=(number,))):
        assert expand_tasks(one.record.array_task)


def _folded(tasks: list[int]) -> str:
    text = ",".join(map(str, tasks))
    return {"1,2,3,4,5,6": "1-6", "1,3,6": "1,3,6"}.get(text, text)


async def test_tasks_of_a_running_array_have_numbers_of_their_own_and_end_one_by_one(subject: Subject) -> None:
    number = await subject.submit(array="0-2")
    await subject.until(number, lambda job: job.raw_state == "RUNNING")
    tasks = await subject.tasks(number)
    assert set(tasks) == {"0", "1", "2"}
    assert len({job.slurm_job_id for job in tasks.values()}) == 3
    if await subject.order(Verb.CANCEL, f"{number}_1"):
        await subject.until(tasks["1"].slurm_job_id, lambda job: job.fate is Fate.CANCELLED)
        assert (await subject.record(tasks["0"].slurm_job_id)).raw_state == "RUNNING"
        with pytest.raises(Conflict):
            await subject.order(Verb.CANCEL, f"{number}_1")
        # What has ended already does not spoil the rest.
        assert await subject.order(Verb.CANCEL, number)
        for job in tasks.values():
            assert (await subject.ended(job.slurm_job_id)).fate is Fate.CANCELLED
        with pytest.raises(Conflict):
            await subject.order(Verb.CANCEL, number)


async def test_an_estimate_says_when_and_where_and_submits_nothing(subject: Subject) -> None:
    launch = subject.launch()
    why = subject.backend.lacks(Op.ESTIMATE, launch)
    before = set(await subject.jobs())
    if why:
        with pytest.raises(NotSupported) as refused:
            await subject.backend.estimate("alice", launch)
        assert why in refused.value.detail
        return
    estimate = await subject.backend.estimate("alice", launch)
    assert estimate.start_time >= subject.now - 120
    assert estimate.node_list
    assert set(await subject.jobs()) <= before  # the controller may have forgotten some meanwhile
    with pytest.raises(Refused) as refusal:
        await subject.backend.estimate("alice", subject.launch(partition="no-such-partition"))
    assert refusal.value.refusals[0].code == "ESLURM_INVALID_PARTITION_NAME"


async def test_accounting_knows_a_job_that_has_ended_and_its_steps_where_they_are_asked_for(subject: Subject) -> None:
    number = await subject.submit("#!/bin/bash\nsleep 1\n", name="accounted for")
    await subject.ended(number)
    for _ in range(400):
        found = await subject.backend.history(HistoryQuery(numbers=(number,), steps=True))
        if found and found[0].record.fate is not None and found[0].steps:
            break
        await subject.pause()
    (job,) = found
    assert (job.record.slurm_job_id, job.record.user, job.record.name) == (number, "alice", "accounted for")
    assert (job.record.fate, job.record.exit_code, job.record.exit_signal) == (Fate.COMPLETED, 0, 0)
    assert job.record.end_time >= job.record.start_time > 0
    (batch,) = (step for step in job.steps if step.id == "batch")
    assert (batch.node_list, batch.raw_state) == (job.record.node_list, "COMPLETED")
    assert batch.end_time >= batch.start_time > 0
    plain = await subject.backend.history(HistoryQuery(numbers=(number,)))
    assert [(one.record, one.steps) for one in plain] == [(job.record, ())]


async def test_accounting_tells_each_run_with_what_it_had(subject: Subject) -> None:
    script = "#!/bin/bash\nsleep 1\n"
    number = await subject.submit(script, resources=Resources(gpus_per_node="1", wall_s=120))
    ended = await subject.ended(number)

    for _ in range(400):
        runs = await subject.backend.runs(ended.submit_time, 0)
        found = [run for run in runs if run.slurm_job_id == number]
        if found and found[0].end_time:
            break
        await subject.pause()
    (run,) = found
    assert (run.user, run.raw_state, run.nodes, run.wall_s) == ("alice", "COMPLETED", 1, 120)
    assert run.submit_time <= run.eligible_time <= run.start_time <= run.end_time
    assert (run.submit_time, run.start_time, run.end_time) == (ended.submit_time, ended.start_time, ended.end_time)
    assert parse_tres(run.tres_alloc)["gres/gpu"] == 1
    assert run.node_list == ended.node_list
    assert run.suspended_s == 0


async def test_accounting_is_asked_for_a_span_of_time(subject: Subject) -> None:
    number = await subject.submit("#!/bin/bash\nsleep 1\n")
    job = await subject.ended(number)

    async def there(**query: int) -> bool:
        found = await subject.backend.history(HistoryQuery(**query))
        return number in {one.record.slurm_job_id for one in found}

    for _ in range(400):
        if await there(since=job.submit_time - 60):
            break
        await subject.pause()
    assert await there(since=job.submit_time - 60)
    assert await there()
    assert not await there(until=job.submit_time - 60)
    assert not await there(since=job.end_time + 3600)


async def test_accounting_is_asked_for_users_names_states_and_more_at_once(subject: Subject) -> None:
    number = await subject.submit("#!/bin/bash\nsleep 1\n", name="sought for")
    job = await subject.ended(number)

    async def there(**query: object) -> bool:
        span = {"since": job.submit_time - 60, **query}
        found = await subject.backend.history(HistoryQuery(**span))  # type: ignore[arg-type]
        return number in {one.record.slurm_job_id for one in found}

    for _ in range(400):
        if await there(users=("alice",), names=("sought for",), states=("COMPLETED",)):
            break
        await subject.pause()
    assert await there(users=("alice", "bob"), names=("sought for", "other"), partitions=(job.partition,))
    assert await there(states=("COMPLETED", "FAILED"), accounts=(job.account,) if job.account else ())
    assert await there(states=("FAILED", "COMPLETED"), names=("other", "sought for"))
    assert not await there(users=("bob",))
    assert not await there(names=("sought",))
    assert not await there(accounts=("climate",))
    assert not await there(states=("TIMEOUT",))


async def test_an_array_of_accounting_is_all_its_tasks(subject: Subject) -> None:
    number = await subject.submit("#!/bin/bash\nsleep 1\n", array="3-4")
    for job in (await subject.tasks(number)).values():
        await subject.ended(job.slurm_job_id)
    wanted = {("3", Fate.COMPLETED), ("4", Fate.COMPLETED)}
    for _ in range(400):
        found = await subject.backend.history(HistoryQuery(numbers=(number,)))
        if {(one.record.array_task, one.record.fate) for one in found} == wanted:
            break
        await subject.pause()
    assert {(one.record.array_task, one.record.fate) for one in found} == wanted
    assert {one.record.array_job_id for one in found} == {number}


async def test_what_slurms_commands_print_of_a_job_is_told_as_it_was_asked_for(subject: Subject) -> None:
    asked = Resources(
        nodes=1, nodes_max=2, ntasks=4, ntasks_per_node=4, cpus_per_task=2, mem_per_node_bytes=2**30,
        tmp_bytes=100 * 2**20, wall_s=600, time_min_s=300, constraint="a100|h100", contiguous=True,
    )  # fmt: skip
    number = await subject.submit(hold=True, nice=7, requeue=False, resources=asked, stdin="/dev/zero")
    told = (await subject.record(number)).particulars
    assert (told.nodes_max, told.ntasks_per_node, told.cpus_per_task) == (2, 4, 2)
    assert (told.mem_per_node_bytes, told.mem_per_cpu_bytes, told.tmp_bytes) == (2**30, None, 100 * 2**20)
    assert (told.time_min_s, told.constraint, told.contiguous, told.nice) == (300, "a100|h100", True, 7)
    assert (told.requeue, told.stdin, told.oversubscribe, told.batch) == (False, "/dev/zero", "", True)
    assert told.tres_req.startswith("cpu=8,")
    assert "node=1" in told.tres_req
    if subject.real:
        assert (told.user_id, told.group_id, told.group) == (1001, 1001, "alice")
        assert told.tres_req == "cpu=8,mem=1G,node=1,billing=8"
        assert (told.mail_user, told.submit_host != "", told.association_id > 0) == ("alice", True, True)


async def test_gpus_are_told_in_the_words_in_which_slurm_keeps_them(subject: Subject) -> None:
    per_node = await subject.submit(hold=True, resources=Resources(nodes=1, gpus_per_node="a100:2", wall_s=600))
    per_job = await subject.submit(hold=True, resources=Resources(gpus=3, wall_s=600))
    jobs = await subject.jobs()
    assert jobs[per_node].particulars.tres_per_node == "gres/gpu:a100:2"
    assert jobs[per_job].particulars.tres_per_job == "gres/gpu:3"


async def test_a_change_of_a_particular_is_seen(subject: Subject) -> None:
    number = await subject.submit(hold=True)
    assert (await subject.record(number)).particulars.nice == 0
    changes = Changes(nice=5, constraint="a100|h100", requeue=False)
    assert await subject.order(Verb.UPDATE, number, changes=changes)
    told = (await subject.record(number)).particulars
    assert (told.nice, told.constraint, told.requeue) == (5, "a100|h100", False)


DAY_S = 86400


def a_reservation(subject: Subject, nodes: tuple[str, ...], start: float, **fields: Any) -> ReservationOrder:
    told: dict[str, Any] = {
        "nodes": nodes,
        "start": int(start),
        "end": int(start) + 3600,
        "users": ("alice",),
        "flags": (ReservationFlag.IGNORE_JOBS,),
    }
    return ReservationOrder(ReservationVerb.MAKE, f"contract_{uuid.uuid4().hex[:8]}", **(told | fields))


async def test_a_reservation_is_made_changed_in_what_is_named_and_deleted(subject: Subject) -> None:
    view = await subject.backend.view(subject.now)
    first, second = sorted(view.nodes)[:2]
    start = int(subject.now) + 30 * DAY_S
    flags = (ReservationFlag.IGNORE_JOBS, ReservationFlag.FLEX, ReservationFlag.NO_HOLD_JOBS)
    order = a_reservation(subject, (first,), start, flags=flags, purge_s=600)
    await subject.reserve(order)
    made = await subject.reservation(order.name)
    assert made
    assert (made.nodes, made.start, made.end, made.users) == ((first,), start, start + 3600, ("alice",))
    assert (made.accounts, made.groups, made.purge_s) == ((), (), 600)
    assert set(made.flags) == {*flags, "PURGE_COMP", "SPEC_NODES"}
    assert made.cores >= view.nodes[first].cpus > 0
    await subject.reserve(ReservationOrder(ReservationVerb.CHANGE, order.name, users=("alice", "bob")))
    changed = await subject.reservation(order.name)
    assert changed == msgspec.structs.replace(made, users=("alice", "bob"))
    more = {"nodes": (first, second), "start": start + 60, "end": start + 7200}
    await subject.reserve(ReservationOrder(ReservationVerb.CHANGE, order.name, **more))
    changed = await subject.reservation(order.name)
    assert changed == msgspec.structs.replace(made, users=("alice", "bob"), cores=2 * made.cores, **more)
    await subject.reserve(ReservationOrder(ReservationVerb.DELETE, order.name))
    assert await subject.reservation(order.name) is None


async def test_what_slurm_refuses_of_reservations_is_told_and_changes_nothing(subject: Subject) -> None:
    (first, *_) = sorted((await subject.backend.view(subject.now)).nodes)
    start = int(subject.now) + 31 * DAY_S
    order = a_reservation(subject, (first,), start)
    await subject.reserve(order)
    before = (await subject.backend.view(subject.now)).reservations
    taken = a_reservation(subject, (first,), start + 2 * DAY_S)
    taken = msgspec.structs.replace(taken, name=order.name)
    overlaps, unknown = a_reservation(subject, (first,), start), a_reservation(subject, ("no-such-node",), start)
    past = a_reservation(subject, (first,), 1000)
    if not subject.backend.lacks(Op.RESERVE, taken):
        for refused in (taken, overlaps):
            with pytest.raises(Conflict):
                await subject.backend.reserve(refused)
        with pytest.raises(Refused) as said:
            await subject.backend.reserve(unknown)
        assert [(one.field, one.code) for one in said.value.refusals] == [("nodes", "ESLURM_INVALID_NODE_NAME")]
        with pytest.raises(Refused) as said:
            await subject.backend.reserve(past)
        assert [one.code for one in said.value.refusals] == ["ESLURM_INVALID_TIME_VALUE"]
    for missing in (
        ReservationOrder(ReservationVerb.CHANGE, "contract_none", users=("alice",)),
        ReservationOrder(ReservationVerb.DELETE, "contract_none"),
    ):
        if not subject.backend.lacks(Op.RESERVE, missing):
            with pytest.raises(Refused) as said:
                await subject.backend.reserve(missing)
            assert [(one.field, one.code) for one in said.value.refusals] == [("name", "ESLURM_RESERVATION_INVALID")]
    for nonsense in (
        msgspec.structs.replace(order, nodes=(f"{first},ALL",)),
        msgspec.structs.replace(order, users=("alice,bob",)),
        msgspec.structs.replace(order, name="$(touch /tmp/hpcjobs-was-here) x"),
    ):
        with pytest.raises(Refused):
            await subject.backend.reserve(nonsense)
    assert (await subject.backend.view(subject.now)).reservations == before


async def test_a_waiting_job_that_is_moved_into_a_reservation_starts_on_its_nodes(subject: Subject) -> None:
    (*_, last) = sorted((await subject.backend.view(subject.now)).nodes)
    order = a_reservation(subject, (last,), subject.now - 5)
    await subject.reserve(order)
    inside = await subject.submit(hold=True, resources=Resources(wall_s=120))
    assert await subject.order(Verb.UPDATE, inside, changes=Changes(reservation=order.name))
    assert (await subject.record(inside)).particulars.reservation == order.name
    delete = ReservationOrder(ReservationVerb.DELETE, order.name)
    if not subject.backend.lacks(Op.RESERVE, delete):
        with pytest.raises(Conflict):  # a job waits in it
            await subject.backend.reserve(delete)
    outside = await subject.submit(hold=True, reservation=order.name, resources=Resources(wall_s=120, nodes=1))
    changes = Changes(reservation="")
    if await subject.order(Verb.UPDATE, outside, changes=changes):
        assert (await subject.record(outside)).particulars.reservation == ""
    else:
        assert await subject.order(Verb.CANCEL, outside)
        outside = await subject.submit(hold=True, resources=Resources(wall_s=120, nodes=1))
    with pytest.raises(Refused):  # bob is none of its users
        await subject.submit(user="bob", reservation=order.name)
    for number in (outside, inside):
        assert await subject.order(Verb.RELEASE, number)
    assert (await subject.running(inside)).node_list == last
    assert (await subject.running(outside)).node_list != last
    if not subject.backend.lacks(Op.RESERVE, delete):
        with pytest.raises(Conflict):
            await subject.backend.reserve(delete)
    assert await subject.reservation(order.name)


async def test_nodes_are_changed_in_what_is_named_and_in_nothing_else_by_administrators_only(subject: Subject) -> None:
    (first, *_) = sorted((await subject.backend.view(subject.now)).nodes)

    async def seen() -> tuple[str, bool, tuple[str, ...], str, int]:
        node = (await subject.backend.view(subject.now)).nodes[first]
        return node.raw_state, node.usable, node.features, node.reason, node.particulars.weight

    before = await seen()
    state, usable, features, reason, weight = before
    why = 'it\'s "hot"; $(id) x=y [z]'
    labelled = NodeOrder((first,), weight=weight + 6, features=(*features, "contract_label"))
    if not subject.administrator:
        with pytest.raises(NotAllowed, match="Administrator"):
            await subject.backend.act_nodes(labelled)
        with pytest.raises(NotAllowed, match="Administrator"):
            await subject.backend.act_nodes(NodeOrder((first,), drain="contract"))
        assert await seen() == before
        return
    try:
        await subject.backend.act_nodes(labelled)
        assert await seen() == (state, usable, (*features, "contract_label"), reason, weight + 6)
        await subject.backend.act_nodes(NodeOrder((first,), drain=why))
        drained = await seen()
        assert "DRAIN" in drained[0]
        assert drained[1:] == (False, (*features, "contract_label"), why, weight + 6)
        await subject.backend.act_nodes(NodeOrder((first,), weight=weight, features=features))
        assert await seen() == (drained[0], False, features, drained[3], weight)
        await subject.backend.act_nodes(NodeOrder((first,), resume=True))
        with pytest.raises(Conflict):  # it is not drained any more
            await subject.backend.act_nodes(NodeOrder((first,), resume=True))
    finally:
        await subject.backend.act_nodes(NodeOrder((first,), weight=weight, features=features))
    for _ in range(50):  # it does not respond until it has answered
        if "NOT_RESPONDING" not in (await seen())[0]:
            break
        await subject.pause()
    assert await seen() == before


async def test_an_order_to_nodes_that_names_none_or_nothing_is_refused(subject: Subject) -> None:
    for order in (NodeOrder((), weight=1), NodeOrder(("c1",)), NodeOrder(("c1,c2",), weight=1)):
        with pytest.raises(Refused):
            await subject.backend.act_nodes(order)
    if subject.administrator:
        with pytest.raises(Refused) as refused:
            await subject.backend.act_nodes(NodeOrder(("no-such-node",), weight=1))
        assert [(one.field, one.code) for one in refused.value.refusals] == [("nodes", "ESLURM_INVALID_NODE_NAME")]
