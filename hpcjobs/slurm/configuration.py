"""Slurm's configuration as ``scontrol show config`` prints it and slurmrestd v0.0.45 says it, and our reading. Pure.

Both go by the keys of slurm.conf(5); scontrol prints lists with commas, and ``(null)`` where there is nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from hpcjobs.model.scheduling import Scheduling
from hpcjobs.sbatch.units import parse_time
from hpcjobs.slurm.openapi import Reply

WORDS: Final = ("scontrol", "show", "config")
"""What prints it."""

_LINE: Final = re.compile(r"(?m)^(\w+) += ?(.*)$")
_NOTHING: Final = frozenset({"", "(null)", "N/A"})
_WEIGHT: Final = "priorityweight"
_OFF: Final = frozenset({"OFF", "DISABLED"})
_ENFORCE: Final = "accountingstorageenforce"
_Value = str | bool | int | tuple[str, ...]


class ConfigurationTold(Reply, frozen=True):
    """slurmrestd's answer; what is asked of it is decoded, and no more."""

    slurm_conf: dict[str, msgspec.Raw] = msgspec.field(default_factory=dict)


def printed_scheduling(text: str) -> Scheduling:
    """Of what scontrol prints."""
    return _scheduling({key.lower(): "" if value in _NOTHING else value.strip() for key, value in _LINE.findall(text)})


def said_scheduling(told: ConfigurationTold) -> Scheduling:
    """Of what slurmrestd says.

    Raises:
        msgspec.MsgspecError: A value is of another kind than this version's.
    """
    asked = ("scheduler", "priority", "select", "topology", "preempttype", "preemptmode", _ENFORCE)
    return _scheduling(
        {
            key.lower(): _text(msgspec.json.decode(value, type=_Value))
            for key, value in told.slurm_conf.items()
            if key.lower().startswith(asked)
        }
    )


def _text(value: _Value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _scheduling(facts: Mapping[str, str]) -> Scheduling:
    """Of values by key in small letters; what is not told is as Slurm has it by default."""
    usual = Scheduling()
    words = (word.partition("=") for word in _list(facts, "schedulerparameters"))
    weights = {key.removeprefix(_WEIGHT): value for key, value in facts.items() if key.startswith(_WEIGHT)}
    age_max = facts.get("prioritymaxage", "")
    return Scheduling(
        scheduler=facts.get("schedulertype") or usual.scheduler,
        parameters={name.lower(): value for name, _, value in words},
        priority=facts.get("prioritytype") or usual.priority,
        weights={name: int(value) for name, value in weights.items() if value.isdecimal() and int(value)},
        weights_tres=weights.get("tres", ""),
        favor_small=facts.get("priorityfavorsmall", "").lower() in ("yes", "1", "true"),
        age_max_s=parse_time(age_max) if age_max else usual.age_max_s,
        select=facts.get("selecttype") or usual.select,
        select_parameters=tuple(name.upper() for name in _list(facts, "selecttypeparameters") if name != "NONE"),
        topology=facts.get("topologyplugin") or usual.topology,
        topology_parameters=_list(facts, "topologyparam"),
        preempt="" if facts.get("preempttype") == "preempt/none" else facts.get("preempttype", ""),
        preempt_mode=tuple(mode for mode in map(str.upper, _list(facts, "preemptmode")) if mode not in _OFF),
        enforced=tuple(word for word in map(str.lower, _list(facts, _ENFORCE)) if word != "none"),
    )


def _list(facts: Mapping[str, str], key: str) -> tuple[str, ...]:
    return tuple(filter(None, (word.strip() for word in facts.get(key, "").split(","))))
