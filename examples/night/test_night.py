from hpcjobs_night import PLUGIN, Night

from hpcjobs.conformance import PluginConformance
from hpcjobs.errors import Refusal
from hpcjobs.model.spec import JobSpec, Resources
from hpcjobs.plugin import Context

NOON = Context("alice", "alpha", 1_796_040_000.0)


def job(hours: int) -> JobSpec:
    return JobSpec("#!/bin/sh\n", resources=Resources(wall_s=hours * 3600))


class TestNight(PluginConformance):
    plugin = PLUGIN
    settings = {"from_hour": 20}


def test_long_jobs_wait_for_the_night_and_short_ones_do_not() -> None:
    assert Night().admit(job(5), NOON).begin == "uts1796076000"
    assert Night().admit(job(1), NOON) == job(1)


def test_the_longest_are_refused() -> None:
    assert isinstance(Night().admit(job(100), NOON), Refusal)
