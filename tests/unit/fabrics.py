"""Real fabrics and random ones, for the tests of the topology plugin."""

from __future__ import annotations

import gzip
from pathlib import Path

import msgspec
import pytest
from hypothesis import strategies as st

from hpcjobs_plugins.topology.fabric import Dump, Network
from hpcjobs_plugins.topology.twin import Shape


def shared(*parts: str) -> Path | None:
    """A file of ``shared/`` beside the checkout or above it; None where there is none."""
    folders = [*Path(__file__).resolve().parents, Path("/work")]
    return next((found for folder in folders if (found := folder.joinpath("shared", *parts)).is_file()), None)


def real(name: str, folder: str = "fabrics") -> bytes:
    """Bytes of a real fabric; the test is skipped where the folder is not at hand."""
    path = shared(folder, name)
    if path is None:
        pytest.skip(f"no shared/{folder}/{name} beside the checkout: it may not be copied into the repository")
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


def bare(dump: Dump, *, systems: bool = True) -> Dump:
    """A Dump without where things stood in the source."""
    blank = {"line": 0} if systems else {"line": 0, "system_guid": ""}
    return msgspec.structs.replace(
        dump,
        source="",
        chips={guid: msgspec.structs.replace(chip, **blank) for guid, chip in dump.chips.items()},
        adapters={guid: msgspec.structs.replace(one, **blank) for guid, one in dump.adapters.items()},
    )


RATES = (8.0, 40.0, 100.0, 200.0, 400.0, 800.0)


@st.composite
def shapes(draw: st.DrawFn, network: Network = Network.INFINIBAND) -> Shape:
    """Fat trees of one to four tiers that are small enough to be many."""
    tiers = draw(st.integers(1, 4))
    per_leaf = draw(st.integers(1, 6))
    pods = draw(st.integers(1, 3)) if tiers >= 3 else 1
    zones = draw(st.integers(1, 2)) if tiers == 4 else 1
    units = 1 if tiers == 1 else pods * zones * draw(st.integers(1, 3))
    last = draw(st.integers(1, per_leaf))
    many = units > 1
    return Shape(
        hosts=(units - 1) * per_leaf + last,
        hosts_per_leaf=per_leaf,
        spines=draw(st.integers(1, 3)) if tiers > 1 else 0,
        cores=draw(st.integers(1, 4)) if tiers > 2 else 0,
        tops=draw(st.integers(1, 2)) if tiers == 4 else 0,
        pods=pods,
        zones=zones,
        rails=draw(st.integers(1, 4)),
        adapter_ports=draw(st.sampled_from((1, 1, 2))) if network is Network.INFINIBAND else 1,
        rail_optimised=draw(st.booleans()),
        trunks=draw(st.integers(1, 2)),
        gbps=draw(st.sampled_from(RATES)),
        trunk_gbps=draw(st.sampled_from((0.0, *RATES))),
        director="big" if tiers == 2 and many and network is Network.INFINIBAND and draw(st.booleans()) else "",
        network=network,
        seed=draw(st.integers(0, 1000)),
    )
