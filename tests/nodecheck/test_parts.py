"""Parts by themselves: processes with limits, growth, the clock, and data that are made of others."""

from __future__ import annotations

import json
import math
import re
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from hpcjobs.nodecheck import accelerators, kernel
from hpcjobs.nodecheck.clock import SINCE_1900, Clock, clock, faults
from hpcjobs.nodecheck.clock import Options as ClockOptions
from hpcjobs.nodecheck.growth import Read, grown, kept
from hpcjobs.nodecheck.settings import settings
from hpcjobs.recovery.pattern import knowledge

from .recorded import FOLDER, Recorded

ROOT = FOLDER.parents[1]
APART = """
import json, sys, time
sys.path.insert(0, {folder!r})
from nodecheck.apart import Task, apart
tasks = {{
    "quick": Task(lambda: [1], 5), "long": Task(lambda: "x" * 300000, 5), "broken": Task(lambda: 1 / 0, 5),
    "hangs": Task(lambda: time.sleep(60), 0.3), "parent": Task(lambda: __import__("os").system("sleep 61 & wait"), 0.3),
}}
began = time.monotonic()
print(json.dumps({{name: [one.value, one.late, one.stuck] for name, one in apart(tasks).items()}}))
assert time.monotonic() - began < 5
"""


def test_work_is_done_apart_and_what_takes_too_long_is_ended_with_all_that_it_started() -> None:
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", APART.format(folder=str(FOLDER.parent))],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    told = json.loads(ran.stdout)
    assert told.pop("long") == ["x" * 300000, False, None]
    late = [None, True, None]
    assert told == {"quick": [[1], False, None], "broken": [None, False, None], "hangs": late, "parent": late}
    assert "ZeroDivisionError" in ran.stderr
    commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert b"sleep\x0061\x00" not in commands


def test_growth_is_of_the_last_hour_and_a_counter_that_began_anew_counts_from_nothing() -> None:
    looks: tuple[Read, ...] = ()
    for minute, value in ((0, 100), (1, 101), (30, 110), (61, 120), (80, 4)):
        now = Read(minute * 60.0, {"errors": value})
        found = grown(looks, now)
        looks = kept(looks, now)
        assert found == {"errors": {0: 0, 1: 1, 30: 10, 61: 20, 80: 24}[minute]}
    assert [one.at / 60 for one in looks] == [0, 30, 61, 80]
    assert grown(looks[1:], Read(5400.0, {"errors": 4, "new": 9})) == {"errors": 14, "new": 0}


def test_looks_are_few_however_often_one_looks() -> None:
    looks: tuple[Read, ...] = ()
    for second in range(0, 86400, 20):
        looks = kept(looks, Read(float(second), {"errors": second}))
    assert len(looks) <= 14
    assert 3600 <= 86400 - looks[0].at <= 4200


def test_a_clock_is_judged_by_what_the_kernel_knows() -> None:
    options = ClockOptions(False, 1.0, 5.0, [])
    assert faults(options, Clock(True, 0.2, 0.1)) == []
    assert faults(options, Clock(True, -1.5, 0.1)) == ["the kernel's clock is -1.500 s off"]
    assert faults(options, Clock(True, 0.0, 16.0)) == ["the kernel's clock may be 16.0 s off"]
    assert faults(options, Clock(False, 9.0, 16.0)) == []
    assert faults(options._replace(synchronised=True), Clock(False, 0.0, 0.0)) == [
        "the kernel's clock is not synchronised"
    ]
    assert 0.0 <= clock().error_s <= 100.0


@pytest.mark.parametrize("ahead_s", [0.0, 30.0, -30.0])
def test_a_time_server_is_asked(tmp_path: Path, ahead_s: float) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(20)

        def answer() -> None:
            asked, who = server.recvfrom(512)
            assert asked[0] & 7 == 3  # a client
            part, whole = math.modf(time.time() - ahead_s)
            at = struct.pack("!II", int(whole) + SINCE_1900, int(part * 2**32))
            server.sendto(b"\x24" + 31 * b"\0" + at + at, who)

        thread = threading.Thread(target=answer)
        thread.start()
        node = Recorded(tmp_path)
        node.site(checks={"clock": {"servers": [f"127.0.0.1:{server.getsockname()[1]}"], "offset_s": 2}})
        told = node.check("--only", "clock", code=3 if ahead_s else 0)
        thread.join()
    if ahead_s:
        off = re.search(r"the clock is ([-+][\d.]+) s off, 1 time servers say", told)
        assert off is not None
        assert float(off[1]) == pytest.approx(ahead_s, abs=1)


def test_a_time_server_that_nobody_is_at_is_told(tmp_path: Path) -> None:
    node = Recorded(tmp_path)
    node.site(checks={"clock": {"servers": ["127.0.0.1:9"]}})
    assert "no time server answers" in node.check("--only", "clock", code=3)


def test_what_nodes_know_is_made_of_what_the_service_knows() -> None:
    subprocess.run([sys.executable, str(ROOT / "scripts" / "nodecheck"), "--check"], check=True)
    assert {one.name for one in accelerators.families()} >= {"nvidia", "amd", "ascend"}
    examples = {one.name: one.example for one in knowledge().patterns}
    for one in kernel.patterns():
        assert one.words in examples[one.name]
        assert re.search(one.regex, examples[one.name])
        assert not re.search(r"[}?*+]\+", one.regex)  # Python 3.9 has no possessive ones


def test_slurm_kills_no_program_of_ours_that_waits_for_its_limits(tmp_path: Path) -> None:
    told = settings(tmp_path / "none", needed=False)
    acting_s, killed_s = 2 * 8 + 1, 60
    for mode, within_s in (("periodic", killed_s), ("prolog", 30), ("epilog", 40)):
        assert max(one.limit_s for one in told.checks.values() if mode in one.when) + acting_s < within_s
