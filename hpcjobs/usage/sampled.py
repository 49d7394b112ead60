"""What nodes tell of their devices, kept: of which of Slurm's types each is, and for how long single samples stay."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection
from typing import Final

import duckdb
import msgspec

from hpcjobs.devices.worth import is_slice
from hpcjobs.errors import HpcjobsError, Refusal, Refused, Unavailable
from hpcjobs.model.gres import parse_node_gres
from hpcjobs.model.sample import BUCKET_S, DeviceSample, NodeSamples, SamplesKept
from hpcjobs.usage.samples import HOUR_S, Sample, thin, write_samples
from hpcjobs.usage.store import UsageStore
from hpcjobs.usage.whole import Holder

log = logging.getLogger(__name__)

DAY_S: Final = 86_400
AHEAD_S: Final = 2 * BUCKET_S
"""How far a node's clock may be ahead."""


def kind_of(model: str, profile: str, kinds: Collection[str]) -> str:
    """Which of Slurm's types a device is.

    Args:
        model: As its maker calls it: ``NVIDIA A100-SXM4-80GB``.
        profile: Of a slice its profile; ``""``: it is whole.
        kinds: The types that its node has.

    Returns:
        ``""``: not known.
    """
    whole = [kind for kind in kinds if not is_slice(kind)]
    if profile:
        found = [kind for kind in kinds if kind.lower().endswith(profile.lower())]
    elif len(whole) == 1:
        found = whole
    else:
        words = set(re.split(r"[^a-z0-9]+", model.lower()))
        found = [kind for kind in whole if re.split(r"[^a-z0-9]+", kind.lower())[0] in words]
    return found[0] if len(found) == 1 else ""


class Sampled:
    """Keeps what nodes tell of their devices.

    Args:
        store: Where.
        days: For how many days single samples stay; after that only their sums by hour.
    """

    def __init__(self, store: UsageStore, days: float) -> None:
        self.store = store
        self.days = days

    async def keep(
        self, cluster: str, node: str, told: NodeSamples, now: float, holder: Holder | None = None
    ) -> SamplesKept:
        """Keep what a node told; what is told twice is there once.

        Args:
            cluster: Whose node it is.
            node: Its name in Slurm.
            told: What its devices did.
            now: Unix seconds.
            holder: The job that has all GPUs of the node now: what nobody else had since it started was its.

        Raises:
            Refused: There is no such node, or a sample cannot be.
            Unavailable: It is not known yet what nodes there are; or it cannot be kept now.
        """
        if faults := [fault for place, one in enumerate(told.devices) if (fault := _fault(place, one, now))]:
            raise Refused(faults)
        known = _owned(told, holder) if holder else told
        return await self.store.write(_keep, cluster, node, known, self._oldest(now))

    def _oldest(self, now: float) -> int:
        return int(now - self.days * DAY_S) // HOUR_S * HOUR_S

    async def tick(self, now: float) -> None:
        """Put old samples together.

        Args:
            now: Unix seconds.
        """
        try:
            await self.store.write(thin, self._oldest(now))
        except HpcjobsError as error:
            log.warning("old samples are not put together now: %s", error.detail)


def _owned(told: NodeSamples, holder: Holder) -> NodeSamples:
    """Samples of nobody's devices as the job's that had these all of that time, with what its processes had."""
    known = {(one.device, one.bucket, one.slurm_job_id): one for one in told.devices}
    for nobodys in list(known):
        device, bucket, job = nobodys
        if job is None and bucket >= holder.since:
            its = device, bucket, holder.slurm_job_id
            known[its] = _together(known.pop(nobodys), known.get(its), holder.slurm_job_id)
    return NodeSamples(tuple(known.values()))


def _together(one: DeviceSample, other: DeviceSample | None, job: int) -> DeviceSample:
    """Two samples of one device and five minutes as a job's one."""
    if other is None:
        return msgspec.structs.replace(one, slurm_job_id=job)
    mems = [two.mem_max_bytes for two in (one, other) if two.mem_max_bytes is not None]
    joules = [two.energy_j for two in (one, other) if two.energy_j is not None]
    return msgspec.structs.replace(
        other,
        samples=one.samples + other.samples,
        covered_s=min(BUCKET_S, one.covered_s + other.covered_s),
        busy_s=min(BUCKET_S, one.busy_s + other.busy_s),
        mem_max_bytes=max(mems, default=None),
        energy_j=sum(joules) if joules else None,
    )


def _fault(place: int, one: DeviceSample, now: float) -> Refusal | None:
    where = f"devices.{place}"
    if one.busy_s > one.covered_s * (1 + 1e-9):
        return Refusal(where, f"{one.device} was busy for {one.busy_s:g} of {one.covered_s:g} s.", "sample-busy")
    if one.bucket > now + AHEAD_S:
        return Refusal(where, f"{one.device} has a sample of {one.bucket - now:.0f} s from now.", "sample-ahead")
    return None


def _keep(
    connection: duckdb.DuckDBPyConnection, cluster: str, node: str, told: NodeSamples, oldest: int
) -> SamplesKept:
    rows = connection.execute(
        "SELECT gres FROM node_kinds WHERE cluster = ? AND node = ? ORDER BY since DESC", [cluster, node]
    ).fetchall()
    if not rows:
        if connection.execute("SELECT 1 FROM node_kinds WHERE cluster = ? LIMIT 1", [cluster]).fetchone() is None:
            raise Unavailable(f"What nodes cluster {cluster} has is not known yet.", kept="Nothing was kept.")
        raise Refused([Refusal("node", f"Cluster {cluster} has no node {node!r}.", "node-unknown")])
    kinds = [kind for kind in parse_node_gres(rows[0][0]) if kind]
    young = [one for one in told.devices if one.bucket >= oldest]
    write_samples(
        connection,
        cluster,
        [
            Sample(
                node=node,
                device=one.device,
                kind=kind_of(one.model, one.profile, kinds),
                bucket=one.bucket,
                slurm_job_id=one.slurm_job_id,
                samples=one.samples,
                covered_s=one.covered_s,
                busy_s=one.busy_s,
                mem_max_bytes=one.mem_max_bytes,
                energy_j=one.energy_j,
            )
            for one in young
        ],
    )
    return SamplesKept(len(young), len(told.devices) - len(young))
