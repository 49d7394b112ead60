"""The OpenAPI document: valid, every word explained, and its examples as it says."""

from __future__ import annotations

import re
from pathlib import Path

import jsonschema
import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

import hpcjobs.errors
from hpcjobs.api.described import attributes_of, summary_of
from hpcjobs.api.examples import EXAMPLES
from hpcjobs.api.problems import FRAMEWORK_CODES, status_of
from hpcjobs.errors import HpcjobsError, Refused
from hpcjobs.model.job import Job
from tests.api.bench import shared_app

API = Path(__file__).parents[2] / "docs" / "API.md"
MAIN = {"SubmitRequest", "Job", "JobPage", "JobDetail", "Verdict", "ActionRequest", "ActionReport", "EventPage",
        "WebhookRequest", "WebhookMade", "FilePage", "FileEntry", "Problem"}  # fmt: skip


@pytest.fixture(scope="module")
def document():
    return msgspec.json.decode(msgspec.json.encode(shared_app().openapi_schema.to_schema()))


def operations(document):
    return [
        (f"{method} {path}", operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]


def test_the_document_is_openapi_3_1(document):
    assert document["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(document).validate()


def test_every_field_of_every_schema_is_described(document):
    bare = [
        f"{name}.{field}"
        for name, schema in document["components"]["schemas"].items()
        for field, told in schema.get("properties", {}).items()
        if not told.get("description", "").strip()
    ]
    assert bare == []


def test_every_route_and_every_parameter_is_described(document):
    bare = [name for name, told in operations(document) if not (told.get("summary") and told.get("description"))]
    bare += [
        f"{name} {parameter['name']}"
        for name, told in operations(document)
        for parameter in told.get("parameters", ())
        if not parameter.get("description")
    ]
    assert bare == []
    assert {tag for _, told in operations(document) for tag in told["tags"]} == {
        tag["name"] for tag in document["tags"]
    }


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_every_example_is_what_its_schema_says(document, name):
    schema = document["components"]["schemas"][name]
    assert len(schema["examples"]) == len(EXAMPLES[name]) > 0
    whole = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    for example in schema["examples"]:
        jsonschema.Draft202012Validator(whole).validate(example)
        assert set(example) <= set(schema["properties"]), "a field that is not there would go unseen"


def test_the_main_requests_and_answers_have_examples_and_none_is_made_up(document):
    schemas = document["components"]["schemas"]
    assert set(EXAMPLES) >= MAIN
    assert {name for name, schema in schemas.items() if "examples" in schema} == set(EXAMPLES)


def test_streams_stand_beside_the_json_that_they_replace(document):
    kinds = {
        path: set(document["paths"][path]["get"]["responses"]["200"]["content"]) for path in ("/v1/jobs", "/v1/events")
    }
    assert kinds == {
        "/v1/jobs": {"application/json", "application/x-ndjson"},
        "/v1/events": {"application/json", "text/event-stream"},
    }


def test_every_json_get_can_be_304_and_every_body_415(document):
    statuses = {name: set(told["responses"]) for name, told in operations(document)}
    assert {name for name, told in operations(document) if "requestBody" in told} == {
        name for name, codes in statuses.items() if "415" in codes
    }
    assert {name for name, codes in statuses.items() if name.startswith("get") and "304" not in codes} == {
        "get /v1/jobs/{job_id}/output", "get /metrics", "get /v1/clusters/{cluster}/files/uploads/{upload_id}",
    }  # fmt: skip


def test_what_a_field_means_is_read_from_the_docstrings_of_its_struct_and_those_it_inherits_from():
    class Below(msgspec.Struct):
        """A thing.

        Of two paragraphs.

        Attributes:
            a: One ``word``,
                and more.
            b: Two.
        """

        a: int
        b: int

    class Above(Below):
        """Another.

        Attributes:
            b: Three.
        """

    assert attributes_of(Above) == {"a": "One `word`, and more.", "b": "Three."}
    assert summary_of(Below) == "A thing.\n\nOf two paragraphs."
    assert set(attributes_of(Job)) == set(Job.__struct_fields__)


def every_error(kind: type[HpcjobsError] = HpcjobsError) -> list[type[HpcjobsError]]:
    return [kind, *(error for below in kind.__subclasses__() for error in every_error(below))]


def test_the_page_lists_every_error_code_with_its_status():
    inside = {"settings", "error"}
    ours = {kind for kind in every_error() if kind.__module__ == hpcjobs.errors.__name__ and kind.code not in inside}
    expected = {(kind.code, status_of(kind([]) if issubclass(kind, Refused) else _made(kind))) for kind in ours}
    expected |= {(code, status) for status, code in FRAMEWORK_CODES.items()} | {("internal", 500)}
    told = re.findall(r"^\| `([a-z-]+)` \| (\d{3}) \| \S", API.read_text(), re.MULTILINE)
    assert sorted((code, int(status)) for code, status in told) == sorted(expected)


def _made(kind: type[HpcjobsError]) -> HpcjobsError:
    return kind("", sent=False) if kind.code == "worker-lost" else kind("")
