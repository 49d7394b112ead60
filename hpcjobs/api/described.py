"""The schemas of the OpenAPI document: what a field means is read from the docstring of its struct.

A struct's docstring is the one place where its fields are explained (``Attributes:``, also of the structs it inherits
from), and examples.py the one place where it is shown.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import msgspec
from litestar._openapi.schema_generation.plugins.struct import StructSchemaPlugin
from litestar.openapi.spec import Reference, Schema
from litestar.typing import FieldDefinition

from hpcjobs.api.examples import EXAMPLES

if TYPE_CHECKING:
    from litestar._openapi.schema_generation import SchemaCreator

SECTION: Final = re.compile(r"^Attributes:\n((?: .*\n|\n)*)", re.MULTILINE)
ATTRIBUTE: Final = re.compile(r"^ {4}(\w+): (.*(?:\n {5,}.*)*)", re.MULTILINE)
HEADING: Final = re.compile(r"^(?:Attributes|Args|Returns|Raises):\n", re.MULTILINE)


def _markdown(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("``", "`").strip()


def _docstring(kind: type) -> str:
    text = kind.__dict__.get("__doc__")
    return inspect.cleandoc(text) + "\n" if isinstance(text, str) else ""


@functools.cache
def attributes_of(kind: type) -> Mapping[str, str]:
    """What the docstrings of a class and of those it inherits from say of its attributes, as Markdown, by name."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        for section in SECTION.findall(_docstring(base)):
            found.update((name, _markdown(text)) for name, text in ATTRIBUTE.findall(section))
    return found


def summary_of(kind: type) -> str:
    """What the docstring of a class says of the whole, as Markdown: paragraphs before its first section."""
    text = HEADING.split(_docstring(kind))[0]
    return "\n\n".join(_markdown(paragraph) for paragraph in text.split("\n\n") if paragraph.strip())


def _any_of(schema: Schema | Reference) -> None:
    """A union says anyOf: an integer is a number too, and oneOf would refuse what is both."""
    if isinstance(schema, Schema):
        if schema.one_of is not None:
            schema.any_of, schema.one_of = schema.one_of, None
        below = [*(schema.any_of or ()), schema.items, schema.additional_properties]
        for part in below:
            if isinstance(part, Schema | Reference):
                _any_of(part)


class DescribedStructs(StructSchemaPlugin):
    """Makes the schema of a struct, with what its docstring and examples.py say."""

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: SchemaCreator) -> Schema:
        """See Litestar."""
        schema = super().to_openapi_schema(field_definition, schema_creator)
        kind: type[msgspec.Struct] = field_definition.annotation
        schema.description = summary_of(kind)
        schema.examples = [msgspec.to_builtins(example) for example in EXAMPLES.get(kind, ())] or None
        names = {field.encode_name: field.name for field in msgspec.structs.fields(kind)}
        said = attributes_of(kind)
        for name, below in (schema.properties or {}).items():
            below.description = said.get(names.get(name, name))
            _any_of(below)
        return schema
