"""``?fields=id,state``: answers with some of their fields only."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec
from litestar.params import QueryParameter

from hpcjobs.api.described import attributes_of
from hpcjobs.errors import Refusal, Refused
from hpcjobs.model.cluster import Node
from hpcjobs.model.job import Job
from hpcjobs.model.partition import Partition

Fields = Annotated[
    str | None, QueryParameter(description="Only these fields of each item, separated by commas, as `id,state,name`.")
]


def _part_of(kind: type[msgspec.Struct]) -> type[msgspec.Struct]:
    optional = [(field.name, field.type | msgspec.UnsetType, msgspec.UNSET) for field in msgspec.structs.fields(kind)]
    name = f"{kind.__name__}Part"
    part = msgspec.defstruct(name, optional, frozen=True, module=__name__)
    attributes = "".join(f"\n    {name}: {text}" for name, text in attributes_of(kind).items())
    part.__doc__ = f"The fields of a {kind.__name__} that were asked for.\n\nAttributes:{attributes}\n"
    return part


JobPart: Final = _part_of(Job)
NodePart: Final = _part_of(Node)
PartitionPart: Final = _part_of(Partition)


@functools.lru_cache(maxsize=256)
def _decoder(kind: type[msgspec.Struct], names: tuple[str, ...]) -> msgspec.json.Decoder[list[Any]]:
    """Reads these fields as they are written and skips the rest."""
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    some: list[tuple[str, type, Any]] = [
        (name, msgspec.Raw, msgspec.NODEFAULT if field.required else msgspec.Raw(msgspec.json.encode(_default(field))))
        for name in names
        for field in [fields[name]]
    ]
    return msgspec.json.Decoder(list[msgspec.defstruct("Some", some, kw_only=True)])  # type: ignore[misc]


def _default(field: msgspec.structs.FieldInfo) -> object:
    return field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()


class Selection:
    """Some fields of a kind of document.

    Args:
        kind: What the documents are.
        asked: As the caller wrote it.

    Raises:
        Refused: A field does not exist, or none is named.
    """

    def __init__(self, kind: type[msgspec.Struct], asked: str) -> None:
        known = kind.__struct_fields__
        self.names = tuple(dict.fromkeys(name.strip() for name in asked.split(",") if name.strip()))
        there = f"there are {', '.join(sorted(known))}."
        unknown = [name for name in self.names if name not in known]
        if unknown or not self.names:
            faults = [f"There is no field {name[:80]!r}; {there}" for name in unknown] or [f"Name a field; {there}"]
            raise Refused([Refusal("fields", fault, "unknown" if unknown else "invalid") for fault in faults])
        self._decoder = _decoder(kind, self.names)

    def of_list(self, documents: bytes | str) -> bytes:
        """What is left of the items of a JSON list, as a JSON list."""
        return msgspec.json.encode(self._decoder.decode(documents))

    def of_lines(self, documents: Sequence[str]) -> bytes:
        """What is left of JSON documents, each on a line."""
        some: list[Any] = self._decoder.decode(f"[{','.join(documents)}]")
        return b"".join(msgspec.json.encode(one) + b"\n" for one in some)
