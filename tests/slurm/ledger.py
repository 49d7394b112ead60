"""A slurmdbd of no cluster, with a database of its own: its tables can be filled by SQL with any past."""

from __future__ import annotations

import asyncio
import io
import re
import shlex
import subprocess
import tarfile
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from hpcjobs.model.usage import Run
from hpcjobs.slurm.base import Op
from hpcjobs.slurm.sacct_runs import new_delimiter, runs_printed, runs_words

if TYPE_CHECKING:
    from .conftest import Stack

FOLDER: Final = "/run/ledger"
PORT: Final = 6829
CLUSTER: Final = "ledger"
BEGAN: Final = 1_740_000_000
"""When its cluster had its nodes first."""
HAD: Final = "1=5000,2=9000000,4=9,1001=99,1002=50,1003=49"
TRES: Final = ("gpu", "gpu:a100", "gpu:h100", "gpu:a100_1g.5gb", "shard")
"""Kinds of gres that its accounting counts, from number 1001 on."""

_START = f"""set -eu
mkdir -p {FOLDER}
sed -e 's/^StorageLoc=.*/StorageLoc={CLUSTER}_acct_db/; s#^PidFile=.*#PidFile={FOLDER}/pid#' \\
  /run/slurm/slurmdbd.conf >{FOLDER}/slurmdbd.conf
printf 'DbdPort={PORT}\\nLogFile={FOLDER}/log\\n' >>{FOLDER}/slurmdbd.conf
host=$(sed -n 's/^DbdHost=//p' {FOLDER}/slurmdbd.conf)
cat >{FOLDER}/slurm.conf <<EOF
ClusterName={CLUSTER}
SlurmctldHost=slurmctld
AccountingStorageHost=$host
AccountingStoragePort={PORT}
AccountingStorageType=accounting_storage/slurmdbd
AuthType=auth/munge
SlurmUser=slurm
ProctrackType=proctrack/linuxproc
EOF
chown -R slurm:slurm {FOLDER}
chmod 600 {FOLDER}/slurmdbd.conf
SLURM_CONF={FOLDER}/slurm.conf setpriv --reuid slurm --regid slurm --init-groups slurmdbd
"""

JOB: Final[dict[str, Any]] = {
    "account": "vision", "cpus_req": 1, "job_name": "made", "id_assoc": 0, "id_job": 0, "id_qos": 1, "id_resv": 0,
    "id_wckey": 0, "id_user": 1001, "id_group": 1001, "het_job_id": 0, "het_job_offset": 4294967294,
    "state_reason_prev": 0, "nodes_alloc": 1, "partition": "gpu", "priority": 1, "state": 3, "timelimit": 1440,
    "time_submit": 0, "time_eligible": 0, "time_start": 0, "time_end": 0, "time_suspended": 0, "nodelist": "n1",
    "tres_alloc": "", "tres_req": "", "exit_code": 0, "restart_cnt": 0, "id_array_job": 0,
    "id_array_task": 4294967294, "submit_line": "sbatch a.sh",
}  # fmt: skip
"""A job as slurmdbd's table of jobs has it; the rest has defaults."""


