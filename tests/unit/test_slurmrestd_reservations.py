"""slurmrestd makes a reservation that it is to change, and changes one that it is to make: what we do about it."""

from __future__ import annotations

import json

import httpx
import pytest

from hpcjobs.errors import Conflict, NotAllowed, NotSupported, OutcomeUnknown, Refused
from hpcjobs.model.node_order import NodeOrder
from hpcjobs.model.reservation import ReservationOrder, ReservationVerb
from hpcjobs.slurm.slurmrestd import SlurmrestdBackend

from .test_cluster_orders import make

LISTED = {"name": "gang", "node_list": "n[1-2]", "users": "alice"}


class Wire(httpx.AsyncBaseTransport):
    """Answers as slurmrestd of 26.05 does, recorded; remembers what was asked beside listings."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, object]] = []
        self.known = {"v0.0.45"}
        self.fault: dict[str, object] | None = None
        self.lost = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode()
        if path.endswith("/ping/"):
            return httpx.Response(200 if path.split("/")[2] in self.known else 404, json={})
        if request.method == "GET":
            return httpx.Response(200, json={"reservations": [LISTED], "errors": []})
        body = json.loads(request.content) if request.content else None
        self.asked.append((request.method, path, body))
        if self.lost:
            raise httpx.ReadError("gone")
        if self.fault is not None:
            return httpx.Response(422, json={"errors": [self.fault], "warnings": []})
        # What was asked for comes back in the form in which it was: names as lists, not as text.
        return httpx.Response(200, json={"reservations": [body or {}], "errors": [], "warnings": []})


@pytest.fixture
def wire():
    return Wire()


@pytest.fixture
async def backend(tmp_path, wire):
    key = tmp_path / "key"
    key.write_bytes(b"k" * 32)
    backend = SlurmrestdBackend("big", "http://slurmrestd", key, "hpcjobs")
    await backend._client.aclose()
    backend._client = httpx.AsyncClient(base_url="http://slurmrestd", transport=wire)
    yield backend
    await backend.close()


async def test_a_name_that_is_taken_is_no_order_to_change_it(backend, wire):
    with pytest.raises(Conflict):
        await backend.reserve(make(name="gang"))
    assert wire.asked == []
    await backend.reserve(make(name="other"))
    ((method, path, body),) = wire.asked
    assert (method, path, body["name"]) == ("POST", "/slurm/v0.0.45/reservation", "other")


async def test_a_change_of_what_is_not_there_makes_nothing(backend, wire):
    with pytest.raises(Refused) as refused:
        await backend.reserve(ReservationOrder(ReservationVerb.CHANGE, "other", users=("alice",)))
    assert [(one.field, one.code) for one in refused.value.refusals] == [("name", "ESLURM_RESERVATION_INVALID")]
    assert wire.asked == []
    await backend.reserve(ReservationOrder(ReservationVerb.CHANGE, "gang", users=("bob",)))
    assert wire.asked == [("POST", "/slurm/v0.0.45/reservation", {"name": "gang", "users": ["bob"]})]


async def test_a_name_is_quoted_where_it_stands_in_an_address(backend, wire):
    await backend.reserve(ReservationOrder(ReservationVerb.DELETE, "a?b#c%"))
    assert wire.asked == [("DELETE", "/slurm/v0.0.45/reservation/a%3Fb%23c%25", None)]


async def test_a_version_that_only_lists_reservations_is_not_asked_for_more(backend, wire):
    wire.known = {"v0.0.42"}
    with pytest.raises(NotSupported, match=r"v0\.0\.43"):
        await backend.reserve(make(name="other"))
    assert wire.asked == []
    await backend.act_nodes(NodeOrder(("n1",), weight=3))
    assert wire.asked == [("POST", "/slurm/v0.0.42/nodes/", {"name": ["n1"], "weight": {"set": True, "number": 3}})]


async def test_who_may_not_is_told_what_it_needs_and_a_lost_answer_leaves_the_outcome_open(backend, wire):
    wire.fault = {"error_number": 2010, "error": "Invalid user id", "source": "_update_nodes"}
    with pytest.raises(NotAllowed, match="Administrator"):
        await backend.act_nodes(NodeOrder(("n1",), weight=3))
    wire.lost = True
    with pytest.raises(OutcomeUnknown):
        await backend.act_nodes(NodeOrder(("n1",), weight=3))
    with pytest.raises(OutcomeUnknown):
        await backend.reserve(make(name="other"))
