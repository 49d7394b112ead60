"""sbatch's input variables: each says what an option says (sbatch(1), INPUT ENVIRONMENT VARIABLES)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from hpcjobs.sbatch.getopt import Misspelt
from hpcjobs.sbatch.options import BY_LONG, Option, whole_number
from hpcjobs.sbatch.said import Said, hear
from hpcjobs.sbatch.units import parse_time

SWITCH_COUNT: Final = "switches, without the time"
SWITCH_WAIT: Final = "switches, only the time"
GONE: Final = "power"

VARIABLES: Final[Mapping[str, str]] = {
    "SBATCH_ACCOUNT": "account",
    "SBATCH_ARRAY_INX": "array",
    "SBATCH_ACCTG_FREQ": "acctg-freq",
    "SBATCH_BATCH": "batch",
    "SBATCH_BURST_BUFFER": "bb",
    "SBATCH_CLUSTER_CONSTRAINT": "cluster-constraint",
    "SBATCH_CLUSTERS": "clusters",
    "SLURM_CLUSTERS": "clusters",
    "SBATCH_CONSOLIDATE_SEGMENTS": "consolidate-segments",
    "SBATCH_CONTAINER": "container",
    "SBATCH_CONTAINER_ID": "container-id",
    "SBATCH_CONTAINER_TYPE": "container-type",
    "SBATCH_CONSTRAINT": "constraint",
    "SBATCH_CORE_SPEC": "core-spec",
    "SBATCH_CPU_FREQ_REQ": "cpu-freq",
    "SBATCH_CPUS_PER_GPU": "cpus-per-gpu",
    "SBATCH_DELAY_BOOT": "delay-boot",
    "SBATCH_DISTRIBUTION": "distribution",
    "SBATCH_EXCLUSIVE": "exclusive",
    "SBATCH_EXPORT": "export",
    "SBATCH_GET_USER_ENV": "get-user-env",
    "SBATCH_GRES": "gres",
    "SBATCH_GRES_FLAGS": "gres-flags",
    "SBATCH_GPUS": "gpus",
    "SBATCH_GPU_BIND": "gpu-bind",
    "SBATCH_GPU_FREQ": "gpu-freq",
    "SBATCH_GPUS_PER_NODE": "gpus-per-node",
    "SBATCH_GPUS_PER_SOCKET": "gpus-per-socket",
    "SBATCH_GPUS_PER_TASK": "gpus-per-task",
    "SLURM_HINT": "hint",
    "SBATCH_HINT": "hint",
    "SBATCH_JOB_NAME": "job-name",
    "SBATCH_MEM_BIND": "mem-bind",
    "SBATCH_MEM_PER_CPU": "mem-per-cpu",
    "SBATCH_MEM_PER_GPU": "mem-per-gpu",
    "SBATCH_MEM_PER_NODE": "mem",
    "SBATCH_NETWORK": "network",
    "SBATCH_NO_KILL": "no-kill",
    "SBATCH_NO_REQUEUE": "no-requeue",
    "SBATCH_OPEN_MODE": "open-mode",
    "SBATCH_OVERCOMMIT": "overcommit",
    "SBATCH_PARTITION": "partition",
    "SBATCH_POWER": GONE,
    "SBATCH_PROFILE": "profile",
    "SBATCH_QOS": "qos",
    "SBATCH_REQ_SWITCH": SWITCH_COUNT,
    "SBATCH_REQUEUE": "requeue",
    "SBATCH_RESERVATION": "reservation",
    "SBATCH_SEGMENT_SIZE": "segment",
    "SBATCH_SIGNAL": "signal",
    "SBATCH_SPREAD_JOB": "spread-job",
    "SBATCH_SPREAD_SEGMENTS": "spread-segments",
    "SBATCH_THREAD_SPEC": "thread-spec",
    "SBATCH_THREADS_PER_CORE": "threads-per-core",
    "SBATCH_TIMELIMIT": "time",
    "SBATCH_TRES_BIND": "tres-bind",
    "SBATCH_TRES_PER_TASK": "tres-per-task",
    "SBATCH_USE_MIN_NODES": "use-min-nodes",
    "SBATCH_WAIT": "wait",
    "SBATCH_WAIT_ALL_NODES": "wait-all-nodes",
    "SBATCH_WAIT4SWITCH": SWITCH_WAIT,
    "SBATCH_WCKEY": "wckey",
    "SBATCH_ERROR": "error",
    "SBATCH_INPUT": "input",
    "SBATCH_OUTPUT": "output",
}
"""Which option a variable stands for, in the order in which sbatch reads them: the later wins."""

EARLY_VARIABLES: Final[Mapping[str, str]] = {"SBATCH_IGNORE_PBS": "ignore-pbs", "SBATCH_DEBUG": "verbose"}
"""Those that sbatch reads before everything else."""


def _is_meant(value: str) -> bool:
    """Whether a flag's variable sets it: empty, yes or a number other than 0; all else takes it back."""
    number = re.fullmatch(r"\s*[+-]?([0-9]+)", value, re.ASCII)
    return value == "" or value.lower() == "yes" or bool(number and int(number[1]))


def _take_back(said: Said, long: str) -> None:
    option = BY_LONG[long]
    if isinstance(option, Option):
        said.fields.update(dict.fromkeys(option.fields))
    said.client.pop(long, None)


def _half_of_switches(long: str, value: str) -> dict[str, int]:
    if long == SWITCH_WAIT:
        try:
            return {"resources.switches_wait_s": parse_time(value)}
        except ValueError:  # sbatch takes what is no time for no limit; the cluster has one
            return {}
    try:
        return {"resources.switches": whole_number(value)}
    except ValueError as error:
        heard = f'error: Invalid numeric value "{value}" for --switches.'
        raise Misspelt(str(error), heard, exit_code=1) from error


def _hear_variable(said: Said, long: str, value: str) -> None:
    if long == GONE:
        raise Misspelt("it is of older series, and sbatch 26.05 ends where it is set")
    if long in (SWITCH_COUNT, SWITCH_WAIT):
        said.fields.update(_half_of_switches(long, value))
    elif BY_LONG[long].takes != "none":
        hear(said, long, None if BY_LONG[long].takes == "optional" and not value else value)
    elif _is_meant(value):
        hear(said, long, None)
    else:
        _take_back(said, long)


def hear_variables(
    said: Said, environment: Mapping[str, str], variables: Mapping[str, str] = VARIABLES
) -> Iterator[str]:
    """Add what the input variables of an environment say.

    Args:
        said: What was said by weaker words; is changed.
        environment: The caller's variables.
        variables: Which to look for.

    Yields:
        The options that were set.

    Raises:
        Misspelt: A value is bad.
    """
    for name, long in variables.items():
        value = environment.get(name)
        if value is not None:
            try:
                _hear_variable(said, long, value)
            except Misspelt as error:
                raise Misspelt(f"{name}: {error}", *error.heard, exit_code=error.exit_code) from error
            yield long
