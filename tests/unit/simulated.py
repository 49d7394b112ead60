"""Small workloads, and a second simulator that goes from second to second and knows no clever way."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from hpcjobs.model.hints import NO_HINTS, Hints
from hpcjobs.sim.result import Result, Run
from hpcjobs.sim.workload import SimJob, SimNode, Workload

GIB = 2**30


def fleet(count=4, *, cpus=16, gpus=8) -> tuple[SimNode, ...]:
    return tuple(
        SimNode(name=f"n{number}", cpus=cpus, mem_bytes=64 * GIB, gpus=gpus, gpu_type="h100" if gpus else "")
        for number in range(count)
    )


def job(number, submit_s=0.0, run_s=60.0, *, wall_s=None, nodes=1, gpus=8, hints: Hints = NO_HINTS, **more) -> SimJob:
    more = {"user": "ada", "cpus_per_node": 1, "gpus_per_node": gpus} | more
    return SimJob(
        number=number, submit_s=submit_s, run_s=run_s, wall_s=run_s if wall_s is None else wall_s,
        nodes=nodes, hints=hints, **more,
    )  # fmt: skip


def workload(*jobs: SimJob, nodes: Sequence[SimNode] | None = None) -> Workload:
    return Workload(tuple(fleet() if nodes is None else nodes), jobs, "made")


@st.composite
def whole_jobs(draw: st.DrawFn, most=14, nodes=8, exact=False, least_run_s=0) -> tuple[SimJob, ...]:
    """Jobs with nodes of their own, times in whole seconds; exact: with limits that are their run times."""
    shapes = draw(
        st.lists(
            st.tuples(st.integers(0, 12), st.integers(least_run_s, 30), st.integers(0, 15), st.integers(1, nodes)),
            max_size=most,
        )
    )
    jobs, submit_s = [], 0
    for number, (gap_s, run_s, slack_s, count) in enumerate(shapes, start=1):
        submit_s += gap_s
        wall_s = max(1, run_s + (0 if exact else slack_s))
        jobs.append(SimJob(number=number, submit_s=submit_s, run_s=run_s, wall_s=wall_s, nodes=count, exclusive=True))
    return tuple(jobs)


@st.composite
def shared_jobs(draw: st.DrawFn, most=16, nodes=3) -> tuple[SimJob, ...]:
    """Jobs that share nodes: whole GPUs, shares of one, none, nodes for themselves, gangs, checkpoints."""
    jobs, submit_s = [], 0
    for number in range(1, draw(st.integers(0, most)) + 1):
        submit_s += draw(st.integers(0, 10))
        run_s = draw(st.integers(0, 40))
        gpus = draw(st.integers(0, 4))
        gang = draw(st.sampled_from(["", "", "", "a", "b"]))
        least = draw(st.sampled_from([0, 0, 1]))
        jobs.append(
            SimJob(
                number=number,
                submit_s=submit_s,
                run_s=run_s,
                wall_s=max(1, run_s + draw(st.integers(-5, 20))),
                nodes=draw(st.integers(1, nodes + 1)),  # now and then more than there are
                exclusive=draw(st.integers(0, 5)) == 0,
                cpus_per_node=draw(st.integers(1, 8)),
                mem_per_node_bytes=draw(st.integers(0, 4)) * GIB,
                gpus_per_node=gpus,
                gpu_milli=0 if gpus else draw(st.sampled_from([0, 300, 500, 1000])),
                user="ada",
                checkpoint_s=draw(st.sampled_from([None, 7.0])),
                hints=Hints(gang=gang, gang_size=2 if gang else 0, nodes_min=least, nodes_max=nodes if least else 0),
            )
        )
    return tuple(jobs)


def starts(result: Result) -> dict[int, float]:
    """When each job first started."""
    found: dict[int, float] = {}
    for run in result.runs:
        found[run.job] = min(run.start_s, found.get(run.job, run.start_s))
    return found


def runs_of(result: Result, number: int) -> list[Run]:
    return sorted((run for run in result.runs if run.job == number), key=lambda run: run.start_s)


def by_seconds(jobs: Sequence[SimJob], nodes: int, way: str, until_s=1500) -> dict[int, int]:
    """When each job starts, worked out second by second from the definitions of FCFS, EASY and conservative."""
    waiting: list[SimJob] = []
    begun: dict[int, int] = {}
    booked: dict[int, int] = {}
    by_number = {job.number: job for job in jobs}

    def end(number: int) -> float:
        return begun[number] + min(by_number[number].run_s, by_number[number].wall_s)

    for now in range(until_s):
        while True:  # a job that takes no time leaves room in the same second
            before = len(begun)
            waiting = [job for job in jobs if job.submit_s <= now and job.number not in begun]
            running = [by_number[number] for number in begun if end(number) > now]

            limits = [(job.nodes, begun[job.number] + job.wall_s) for job in running]

            def free(at: int, limits: Sequence[tuple[int, float]] = limits, now: int = now) -> int:
                """Free nodes at a second, if what runs ends at its limit."""
                return nodes - sum(count for count, until_s in limits if at == now or until_s > at)

            if way == "conservative":
                _by_reservations(waiting, booked, free, now)
                begun |= {job.number: now for job in waiting if booked[job.number] == now}
            else:
                _by_order(waiting, free, now, begun, way)
            if len(begun) == before or not any(end(number) == now for number in begun):
                break
    return begun


def _by_order(waiting, free, now, begun, way):
    left = list(waiting)
    taken: list[SimJob] = []

    def room(at):
        return free(at) - sum(job.nodes for job in taken if at == now or now + job.wall_s > at)

    while left and left[0].nodes <= room(now):
        taken.append(left.pop(0))
    if left and way == "easy":
        shadow = next(at for at in range(now, now + 10_000) if room(at) >= left[0].nodes)
        for job in left[1:]:
            if job.nodes <= room(now):
                taken.append(job)
                if room(shadow) < left[0].nodes:
                    taken.pop()
    begun |= {job.number: now for job in taken}


def _by_reservations(waiting, booked, free, now):
    there = {job.number for job in waiting}
    for number in set(booked) - there:
        del booked[number]
    for job in waiting:
        booked.pop(job.number, None)
        others = [(booked[other.number], other) for other in waiting if other.number in booked]
        at = now
        while True:
            window = range(at, at + int(job.wall_s))
            short = [
                second
                for second in window
                if free(second) - sum(o.nodes for start, o in others if start <= second < start + o.wall_s) < job.nodes
            ]
            if not short:
                break
            at = short[-1] + 1
        booked[job.number] = at
