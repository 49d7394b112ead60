"""Samples on this node's disk until the service has them: whatever is killed when, none is lost and none is double.

``open.json`` has what is being added up, ``<bucket>.json`` what is to be sent. Files are written whole and then
renamed; the same five minutes have the same name, so that writing them twice is writing them once.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Final

import msgspec

from hpcjobs.cli import private
from hpcjobs.cli.sampler.collecting import Open
from hpcjobs.model.sample import DeviceSample, NodeSamples

OPEN: Final = "open.json"
REFUSED: Final = "refused"
MOST_WAITING: Final = 2_016
"""A week of files: of more the oldest are dropped."""


class Kept:
    """A folder of samples.

    Args:
        folder: Made where it is missing; nobody else can read it.

    Raises:
        OSError: It cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def open(self) -> Open:
        """What was being added up; what cannot be read is put aside and begun anew."""
        file = self.folder / OPEN
        try:
            return msgspec.json.decode(file.read_bytes(), type=Open)
        except FileNotFoundError:
            return Open()
        except (msgspec.DecodeError, UnicodeDecodeError):
            file.replace(file.with_suffix(".unreadable"))
            return Open()

    def write_open(self, so_far: Open) -> None:
        """Keep what is being added up."""
        self._write(OPEN, so_far)

    def write(self, samples: Iterable[DeviceSample]) -> None:
        """Keep samples that are to be sent, one file for all of the same five minutes.

        Args:
            samples: In order of time.
        """
        for bucket, those in groupby(samples, key=lambda sample: sample.bucket):
            name = f"{bucket}.json"
            told = {(one.device, one.slurm_job_id): one for one in (*self._there(name), *those)}
            self._write(name, NodeSamples(tuple(told.values())))
        for file in self.waiting()[:-MOST_WAITING]:
            file.unlink()

    def waiting(self) -> list[Path]:
        """The files that are to be sent, the oldest first."""
        found = [file for file in self.folder.glob("*.json") if file.stem.isdigit()]
        return sorted(found, key=lambda file: int(file.stem))

    def refuse(self, file: Path) -> None:
        """Put a file aside that the service does not take."""
        aside = self.folder / REFUSED
        aside.mkdir(mode=0o700, exist_ok=True)
        file.replace(aside / file.name)

    def _there(self, name: str) -> tuple[DeviceSample, ...]:
        try:
            return read(self.folder / name).devices
        except (FileNotFoundError, ValueError):
            return ()

    def _write(self, name: str, value: Open | NodeSamples) -> None:
        private.write(str(self.folder / name), msgspec.json.encode(value))


def read(file: Path) -> NodeSamples:
    """What a file has to send.

    Raises:
        ValueError: It cannot be read.
    """
    return msgspec.json.decode(file.read_bytes(), type=NodeSamples)
