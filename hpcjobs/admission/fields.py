"""What can be held against a field by itself: one pass over those that are set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from hpcjobs.admission.resources import AMOUNTS, JOB_AMOUNTS
from hpcjobs.admission.texts import FORMS, parts_of
from hpcjobs.errors import Refusal
from hpcjobs.model.gres import parse_gpus
from hpcjobs.model.spec import Component, JobSpec, Resources

GPU_REQUESTS: Final = ("gpus", "gpus_per_node", "gpus_per_socket", "gpus_per_task")


class _Field(NamedTuple):
    """How a field is judged: the least and most of a number, what reads a text, and whether it asks for GPUs."""

    name: str
    amounts: tuple[int, int] | None
    read: Callable[[str], object] | None
    gpus: bool = False


def _fields_of(kind: type[msgspec.Struct]) -> tuple[_Field, ...]:
    if kind is Resources:
        return tuple(
            _Field(name, AMOUNTS.get(name), FORMS.get(f"resources.{name}"), name in GPU_REQUESTS)
            for name in kind.__struct_fields__
        )
    return tuple(_Field(name, JOB_AMOUNTS.get(name), FORMS.get(name)) for name in kind.__struct_fields__)


_BESIDE: Final = frozenset({"script", "args", "resources", "het", "environment", "hints", "container", "launch"})
"""Fields that are no single text or number."""

_FIELDS: Final[Mapping[type[msgspec.Struct], tuple[_Field, ...]]] = {
    kind: _fields_of(kind) for kind in (JobSpec, Component, Resources)
}


def _check_gpus(request: int | str) -> None:
    if isinstance(request, int) and request <= 0:
        raise ValueError(f"{request} asks for no GPU")
    if not all(parse_gpus(str(request)).values()):
        raise ValueError(f"{request!r} asks for no GPU")


def _fault(field: _Field, value: int | str) -> str:
    """What is against a value, or ``""``."""
    name = field.name
    if isinstance(value, str) and (not value or "\0" in value):
        return f"{name} is empty or contains a NUL character."
    try:
        if field.gpus:
            _check_gpus(value)
        elif isinstance(value, str) and field.read is not None:
            field.read(value)
    except ValueError as error:
        return f"{name}: {error}."
    if isinstance(value, int) and field.amounts is not None:
        least, most = field.amounts
        if not least <= value <= most:
            return f"{name} must be between {least} and {most}; {value} was asked for."
    return ""


def _judged(prefix: str, holder: JobSpec | Component | Resources) -> Iterator[Refusal]:
    for field, value in zip(_FIELDS[type(holder)], msgspec.structs.astuple(holder), strict=True):
        if value is None or value is True or value is False or field.name in _BESIDE:
            continue
        if fault := _fault(field, value):
            yield Refusal(prefix + field.name, fault)


def judge_fields(spec: JobSpec) -> tuple[JobSpec, Sequence[Refusal]]:
    """Refuse numbers that mean nothing or that Slurm cannot hold, and texts that their option would not take."""
    refusals: list[Refusal] = []
    for prefix, part in parts_of(spec):
        refusals.extend(_judged(prefix, part))
        refusals.extend(_judged(f"{prefix}resources.", part.resources))
    return spec, refusals
