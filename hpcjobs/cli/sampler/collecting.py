"""What was read of devices, added up to samples of five minutes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec

from hpcjobs.devices.sampling import Reading
from hpcjobs.model.sample import BUCKET_S, DeviceSample

FAR: Final = 2.0
"""A reading stands for the time since the last one, and for no more than so many times the usual."""

Key = tuple[str, int, int | None]


class Open(msgspec.Struct):
    """What has been added up so far, as it is kept on disk.

    Attributes:
        samples: Of which the five minutes may not be over.
        seen: When each device was read last, Unix seconds.
    """

    samples: list[DeviceSample] = []
    seen: dict[str, float] = {}


class Collector:
    """Adds up what is read of the devices of one node.

    Args:
        every_s: How often they are usually read, in seconds.
        begun: What was added up before the process was started anew.
    """

    def __init__(self, every_s: float, begun: Open | None = None) -> None:
        self.every_s = every_s
        begun = begun or Open()
        self._seen = dict(begun.seen)
        self._samples: dict[Key, DeviceSample] = {_key(sample): sample for sample in begun.samples}

    def take(self, readings: Iterable[Reading], whose: Mapping[int, tuple[int, ...]], now: float) -> None:
        """Add what was read.

        Args:
            readings: Of each device at most one.
            whose: The jobs that have a device, by its index.
            now: When that was, Unix seconds.
        """
        for reading in readings:
            device = device_of(reading)
            if not device:
                continue
            last = self._seen.get(device, now - self.every_s)
            since = max(last, now - FAR * self.every_s)
            self._seen[device] = now
            if since >= now:
                continue  # the clock was set back
            # Slices of a device have its index: whose each is, is not known.
            those = whose.get(reading.index, ()) if reading.index is not None and not reading.instance else ()
            jobs: tuple[int | None, ...] = those or (None,)
            for bucket, lasted_s in _pieces(since, now):
                for job in jobs:
                    self._add(device, reading, bucket, job, lasted_s / len(jobs))

    def _add(self, device: str, reading: Reading, bucket: int, job: int | None, lasted_s: float) -> None:
        known = self._samples.get((device, bucket, job))
        covered_s = lasted_s if reading.busy is not None else 0.0
        self._samples[device, bucket, job] = DeviceSample(
            device=device,
            model=reading.model[:128],
            profile=reading.profile[:128],
            bucket=bucket,
            slurm_job_id=job,
            samples=1 + (known.samples if known else 0),
            covered_s=min(BUCKET_S, covered_s + (known.covered_s if known else 0.0)),
            busy_s=min(BUCKET_S, covered_s * (reading.busy or 0.0) + (known.busy_s if known else 0.0)),
            mem_max_bytes=_most(reading.mem_used_bytes, known.mem_max_bytes if known else None),
            energy_j=_sum(
                None if reading.power_w is None else max(reading.power_w, 0.0) * lasted_s,
                known.energy_j if known else None,
            ),
        )

    def over(self, now: float) -> list[DeviceSample]:
        """Samples whose five minutes are over, in order."""
        found = [sample for sample in self._samples.values() if sample.bucket + BUCKET_S <= now]
        return sorted(found, key=lambda sample: (sample.bucket, sample.device, sample.slurm_job_id or 0))

    def forget(self, samples: Iterable[DeviceSample]) -> None:
        """Forget what is kept elsewhere."""
        for sample in samples:
            self._samples.pop(_key(sample), None)

    def so_far(self) -> Open:
        """What has been added up so far."""
        return Open(list(self._samples.values()), dict(self._seen))


def device_of(reading: Reading) -> str:
    """What a device is called in samples; ``""``: nothing tells which it is."""
    whole = reading.uuid or ("" if reading.index is None else str(reading.index))
    return f"{whole}/{reading.instance}"[:128] if whole and reading.instance else whole[:128]


def _key(sample: DeviceSample) -> Key:
    return sample.device, sample.bucket, sample.slurm_job_id


def _pieces(since: float, until: float) -> Iterator[tuple[int, float]]:
    """A time cut where five minutes end: first second of each piece's five minutes, and how long it is."""
    while since < until:
        bucket = int(since // BUCKET_S) * BUCKET_S
        end = min(until, bucket + BUCKET_S)
        yield bucket, end - since
        since = end


def _most(one: int | None, other: int | None) -> int | None:
    return max((value for value in (one, other) if value is not None), default=None)


def _sum(one: float | None, other: float | None) -> float | None:
    told = [value for value in (one, other) if value is not None]
    return sum(told) if told else None
