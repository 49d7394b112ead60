"""How a submission is answered, whichever route it came by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

import msgspec
from litestar import Response
from litestar.openapi.datastructures import ResponseSpec

from hpcjobs.api.common import answers, problems
from hpcjobs.model.job import Job, State

T = TypeVar("T")

KEPT: Final = "It is kept and goes to Slurm, once and in its user's order, as soon as Slurm answers."


def documents(kind: type[msgspec.Struct]) -> dict[int, ResponseSpec]:
    """What a route that submits may answer beside 201: that it is kept, and problems."""
    return problems(409, 413, 501) | {202: answers(KEPT, kind)}


def answer(body: T, jobs: Sequence[Job], *, replayed: bool) -> Response[T]:
    """201, or 202 while one of the jobs waits for Slurm.

    Args:
        body: What is told of them.
        jobs: What the submission made; ``Location`` is that of the first.
        replayed: Whether an earlier request with the same key made them; then ``Idempotency-Replayed`` says so.
    """
    headers = {"Location": f"/v1/jobs/{jobs[0].id}"} | ({"Idempotency-Replayed": "true"} if replayed else {})
    waits = any(job.state is State.SUBMITTING for job in jobs)
    return Response(body, status_code=202 if waits else 201, headers=headers)
