"""A database that knows many jobs: written by the service's own code, as if each had been listed and had ended."""

from __future__ import annotations

import random
from pathlib import Path

from hpcjobs.model.job import Fate, JobRecord, State
from hpcjobs.store import listing
from hpcjobs.store.store import Store

USERS = ("alice", "bob", "carol", "dave")
AT_ONCE = 5_000


def _ended(number: int, at: int) -> JobRecord:
    chance = random.Random(number)
    fate = chance.choices((Fate.COMPLETED, Fate.FAILED, Fate.CANCELLED, Fate.TIMEOUT), weights=(80, 10, 7, 3))[0]
    gpus = chance.choice((0, 1, 2, 4, 8))
    wall_s = chance.choice((600, 3600, 43200))
    user = chance.choice(USERS)
    return JobRecord(
        slurm_job_id=number,
        user=user,
        state=State.FINISHED,
        fate=fate,
        raw_state=fate.value,
        name=f"train-{number % 997}",
        account="vision" if user in ("alice", "bob") else "climate",
        partition="gpu",
        qos="normal",
        nodes=1,
        node_list=f"c{number % 4 + 1}",
        ntasks=1,
        cpus=8,
        gpus={"a100": gpus} if gpus else {},
        mem_bytes=32 << 30,
        wall_s=wall_s,
        submit_time=at - wall_s - 60,
        eligible_time=at - wall_s - 60,
        start_time=at - wall_s,
        end_time=at,
        exit_code=int(fate is Fate.FAILED),
        priority=4_294_000_000 - number,
        workdir=f"/home/{user}/run-{number % 31}",
        stdout=f"/home/{user}/run-{number % 31}/slurm-{number}.out",
        stderr=f"/home/{user}/run-{number % 31}/slurm-{number}.out",
    )


def seed(path: Path, cluster: str, known: int) -> None:
    """Make a database.

    Args:
        path: Of the SQLite file.
        cluster: Whose jobs.
        known: How many jobs it knows, all of which have ended.
    """
    store = Store(f"sqlite:///{path}")
    store.upgrade()
    first = 10_000_000  # numbers that the cluster will not reach
    for begin in range(0, known, AT_ONCE):
        numbers = range(first + begin, first + min(begin + AT_ONCE, known))
        with store.engine.begin() as connection:
            records = [(None, _ended(number, 1_760_000_000 + number - first)) for number in numbers]
            listing.apply(connection, cluster, records, (), 1_760_000_000.0 + begin)
    with store.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    store.close()
