"""A node's state in Slurm's words, and which states --states means."""

from __future__ import annotations

import pytest

from hpcjobs.cli.slurm.node_filters import TOLD, read_states
from hpcjobs.cli.slurm.node_states import bits_of, complete_state, json_states, long_state, short_state
from hpcjobs.sbatch.getopt import Misspelt


@pytest.mark.parametrize(
    ("raw_state", "short", "long"),
    [
        ("IDLE", "IDLE", "IDLE"),
        ("ALLOCATED", "ALLOC", "ALLOCATED"),
        ("ALLOCATED+COMPLETING", "ALLOC+", "ALLOCATED+"),
        ("MIXED", "MIX", "MIXED"),
        ("MIXED+PLANNED", "MIX-", "MIXED-"),
        ("MIXED+COMPLETING", "COMP", "COMPLETING"),
        ("IDLE+COMPLETING+NOT_RESPONDING", "COMP*", "COMPLETING*"),
        ("IDLE+DRAIN", "DRAIN", "DRAINED"),
        ("MIXED+DRAIN", "DRNG", "DRAINING"),
        ("IDLE+COMPLETING+DRAIN", "DRNG", "DRAINING"),
        ("DOWN+DRAIN+NOT_RESPONDING", "DRAIN*", "DRAINED*"),
        ("DOWN+NOT_RESPONDING", "DOWN*", "DOWN*"),
        ("IDLE+NOT_RESPONDING", "IDLE*", "IDLE*"),
        ("IDLE+RESERVED", "RESV", "RESERVED"),
        ("IDLE+PLANNED", "PLND", "PLANNED"),
        ("IDLE+BLOCKED", "BLOCK", "BLOCKED"),
        ("IDLE+CLOUD+POWERED_DOWN", "IDLE~", "IDLE~"),
        ("IDLE+CLOUD+POWERING_DOWN", "IDLE%", "IDLE%"),
        ("ALLOCATED+CLOUD+POWERING_UP", "ALLOC#", "ALLOCATED#"),
        ("IDLE+POWER_DOWN", "IDLE!", "IDLE!"),
        ("IDLE+MAINTENANCE", "MAINT", "MAINT"),
        ("IDLE+MAINTENANCE+NOT_RESPONDING", "MAINT*", "MAINT*"),
        ("MIXED+MAINTENANCE", "MIX$", "MIXED$"),
        ("IDLE+MAINTENANCE+DRAIN", "DRAIN$", "DRAINED$"),
        ("IDLE+REBOOT_REQUESTED", "BOOT", "REBOOT"),
        ("IDLE+REBOOT_ISSUED", "BOOT^", "REBOOT^"),
        ("ALLOCATED+REBOOT_REQUESTED", "ALLOC@", "ALLOCATED@"),
        ("IDLE+FAIL", "FAIL", "FAIL"),
        ("ALLOCATED+FAIL+NOT_RESPONDING", "FAILG*", "FAILING*"),
        ("IDLE+INVALID_REG", "INVAL", "INVAL"),
        ("FUTURE", "FUTR", "FUTURE"),
        ("UNKNOWN+NOT_RESPONDING", "UNK*", "UNKNOWN*"),
    ],
)
def test_a_state_is_short_and_long_as_sinfo_writes_it(raw_state, short, long):
    assert (short_state(bits_of(raw_state)), long_state(bits_of(raw_state))) == (short, long)


def test_a_complete_state_is_in_slurms_order_whoever_listed_it():
    bits = bits_of("RESERVED+NOT_RESPONDING+CLOUD+IDLE")
    assert complete_state(bits) == "IDLE+CLOUD+RESERVED+NOT_RESPONDING"
    assert json_states(bits) == ["IDLE", "RESERVED", "CLOUD", "NOT_RESPONDING"]


@pytest.mark.parametrize(
    ("asked", "raw_state", "cpus_alloc", "meant"),
    [
        ("idle", "IDLE", 0, True),
        ("idle", "IDLE+DRAIN", 0, True),
        ("alloc", "MIXED", 3, True),
        ("ALLOC", "IDLE", 0, False),
        ("drain", "MIXED+DRAIN", 1, True),
        ("drained", "MIXED+DRAIN", 1, False),
        ("drained", "IDLE+DRAIN", 0, True),
        ("drng", "MIXED+DRAIN", 1, True),
        ("down,mix", "MIXED", 1, True),
        ("drain&mix", "IDLE+DRAIN", 0, False),
        ("drain+mix", "MIXED+DRAIN", 1, True),
        ("~mix", "MIXED", 1, False),
        ("!mix", "IDLE", 0, True),
        ("resv", "IDLE+RESERVED", 0, True),
        ("no_respond", "DOWN+NOT_RESPONDING", 0, True),
        ("maint", "IDLE+MAINTENANCE", 0, True),
        ("boot^", "IDLE+REBOOT_ISSUED", 0, True),
    ],
)
def test_states_mean_what_they_mean_to_sinfo(asked, raw_state, cpus_alloc, meant):
    states = read_states(asked)
    assert states is not None
    assert states.fit(bits_of(raw_state), cpus_alloc) is meant


def test_every_state_that_is_told_can_be_asked_for_and_no_other():
    assert all(read_states(name) for name in TOLD)
    assert read_states("all") is None
    with pytest.raises(Misspelt) as wrong:
        read_states("idle,foo")
    assert wrong.value.heard[0] == 'error: Bad state string: "foo"'
    assert wrong.value.exit_code == 1
