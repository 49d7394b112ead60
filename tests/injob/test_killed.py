"""Real processes that are killed, stopped and woken at random moments: no two write, nothing good is lost."""

from __future__ import annotations

import os
import random
import resource
import selectors
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hpcjobs.injob.checkpoints import Checkpoints
from tests.injob.counter import link

COUNTER = Path(__file__).with_name("counter.py")


class Counter:
    """One attempt, as a process; ``saved``: the last step of which it was told that it is a checkpoint."""

    def __init__(self, folder, steps, keep=3, **how):
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", COUNTER, str(folder), str(steps), str(keep)], stdout=subprocess.PIPE, **how
        )
        os.set_blocking(self.process.stdout.fileno(), False)
        self.text = b""

    def hear(self, for_s=0.0, word=b""):
        """What it says until a word comes, it has ended, or so many seconds are over."""
        until = time.monotonic() + for_s
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while not (word and word in self.text) and selector.select(max(until - time.monotonic(), 0)):
                heard = self.process.stdout.read()
                if heard == b"":
                    break
                self.text += heard or b""
        return self

    def told(self, word):
        """Numbers behind a word, in order; a line that the kill cut is none."""
        lines = self.text[: self.text.rfind(b"\n") + 1].decode().splitlines()
        return [int(line.split()[1]) for line in lines if line.startswith(f"{word} ")]

    def end(self):
        if self.process.stdout.closed:
            return self
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)
        self.hear(5)
        self.process.stdout.close()
        return self


def chain(step):
    made = b""
    for one in range(1, step + 1):
        made = link(made, one)
    return made


def look(folder):
    """Everything in the state is whole, of one chain, and attempts follow each other."""
    state = folder.state()
    assert list(folder.good()) == list(reversed(state.saved))
    attempts = [one.attempt for one in state.saved]
    assert attempts == sorted(attempts)
    for one in state.saved:
        assert (folder.root / one.path / "chain").read_bytes() == chain(one.step)


@pytest.mark.parametrize("seed", range(6))
def test_attempts_that_are_killed_at_random_moments_lose_no_checkpoint(tmp_path, seed):
    dice = random.Random(seed)
    folder = Checkpoints(tmp_path / "c")
    last = 0
    for _ in range(8):
        counter = Counter(folder.root, 10_000).hear(20, b"begun")
        counter.hear(dice.uniform(0.0, 0.15)).end()
        resumed, saved = counter.told("resumed"), counter.told("saved")
        if resumed:
            assert last <= resumed[0] <= last + 1  # one may be published and its process killed before it said so
        known = folder.state().saved
        last = known[-1].step if known else 0
        if saved:
            assert saved[-1] <= last <= saved[-1] + 1
        look(folder)
    assert last > 0


@pytest.mark.parametrize("seed", range(4))
def test_orphans_that_wake_up_beside_their_successor_write_nothing(tmp_path, seed):
    dice = random.Random(100 + seed)
    folder = Checkpoints(
        tmp_path / "c",
    )
    orphans = []
    try:
        for _ in range(5):
            counter = Counter(folder.root, 10_000, 1000).hear(20, b"saved")
            counter.hear(dice.uniform(0.0, 0.05))
            counter.process.send_signal(signal.SIGSTOP)
            orphans.append(counter)
            number = folder.state().newest
            assert number == counter.told("begun")[0]
        successor = Counter(folder.root, 10_000, 1000).hear(20, b"begun")
        for orphan in orphans:
            orphan.process.send_signal(signal.SIGCONT)
            successor.hear(dice.uniform(0.0, 0.03))
        for orphan in orphans:
            assert orphan.process.wait(30) == 93
            assert b"superseded" in orphan.hear(5).text
        successor.hear(10, b"saved").end()
    finally:
        for orphan in orphans:
            orphan.end()
    begun = [orphan.told("begun")[0] for orphan in orphans]
    for orphan, number in zip(orphans, begun, strict=True):
        mine = [one.step for one in folder.state().saved if one.attempt == number]
        assert orphan.told("saved") == mine  # told of each that is one, and of no other
    look(folder)


@pytest.mark.parametrize("seed", range(3))
def test_of_many_attempts_at_once_the_last_has_the_folder_and_the_others_stop(tmp_path, seed):
    folder = Checkpoints(tmp_path / "c")
    counters = [Counter(folder.root, 10_000, 1000) for _ in range(5)]
    try:
        numbers = sorted(counter.hear(20, b"begun").told("begun")[0] for counter in counters)
        assert numbers == [1, 2, 3, 4, 5]
        for counter in counters:
            if counter.told("begun") != [5]:
                assert counter.process.wait(30) == 93
            else:
                counter.hear(20, b"saved")
    finally:
        for counter in counters:
            counter.end()
    assert folder.state().saved[-1].attempt == 5
    look(folder)


def test_files_that_may_not_be_longer_leave_the_older_checkpoints(tmp_path):
    folder = Checkpoints(tmp_path / "c")

    def short():
        resource.setrlimit(resource.RLIMIT_FSIZE, (15_000, 15_000))

    def count(steps, **how):
        words = [sys.executable, "-I", "-S", COUNTER, folder.root, str(steps)]
        return subprocess.run(words, capture_output=True, text=True, check=False, **how)

    assert count(3).returncode == 0
    failed = count(6, preexec_fn=short)
    assert failed.returncode == 1
    assert "File too large" in failed.stderr
    look(folder)
    assert folder.latest_good().step == 3
    assert not list((folder.root / "work").glob("*/*"))
