"""The loop of the sampler: look, add up, keep, send."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
import zlib
from collections.abc import Callable, Iterable
from typing import Final

from hpcjobs.cli.sampler import keeping, whose
from hpcjobs.cli.sampler.collecting import Collector
from hpcjobs.cli.sampler.keeping import Kept
from hpcjobs.client import ApiProblem
from hpcjobs.devices.family import Family
from hpcjobs.devices.sampling import Reading, Sampling, readings
from hpcjobs.model.sample import BUCKET_S, NodeSamples

PATIENCE_S: Final = 30.0
AGAIN_S: Final = 60.0
SPREAD_S: Final = 60
"""Over so many seconds nodes spread what they send: else all would send in the same one."""
MOST_OUTPUT: Final = 8 << 20


class NoDevicesError(Exception):
    """Nothing on this node says what its devices do; the message says what was tried."""


def look(sampling: Sampling) -> list[Reading]:
    """Ask what the devices do.

    Raises:
        OSError: The command cannot be run, or does not end.
        ValueError: What it printed is not of its format, or it failed.
    """
    try:
        done = subprocess.run(sampling.argv, capture_output=True, timeout=PATIENCE_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise OSError(f"{sampling.argv[0]} has not ended after {PATIENCE_S:g} s") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise ValueError(f"{sampling.argv[0]} ended with {done.returncode}: {said[-1] if said else 'it said nothing'}")
    return readings(sampling, done.stdout[:MOST_OUTPUT].decode(errors="replace"))


def way(families: Iterable[Family]) -> Sampling:
    """The first way of the families that works on this node.

    Raises:
        NoDevicesError: None does.
    """
    tried = []
    for family in families:
        for sampling in family.sample:
            if shutil.which(sampling.argv[0]) is None:
                continue
            try:
                if look(sampling):
                    return sampling
                tried.append(f"{sampling.argv[0]} tells of no device")
            except (OSError, ValueError) as error:
                tried.append(str(error))
    raise NoDevicesError("; ".join(tried) or "no command is here that a family of devices is asked with")


class Sampler:
    """Samples the devices of this node.

    Args:
        sampling: How they are asked.
        kept: Where samples are kept.
        node: This node's name in Slurm.
        every_s: Seconds between two looks.
        send: Tells the service what the devices did; raises ApiProblem.
        say: Tells people.
    """

    def __init__(
        self,
        sampling: Sampling,
        kept: Kept,
        node: str,
        every_s: float,
        send: Callable[[NodeSamples], None],
        say: Callable[[str], None],
    ) -> None:
        self.sampling = sampling
        self.kept = kept
        self.every_s = every_s
        self.send = send
        self.say = say
        self.collector = Collector(every_s, kept.open())
        self._late_s = zlib.crc32(node.encode()) % SPREAD_S
        self._trouble: dict[str, str] = {}
        self._again_at = 0.0

    def turn(self, now: float) -> None:
        """Look once; send what is due."""
        try:
            found = look(self.sampling)
            jobs = whose.jobs_by_device(whose.processes())
        except (OSError, ValueError) as error:
            self._troubled("looking", str(error))
        else:
            self._troubled("looking", "")
            self.collector.take(found, jobs, now)
        over = self.collector.over(now)
        self.kept.write(over)
        self.collector.forget(over)
        self.kept.write_open(self.collector.so_far())
        if now >= self._again_at and now % BUCKET_S >= self._late_s:
            self.deliver(now)

    def deliver(self, now: float) -> bool:
        """Send what waits, the oldest first.

        Returns:
            Whether nothing waits any more.
        """
        for file in self.kept.waiting():
            try:
                self.send(keeping.read(file))
            except ApiProblem as problem:
                if problem.transient or problem.status in (401, 403):
                    self._troubled("sending", f"samples are kept for now: {problem.detail}")
                    self._again_at = now + AGAIN_S
                    return False
                self.say(f"{file.name} is put aside: {problem.detail}")
                self.kept.refuse(file)
            except ValueError as error:
                self.say(f"{file.name} is put aside: {error}")
                self.kept.refuse(file)
            else:
                file.unlink()
        self._troubled("sending", "")
        return True

    def run(self, ended: threading.Event, until: float | None) -> None:
        """Look again and again; at last tell what is known, also of five minutes that are not over.

        Args:
            ended: Set when it is to end.
            until: Unix seconds when it ends by itself; None: it does not.
        """
        while not ended.is_set() and (until is None or time.time() < until):
            begun = time.time()
            self.turn(begun)
            left_s = self.every_s - (time.time() - begun)
            ended.wait(max(min(left_s, until - time.time()) if until else left_s, 0.1))
        self.kept.write(self.collector.so_far().samples)
        self.deliver(time.time())

    def _troubled(self, what: str, words: str) -> None:
        """Say what is wrong once, and once that it is over."""
        before = self._trouble.get(what, "")
        if words and words != before:
            self.say(words)
        elif before and not words:
            self.say(f"{what} works again")
        self._trouble[what] = words
