"""What one job used, run by run."""

from __future__ import annotations

import msgspec

from hpcjobs.model.usage import GpuUse


class RunUsage(msgspec.Struct, frozen=True, kw_only=True):
    """What one run of a job used: one try, one task of an array, one component. What was not measured is None.

    Attributes:
        slurm_job_id: Slurm's number of it.
        submit_time: When it was submitted, requeued or made smaller, in Unix seconds.
        start_time: When it started; 0: it did not.
        end_time: When it ended; 0: it has not, and counts until ``read_until``.
        raw_state: Slurm's state.
        nodes: Nodes that it had.
        node_list: Which, as a hostlist.
        cpus: CPUs that it had.
        gpus: GPUs that it had, by kind.
        used_s: Seconds from start to end, without suspension.
        held_s: The same with it.
        gpu_hours: Devices that its programs saw, times hours used.
        gpu_hours_equivalent: The same in whole GPUs.
        gpu_hours_held: Whole GPUs that nobody else could have, times hours held.
        cpu_hours: CPUs times hours used.
        cpu_efficiency: CPU time of its steps over CPUs times time, 0 to 1.
        gpu_busy: How much of the time that was sampled its GPUs were busy, 0 to 1.
        gpu_coverage: How much of its GPU time was sampled, 0 to 1.
        gpu_hours_idle: Whole-GPU-hours that it did not use, if it was as busy all the time as when sampled.
        mem_max_bytes: Largest resident memory of one of its tasks.
        energy_kwh: Energy in kWh.
        energy_basis: Whence that is: ``nodes``, as Slurm measured these; ``gpus``, as these were sampled.
        co2_g: Grams of CO2, by the factors of the settings; None also where it has not ended.
    """

    slurm_job_id: int
    submit_time: int
    start_time: int = 0
    end_time: int = 0
    raw_state: str = ""
    nodes: int = 0
    node_list: str = ""
    cpus: int = 0
    gpus: tuple[GpuUse, ...] = ()
    used_s: int = 0
    held_s: int = 0
    gpu_hours: float = 0.0
    gpu_hours_equivalent: float = 0.0
    gpu_hours_held: float = 0.0
    cpu_hours: float = 0.0
    cpu_efficiency: float | None = None
    gpu_busy: float | None = None
    gpu_coverage: float | None = None
    gpu_hours_idle: float | None = None
    mem_max_bytes: int | None = None
    energy_kwh: float | None = None
    energy_basis: str | None = None
    co2_g: float | None = None


class JobUsage(msgspec.Struct, frozen=True, kw_only=True):
    """What a job used: the sum of its runs.

    Attributes:
        id: Our id of it.
        cluster: Where it is.
        slurm_job_id: Slurm's number; None: Slurm has not taken it.
        read_until: Unix seconds: accounting has been read until then; None: never.
        runs: Its runs in the order of their submission, at most 1,000.
        more: How many more runs there are; the sums have them.
        gpu_hours: Sum over all runs, as the others.
        gpu_hours_equivalent: See RunUsage.
        gpu_hours_held: See RunUsage.
        cpu_hours: See RunUsage.
    """

    id: str
    cluster: str
    slurm_job_id: int | None = None
    read_until: int | None = None
    runs: tuple[RunUsage, ...] = ()
    more: int = 0
    gpu_hours: float = 0.0
    gpu_hours_equivalent: float = 0.0
    gpu_hours_held: float = 0.0
    cpu_hours: float = 0.0
