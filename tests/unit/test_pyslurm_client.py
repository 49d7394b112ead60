from __future__ import annotations

import pytest

from hpcjobs.agents.pool import AgentPool
from hpcjobs.errors import WorkerLost
from hpcjobs.model.history import HistoryQuery
from hpcjobs.slurm.pyslurm_client import PyslurmBackend


class Keys(AgentPool):
    """A pool without a spawner that remembers which agents were asked for."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.keys = []

    async def _channel(self, key):
        self.keys.append(key)
        return await super()._channel(key)


async def test_accounting_is_asked_by_another_agent_than_the_one_that_lists(tmp_path):
    pool = Keys(str(tmp_path / "none.sock"))
    backend = PyslurmBackend("big", pool, "/etc/slurm/slurm.conf", "hpcjobs")
    for call in (backend.view(1.0), backend.history(HistoryQuery(numbers=(1,)))):
        with pytest.raises(WorkerLost):
            await call
    lists, asks = pool.keys
    assert lists != asks
    assert lists.user == asks.user == "hpcjobs"