class Ledger:
    """A slurmdbd beside that of a cluster; used as a context.

    Args:
        stack: The cluster.
    """

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    def __enter__(self) -> Ledger:
        self._end()
        self.sql(
            f"DROP DATABASE IF EXISTS {CLUSTER}_acct_db; CREATE DATABASE {CLUSTER}_acct_db;"
            f" GRANT ALL ON {CLUSTER}_acct_db.* TO 'slurm'@'%'", database=""
        )  # fmt: skip
        self._start()
        self.sacctmgr(f"add cluster {CLUSTER}")
        self._end()  # it reads at its start what kinds of gres there are
        told = ", ".join(f"(0, {1001 + place}, 0, 'gres', '{name}')" for place, name in enumerate(TRES))
        self.sql(f"INSERT INTO tres_table (creation_time, id, deleted, type, name) VALUES {told}")
        self.sql(  # what the cluster had: sreport tells nothing of one that had nothing
            f"INSERT INTO {CLUSTER}_event_table (time_start, node_name, cluster_nodes, reason, reason_uid, state, tres)"
            f" VALUES ({BEGAN}, '', 'n[1-9]', 'Cluster Registered TRES', 0, 0, '{HAD}')"
        )
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        self.sql(f"DROP DATABASE {CLUSTER}_acct_db", database="")
        self.stack.run("slurmdbd", f"rm -rf {FOLDER}")

    def _start(self) -> None:
        self.stack.run("slurmdbd", _START)
        give_up = time.monotonic() + 60
        while "add" not in self.run("sacctmgr -n -P show cluster format=cluster && echo added", check=False):
            assert time.monotonic() < give_up, self.stack.run("slurmdbd", f"tail -n 20 {FOLDER}/log")
            time.sleep(0.3)

    def _end(self) -> None:
        alive = f"test -s {FOLDER}/pid && kill -0 $(cat {FOLDER}/pid)"
        self.stack.run("slurmdbd", f"if {alive}; then kill $(cat {FOLDER}/pid); fi", check=False)
        give_up = time.monotonic() + 60
        while self.stack.run("slurmdbd", f"{alive} && echo alive", check=False):
            assert time.monotonic() < give_up
            time.sleep(0.2)

    def run(self, command: str, check: bool = True) -> str:
        """A command of Slurm that asks this slurmdbd."""
        return self.stack.run("slurmdbd", f"export SLURM_CONF={FOLDER}/slurm.conf; {command}", check=check)

    def sacctmgr(self, words: str) -> str:
        """Change it."""
        return self.run(f"sacctmgr -i {words}")

    def sql(self, text: str, database: str = f"{CLUSTER}_acct_db") -> str:
        """Run SQL; what is printed has tabs between columns."""
        container = self.stack.container("mariadb")
        done = container.put_archive("/tmp", _tar("ledger.sql", text.encode()))
        assert done
        call = f"mariadb -N --socket=/run/mysqld/mysqld.sock {database} </tmp/ledger.sql"
        return self.stack.run("mariadb", call)

    def associations(self) -> dict[tuple[str, str], int]:
        """Number of each association, by user and account."""
        rows = self.sql(f"SELECT user, acct, id_assoc FROM {CLUSTER}_assoc_table WHERE user NOT IN ('', 'root')")
        return {(user, account): int(number) for user, account, number in map(str.split, rows.splitlines())}

    def insert(self, jobs: Iterable[Mapping[str, Any]]) -> None:
        """Add jobs to its table, as they would be after what they are."""
        names = ", ".join(f"`{name}`" for name in JOB)
        lines = ["(" + ", ".join(_literal(value) for value in (JOB | dict(job)).values()) + ")" for job in jobs]
        for first in range(0, len(lines), 1000):
            values = ",\n".join(lines[first : first + 1000])
            self.sql(f"INSERT INTO {CLUSTER}_job_table ({names}) VALUES {values}")

    def lacks(self, op: Op, subject: object = None) -> str:
        """See Backend: runs can be asked of it, and nothing else."""
        return "" if op is Op.HISTORY else "It is no cluster."

    async def runs(self, since: int, until: int) -> tuple[Run, ...]:
        """See Backend: what the service's own question to sacct finds."""
        delimiter = new_delimiter()
        words = " ".join(map(shlex.quote, runs_words(delimiter, since, until)))
        # Not by the engine's client, which is slow with many megabytes.
        call = ["docker", "exec", "-e", f"SLURM_CONF={FOLDER}/slurm.conf", self.stack.container("slurmdbd").name]
        call += ["sh", "-c", words]
        done = await asyncio.to_thread(subprocess.run, call, capture_output=True, check=True, timeout=300)
        return runs_printed(done.stdout, delimiter)


def _literal(value: object) -> str:
    if isinstance(value, int):
        return str(value)
    assert re.fullmatch(r"[^'\\]*", str(value)), value
    return f"'{value}'"


def _tar(name: str, content: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()
