"""What is compared: cases, each a scheduler, a way of choosing nodes, policies. How they are written, and made. Pure.

A case is written ``NAME: scheduler=slurm:{"bf_interval": 60} policy=gang policy=binpack placement=best-fit``. What has
settings has them as JSON behind a colon; JSON may hold blanks. Those of ``slurm`` are the Parameters of
schedulers/slurm.py, ``by_clock``, and ``priority`` with the Weights of schedulers/priority.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Annotated, Any, Final, TypeVar

import msgspec

from hpcjobs.errors import Refusal, Refused
from hpcjobs.sim.choosers import BestFit, Consecutive, InOrder, Spread
from hpcjobs.sim.counts import Counts
from hpcjobs.sim.fgd import Fgd
from hpcjobs.sim.fleet import Chooser
from hpcjobs.sim.leaves import FewestLeaves
from hpcjobs.sim.nodes import Nodes
from hpcjobs.sim.schedulers import SCHEDULERS, Conservative, Easy, Fcfs, Scheduler, Slurm
from hpcjobs.sim.schedulers.priority import Multifactor, Weights
from hpcjobs.sim.schedulers.slurm import Parameters
from hpcjobs.sim.space import Space
from hpcjobs.sim.workload import Workload

T = TypeVar("T")
COUNTS: Final = "counts"
"""The placement that knows only the number of nodes."""
PLACEMENTS: Final[dict[str, Callable[[Workload], Chooser]]] = {
    "order": lambda _workload: InOrder(),
    "consecutive": lambda _workload: Consecutive(),
    "best-fit": lambda _workload: BestFit(),
    "spread": lambda _workload: Spread(),
    "fgd": lambda workload: Fgd.of(workload.jobs),
    "leaves": lambda _workload: FewestLeaves(),
}
"""Ways of choosing among nodes with room, by name; ``counts`` is the one that knows no nodes."""
MOST_NAME: Final = 40
"""Characters of the name of a case."""
_NAMED: Final = re.compile(r"([A-Za-z][\w-]{0,63})(:?)")
_KEY: Final = re.compile(r"\s*([a-z-]+)=")
_WORD: Final = re.compile(r"\S+")
_WORDS: Final = {"placement": "placement", "add-nodes": "add_nodes", "without": "without"}
"""Keys of a case that have a word: its field."""
_KEYS: Final = ("scheduler", "policy", *_WORDS)


class Named(msgspec.Struct, frozen=True, omit_defaults=True):
    """A scheduler or policy, and its settings.

    Attributes:
        name: Its name.
        settings: What is for it to understand.
    """

    name: str
    settings: dict[str, Any] = {}


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One of the things that are compared.

    Attributes:
        name: What it is called in the report.
        scheduler: Who starts jobs.
        policies: Policies, in the order in which they are asked.
        placement: How nodes are chosen: one of PLACEMENTS, or ``counts``.
        add_nodes: So many nodes more, for what starts from a real cluster: ``4`` or ``4:NODE`` like that one.
        without: Nodes that take no new jobs there, as a hostlist.
    """

    name: str
    scheduler: Named = Named("slurm")
    policies: tuple[Named, ...] = ()
    placement: str = "order"
    add_nodes: str = ""
    without: str = ""


