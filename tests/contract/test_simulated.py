"""The contract over the simulated cluster."""

from __future__ import annotations

import pytest

from hpcjobs.slurm.simulated import SimulatedBackend
from tests.unit.builders import node

from .subject import Subject

pytest.register_assert_rewrite("tests.contract.suite")

from .suite import *  # noqa: E402, F403


@pytest.fixture(params=[True, False], ids=["as 26.05", "as 24.11"])
def subject(request: pytest.FixtureRequest) -> Subject:
    nodes = [node(f"n{index}") for index in range(4)]
    backend = SimulatedBackend("big", nodes, run_s=600, users_suspend=request.param)
    return Subject(backend, users_suspend=request.param, real=False)
