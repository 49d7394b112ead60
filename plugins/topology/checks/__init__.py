"""What a fabric's administrator wants to be told: a registry of checks, each a pure function of a surveyed site.

A check says each fault once, and what follows from a fault that another check tells is not told again: a missing cable
is no imbalance and no single point of failure.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Final

from hpcjobs_plugins.topology.checks.bandwidth import check_balance, check_oversubscription
from hpcjobs_plugins.topology.checks.cabling import check_cabling, check_hosts_above
from hpcjobs_plugins.topology.checks.codes import CODES
from hpcjobs_plugins.topology.checks.findings import Finding, Settings, Severity, exit_code, worst_first
from hpcjobs_plugins.topology.checks.names import check_nodes, check_notices, check_twice
from hpcjobs_plugins.topology.checks.numbers import check_uplinks, check_within
from hpcjobs_plugins.topology.checks.rails import check_planes, check_rails
from hpcjobs_plugins.topology.checks.resilience import check_parts, check_single_points
from hpcjobs_plugins.topology.checks.speeds import check_speeds
from hpcjobs_plugins.topology.checks.survey import Survey
from hpcjobs_plugins.topology.fabric import Site

__all__ = ["CHECKS", "CODES", "Check", "Finding", "Settings", "Severity", "Survey", "check", "exit_code", "worst_first"]

Check = Callable[[Survey], Iterator[Finding]]

CHECKS: Final[Mapping[str, Check]] = {
    "twice": check_twice,
    "parts": check_parts,
    "cabling": check_cabling,
    "hosts-above": check_hosts_above,
    "within": check_within,
    "uplinks": check_uplinks,
    "rails": check_rails,
    "planes": check_planes,
    "speeds": check_speeds,
    "oversubscription": check_oversubscription,
    "balance": check_balance,
    "single-points": check_single_points,
    "nodes": check_nodes,
    "notices": check_notices,
}
"""Every check by its name."""


def check(
    site: Site,
    settings: Settings | None = None,
    nodes: Collection[str] | None = None,
    only: Iterable[str] = CHECKS,
) -> list[Finding]:
    """Look a site over.

    Args:
        site: What was found.
        settings: What is allowed; None: as usual.
        nodes: NodeNames of slurm.conf; None: they are not compared.
        only: Names of the checks to run.

    Returns:
        Findings, worst first, without those whose codes are to be ignored.

    Raises:
        KeyError: There is no check of a name.
    """
    survey = Survey(site, settings or Settings(), nodes)
    found = [finding for name in only for finding in CHECKS[name](survey)]
    return worst_first(finding for finding in found if finding.code not in survey.settings.ignore)