class _Deep(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    depth: Annotated[int, msgspec.Meta(ge=1)] | None = None


class _None(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of what has none."""


class _Slurm(Parameters, frozen=True):
    """Settings of ``slurm``: its parameters, and what else Slurm has; see there."""

    by_clock: bool = False
    priority: Weights | None = None


def parse_named(text: str, option: str) -> Named:
    """Read ``NAME`` or ``NAME:JSON``.

    Args:
        text: As it was written.
        option: Where, for the error.

    Raises:
        Refused: It is neither.
    """
    named, end = _named(text, 0, option)
    if end != len(text):
        raise _refused(option, f"there is more behind it: {text[end : end + 40]!r}")
    return named


def parse_case(text: str, base: Case) -> Case:
    """Read a case.

    Args:
        text: ``NAME: key=value ...``; keys are ``scheduler``, ``placement``, ``policy`` (repeatable), ``add-nodes``
            and ``without``.
        base: What holds where the case says nothing; its policies come before those of the case.

    Raises:
        Refused: It is no case.
    """
    name, colon, rest = text.partition(":")
    name = name.strip()
    if not colon or not name[:1].isalnum() or len(name) > MOST_NAME or not name.isprintable():
        what = f"it begins with a name of up to {MOST_NAME} characters and a colon: {text[:60]!r} does not"
        raise _refused("--case", what)
    said: dict[str, Any] = {}
    policies = list(base.policies)
    at = 0
    while rest[at:].strip():
        key = _KEY.match(rest, at)
        if key is None:
            raise _refused("--case", f"{name}: {rest[at:].strip()[:40]!r} is not of the form key=value")
        where, at = f"--case {name}, {key[1]}", key.end()
        if _WORDS.get(key[1], key[1]) in said:
            raise _refused(where, "it is said twice")
        if key[1] in ("scheduler", "policy"):
            named, at = _named(rest, at, where)
            if rest[at : at + 1].strip():
                raise _refused(where, f"there is more behind it: {rest[at : at + 40]!r}")
            if key[1] == "policy":
                policies.append(named)
            else:
                said["scheduler"] = named
            continue
        word = _WORD.match(rest, at)
        if key[1] not in _WORDS:
            raise _refused("--case", f"{name}: no key is called {key[1][:40]!r}; there are {', '.join(_KEYS)}")
        if word is None:
            raise _refused(where, "nothing stands behind the =")
        said[_WORDS[key[1]]], at = word[0], word.end()
    return msgspec.structs.replace(base, name=name, policies=tuple(policies), **said)


_NOTHING: Final = Workload(nodes=(), jobs=(), origin="")


def check(case: Case) -> None:
    """See whether a case can be made.

    Raises:
        Refused: Its scheduler or placement is none, its scheduler does not want its settings, or a policy stands in it
            twice.
    """
    scheduler_of(case, _NOTHING)
    if case.placement != COUNTS and case.placement not in PLACEMENTS:
        there = ", ".join([*PLACEMENTS, COUNTS])
        raise _refused("--placement", f"{case.name}: no placement is called {case.placement[:60]!r}; there are {there}")
    names = [policy.name for policy in case.policies]
    for name in names:
        if names.count(name) > 1:
            raise _refused("--policy", f"{case.name}: {name} is in it twice")


def scheduler_of(case: Case, workload: Workload) -> Scheduler:
    """A new scheduler for a case, on the nodes of a workload.

    Raises:
        Refused: It is none, or does not want its settings.
    """
    name = case.scheduler.name
    if name not in SCHEDULERS:
        there = ", ".join(SCHEDULERS)
        raise _refused("--scheduler", f"{case.name}: no scheduler is called {name[:60]!r}; there are {there}")
    if name == Slurm.name:
        return _slurm(case, workload)
    if name == Fcfs.name:
        _converted(case, _None)
        return Fcfs()
    depth = _converted(case, _Deep).depth
    return Easy(depth) if name == Easy.name else Conservative(depth)


def _slurm(case: Case, workload: Workload) -> Slurm:
    unknown = [key for key in case.scheduler.settings if key not in _Slurm.__struct_fields__]
    if unknown:
        known = ", ".join(_Slurm.__struct_fields__)
        raise _refused("--scheduler", f"{case.name}: slurm has no setting {unknown[0][:60]!r}; there are {known}")
    said = _converted(case, _Slurm)
    numbers = {key: getattr(said, key) for key in case.scheduler.settings if key in Parameters.__struct_fields__}
    for key, value in numbers.items():
        if not 0 < value < 10**9:
            raise _refused("--scheduler", f"{case.name}: {key} is a whole number above 0")
    priority = None if said.priority is None else Multifactor.of(said.priority, workload.nodes)
    return Slurm(Parameters(**numbers), priority, by_clock=said.by_clock)


def _converted(case: Case, type_: type[T]) -> T:
    try:
        return msgspec.convert(case.scheduler.settings, type_)
    except msgspec.ValidationError as error:
        what = f"{case.name}: the settings of {case.scheduler.name} are wrong: {error}"
        raise _refused("--scheduler", what) from error


def space_of(case: Case, workload: Workload) -> Space:
    """New nodes for a case.

    Raises:
        Refused: The fleet cannot be, or the placement has nothing to go by.
    """
    if case.placement == COUNTS:
        return Counts(len(workload.nodes))
    chooser = PLACEMENTS[case.placement](workload)
    return Nodes(workload.nodes, chooser, keeper=chooser if isinstance(chooser, Consecutive) else None)


def _named(text: str, at: int, option: str) -> tuple[Named, int]:
    """What stands at a place, and where it ends."""
    found = _NAMED.match(text, at)
    if found is None:
        raise _refused(option, f"{text[at : at + 40]!r} is no name")
    if not found[2]:
        return Named(found[1]), found.end()
    try:
        settings, end = json.JSONDecoder().raw_decode(text, found.end())
    except (ValueError, RecursionError) as error:
        raise _refused(option, f"the settings of {found[1]} are no JSON: {error}") from error
    if not isinstance(settings, dict):
        raise _refused(option, f"the settings of {found[1]} are no JSON object")
    return Named(found[1], settings), end


def _refused(option: str, what: str) -> Refused:
    return Refused([Refusal(option, f"{option}: {what}.", "bad-case")], kept="nothing was simulated")
