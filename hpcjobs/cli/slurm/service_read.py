"""What the stand-ins read from the service: with one small request, else with the whole client, which loads slowly."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from hpcjobs import __version__
from hpcjobs.cli.quick import exchange
from hpcjobs.cli.slurm.common import Call, Failed
from hpcjobs.model.job import Fate, Job, State

if TYPE_CHECKING:
    from hpcjobs.client import Client
    from hpcjobs.model.cluster import Node
    from hpcjobs.model.history import AccountedList
    from hpcjobs.model.partition import Partition

T = TypeVar("T")

OURS: Final[Mapping[str, frozenset[str]]] = {"state": frozenset(State), "fate": frozenset(Fate)}
"""Our own reading of a job's state, which no stand-in prints; a newer service may have words that are not here."""


def _query(filters: Mapping[str, object]) -> str:
    told = {name: str(value).lower() if isinstance(value, bool) else value for name, value in filters.items()}
    return urlencode(told, doseq=True, quote_via=quote)


def _answer(call: Call, path: str, accept: str = "application/json") -> bytes | None:
    """The answer, or None: let the whole client find out what is wrong, and say it well."""
    try:
        status, data = exchange(call.config, "GET", path, {"Accept": accept}, environment=call.environment)
    except (OSError, ValueError):
        return None
    if status != 200:
        return None
    call.reached()
    return data


def _without_ours(told: Any) -> Any:  # noqa: ANN401
    """JSON without our own words of a job's state, where this client does not know them."""
    if isinstance(told, list):
        return [_without_ours(one) for one in told]
    if not isinstance(told, dict):
        return told
    return {
        name: _without_ours(value)
        for name, value in told.items()
        if not (name in OURS and "raw_state" in told and value not in OURS[name])
    }


def decoded(data: bytes, kind: type[T]) -> T:
    """What an answer says; a state that a newer service has words for is shown in Slurm's own.

    Args:
        data: JSON.
        kind: What it is.

    Raises:
        Failed: Something in it is unknown here.
        msgspec.DecodeError: It is no JSON.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError:
        try:
            return msgspec.convert(_without_ours(json.loads(data)), kind)
        except msgspec.ValidationError as error:
            raise Failed(
                f"error: the service answers with something that hpcjobs {__version__} does not know: {error}",
                "error: the service is newer, or older, than this program",
            ) from error


def _read(call: Call, path: str, kind: type[T], question: Callable[[Client], T], cluster: str = "") -> T:
    """Ask for one thing.

    Args:
        call: Whose.
        path: With its query.
        kind: What the answer is.
        question: The same with the whole client.
        cluster: About which cluster.

    Raises:
        Failed: The service refuses, stays away, or says what is unknown here.
    """
    data = _answer(call, path)
    if data is not None:
        try:
            return decoded(data, kind)
        except msgspec.DecodeError:
            pass  # something between answers in the service's place: the client says so
    return call.ask(question, cluster)


class _Name(msgspec.Struct, frozen=True):
    name: str


class _Person(msgspec.Struct, frozen=True):
    user: str


def cluster_names(call: Call) -> Sequence[str]:
    """See Call.clusters."""
    found = _read(call, "/v1/clusters", list[_Name], lambda client: [_Name(one.name) for one in client.clusters()])
    return [one.name for one in found]


def user_name(call: Call) -> str:
    """See Call.user."""
    return _read(call, "/v1/me", _Person, lambda client: _Person(client.me().user)).user


def listed(call: Call, cluster: str, filters: Mapping[str, str] = {}) -> list[Job]:
    """What Slurm's controller lists now, as far as the caller may see it.

    Args:
        call: Whose.
        cluster: Of which cluster.
        filters: Of the list: ``user``, ``name``, ``account``, ``partition``.

    Returns:
        Jobs, each task and component for itself, in the controller's order.

    Raises:
        Failed: The service refuses, stays away, or says what is unknown here.
    """
    from hpcjobs.cli.slurm.job_lines import in_controllers_order, with_het_ids

    query = {"listed": "true", "cluster": cluster, **filters}
    data = _answer(call, f"/v1/jobs?{_query(query)}", "application/x-ndjson")
    if data is None:
        jobs = call.ask(lambda client: list(client.jobs(listed=True, cluster=cluster, **filters)), cluster)  # type: ignore[arg-type]
    else:
        jobs = _jobs(data)
    return with_het_ids(in_controllers_order(jobs))


def _jobs(data: bytes) -> list[Job]:
    decoder = msgspec.json.Decoder(Job)
    lines = data.splitlines()
    try:
        return [decoder.decode(one) for one in lines]
    except msgspec.ValidationError:
        return [decoded(one, Job) for one in lines]


def nodes(call: Call, cluster: str) -> Sequence[Node]:
    """The nodes of a cluster.

    Raises:
        Failed: See listed().
    """
    from hpcjobs.model.cluster import NodeList

    path = f"/v1/clusters/{quote(cluster, safe='')}/nodes"
    return _read(call, path, NodeList, lambda client: client.nodes(cluster), cluster).items


def partitions(call: Call, cluster: str) -> Sequence[Partition]:
    """The partitions of a cluster, in Slurm's order.

    Raises:
        Failed: See listed().
    """
    from hpcjobs.model.partition import PartitionList

    path = f"/v1/clusters/{quote(cluster, safe='')}/partitions"
    return _read(call, path, PartitionList, lambda client: client.partitions(cluster), cluster).items


def accounting(call: Call, cluster: str, filters: Mapping[str, Any]) -> AccountedList:
    """What accounting knows of jobs.

    Args:
        call: Whose.
        cluster: Of which cluster.
        filters: Those of the client's accounting().

    Raises:
        Failed: See listed().
    """
    from hpcjobs.model.history import AccountedList

    path = f"/v1/clusters/{quote(cluster, safe='')}/accounting?{_query(filters)}"
    return _read(call, path, AccountedList, lambda client: client.accounting(cluster, **filters), cluster)
