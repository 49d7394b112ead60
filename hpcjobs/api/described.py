"""The schemas of the OpenAPI document: what a field means is read from the docstring of its struct.

A struct's docstring is the one place where its fields are explained (``Attributes:``, also of the structs it inherits
from), and examples.py the one place where it is shown.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec
from litestar._openapi.schema_generation.plugins.struct import StructSchemaPlugin
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIResponse, OpenAPIType, Operation, Reference, Schema
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


@dataclass
class Either(Operation):
    """``operation_class`` of a route whose 200 is one of several kinds, which need not exclude each other."""

    def __post_init__(self) -> None:
        answer = (self.responses or {}).get("200")
        if isinstance(answer, OpenAPIResponse):
            for kind in (answer.content or {}).values():
                if kind.schema is not None:
                    _any_of(kind.schema)


@dataclass
class Lines(Either):
    """The same, where the 200 can also be NDJSON."""

    MEDIA_TYPE: ClassVar[str] = "application/x-ndjson"

    def __post_init__(self) -> None:
        super().__post_init__()
        answer = (self.responses or {}).get("200")
        if isinstance(answer, OpenAPIResponse) and answer.content is not None:
            schema = Schema(type=OpenAPIType.STRING, description="A stream; see the description of the route.")
            answer.content[self.MEDIA_TYPE] = OpenAPIMediaType(schema=schema)


@dataclass
class ServerSentEvents(Lines):
    """The same, where the 200 can also be server-sent events."""

    MEDIA_TYPE: ClassVar[str] = "text/event-stream"


class DescribedStructs(StructSchemaPlugin):
    """Makes the schema of a struct, with what its docstring and examples.py say."""

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: SchemaCreator) -> Schema:
        """See Litestar."""
        schema = super().to_openapi_schema(field_definition, schema_creator)
        kind: type[msgspec.Struct] = field_definition.annotation
        schema.description = summary_of(kind)
        # Raw: Litestar would leave out what is null.
        schema.examples = [
            msgspec.Raw(msgspec.json.encode(example)) for example in EXAMPLES.get(kind.__name__, ())
        ] or None
        names = {field.encode_name: field.name for field in msgspec.structs.fields(kind)}
        said = attributes_of(kind)
        config = kind.__struct_config__
        if config.tag_field is not None:
            said = {
                config.tag_field: f"Always `{config.tag}`: tells it from the others that may stand in its place.",
                **said,
            }
        for name, below in (schema.properties or {}).items():
            below.description = said.get(names.get(name, name))
            _any_of(below)
            if isinstance(below, Schema) and below.default is not None:
                below.default = msgspec.json.decode(msgspec.json.encode(below.default))
        return schema
