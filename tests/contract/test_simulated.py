"""The contract over the simulated cluster."""

from __future__ import annotations

import pytest

from hpcjobs.slurm.simulated import SimulatedBackend
from tests.unit.builders import node

from .subject import Subject

pytest.register_assert_rewrite("tests.contract.suite")

from .suite import *  # noqa: E402, F403


@pytest.fixture
def subject() -> Subject:
    return Subject(SimulatedBackend("big", [node(f"n{index}") for index in range(4)], run_s=600), real=False)
