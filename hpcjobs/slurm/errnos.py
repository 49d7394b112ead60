"""The one table from Slurm's error numbers to our errors.

Numbers and names: slurm/slurm_errno.h, Slurm 24.11 to 26.05. A number that is not in the table is a refusal in
Slurm's own words.
"""

from __future__ import annotations

import errno as system
from typing import Final

from hpcjobs.errors import (
    Conflict,
    HpcjobsError,
    JobUnknown,
    NotAllowed,
    OutcomeUnknown,
    Refusal,
    Refused,
    SlurmUnavailable,
)

REFUSALS: Final[dict[int, tuple[str, str]]] = {
    2000: ("ESLURM_INVALID_PARTITION_NAME", "partition"),
    2001: ("ESLURM_DEFAULT_PARTITION_NOT_SET", "partition"),
    2003: ("ESLURM_JOB_MISSING_REQUIRED_PARTITION_GROUP", "partition"),
    2004: ("ESLURM_REQUESTED_NODES_NOT_IN_PARTITION", "resources.nodelist"),
    2005: ("ESLURM_TOO_MANY_REQUESTED_CPUS", "resources.cpus_per_task"),
    2006: ("ESLURM_INVALID_NODE_COUNT", "resources.nodes"),
    2008: ("ESLURM_JOB_MISSING_SIZE_SPECIFICATION", "resources"),
    2009: ("ESLURM_JOB_SCRIPT_MISSING", "script"),
    2012: ("ESLURM_PATHNAME_TOO_LONG", ""),
    2014: ("ESLURM_REQUESTED_NODE_CONFIG_UNAVAILABLE", "resources"),
    2015: ("ESLURM_REQUESTED_PART_CONFIG_UNAVAILABLE", "resources"),
    2018: ("ESLURM_INVALID_NODE_NAME", "resources.nodelist"),
    2025: ("ESLURM_BAD_TASK_COUNT", "resources.ntasks"),
    2029: ("ESLURM_INVALID_FEATURE", "resources.constraint"),
    2031: ("ESLURM_ACTIVE_FEATURE_NOT_SUBSET", "resources.constraint"),
    2038: ("ESLURM_DEPENDENCY", "dependency"),
    2044: ("ESLURM_INVALID_TASK_MEMORY", "resources.mem_per_node_bytes"),
    2045: ("ESLURM_INVALID_ACCOUNT", "account"),
    2048: ("ESLURM_INVALID_LICENSES", "resources"),
    2050: ("ESLURM_ACCOUNTING_POLICY", ""),
    2051: ("ESLURM_INVALID_TIME_LIMIT", "resources.wall_s"),
    2052: ("ESLURM_RESERVATION_ACCESS", "reservation"),
    2053: ("ESLURM_RESERVATION_INVALID", "reservation"),
    2054: ("ESLURM_INVALID_TIME_VALUE", ""),
    2056: ("ESLURM_RESERVATION_NOT_USABLE", "reservation"),
    2066: ("ESLURM_INVALID_QOS", "qos"),
    2069: ("ESLURM_INVALID_CPU_COUNT", "resources.cpus_per_task"),
    2070: ("ESLURM_PARTITION_NOT_AVAIL", "partition"),
    2071: ("ESLURM_CIRCULAR_DEPENDENCY", "dependency"),
    2072: ("ESLURM_INVALID_GRES", "resources.gpus_per_node"),
    2080: ("ESLURM_RESERVATION_EMPTY", "reservation"),
    2101: ("ESLURM_PARTITION_DOWN", "partition"),
    2102: ("ESLURM_DUPLICATE_GRES", "resources.gpus_per_node"),
    2115: ("ESLURM_INVALID_TRES", "resources"),
    2119: ("ESLURM_INVALID_GRES_TYPE", "resources.gpus_per_node"),
    2122: ("ESLURM_UNSUPPORTED_GRES", "resources.gpus_per_node"),
}

NO_WAY: Final = frozenset({system.ECONNREFUSED, system.EHOSTUNREACH, system.EHOSTDOWN, system.ENETUNREACH})
"""Of the system, which Slurm's library passes on: no connection was made."""

BROKE: Final = frozenset(
    {system.ECONNRESET, system.ECONNABORTED, system.EPIPE, system.ENOTCONN, system.ETIMEDOUT, system.EINTR}
)
"""Of the system: the connection broke, and nobody knows what went over it before."""

UNSENT: Final = NO_WAY | {1001, 1002, 1005, 1007, 1021, 1022, 1800, 1801, 2027, 2131, *range(6000, 6013)}
"""The controller was not reached, not told everything, is a standby, or does not accept the service's own protocol or
credentials (6000 on), which is for an operator to mend: nothing was done."""

ANSWER_LOST: Final = BROKE | {1003, 1004, 1023, 1802, 1803, 5003, 5004, 5005}
"""It was sent and the answer did not come: it may have been done."""

BUSY: Final = frozenset({1804, 1805, 2007, 2020, 2105, 7000, 7015})
"""The controller says "not now": rate limit, MaxJobCount reached, a job on its way from one state to the next,
submissions disabled; or slurmdbd cannot be reached."""

UNKNOWN_JOB: Final = frozenset({2017, 2136, 2137, 2138, 2139, 2140})

NOT_THEIRS: Final = frozenset({2002, 2010})

ENDED: Final = frozenset({2021, 2084, 2086})

OF_NODES: Final = frozenset({2016, 2028, 2055, 2058, 2082, 2104, 2180})
"""The state of nodes or reservations does not allow this."""

STATE: Final = OF_NODES | {2024, 2042, 2064, 2073, 2077, 2083, 2085, 2087, 2088, 2106, 2107, 2108}
"""The job's state (or what it is) does not allow this."""

NO_LONGER: Final = ENDED | {2073}
"""A part of a job for which the order came too late."""


def error_of(errno: int, message: str, *, changing: bool = False) -> HpcjobsError:
    """Turn an error of Slurm into one of ours.

    Args:
        errno: Slurm's number.
        message: Slurm's words.
        changing: Whether it was to change something, so that a lost answer leaves open whether it did.

    Returns:
        The error to raise.
    """
    said = f"Slurm says: {message} (error {errno})"
    if errno in BUSY:
        return SlurmUnavailable(said)
    if errno in ANSWER_LOST and changing:
        return OutcomeUnknown(f"Slurm's answer was lost: {message} (error {errno})")
    if errno in UNSENT or errno in ANSWER_LOST:
        return SlurmUnavailable(f"The Slurm controller does not answer: {message} (error {errno})")
    if errno in UNKNOWN_JOB:
        return JobUnknown(said)
    if errno in ENDED:
        return Conflict("The job has already ended.")
    if errno in STATE:
        return Conflict(said)
    if errno in NOT_THEIRS:
        return NotAllowed(said)
    code, field = REFUSALS.get(errno, (f"slurm-{errno}", ""))
    return Refused([Refusal(field=field, detail=said, code=code)])
