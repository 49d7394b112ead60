"""Clients of the service: AsyncClient, and Client, which is made of it (docs/CLIENT.md)."""

from hpcjobs.client._async.client import AsyncClient
from hpcjobs.client._async.files import AsyncFiles
from hpcjobs.client._async.webhooks import AsyncWebhooks
from hpcjobs.client._sync.client import Client
from hpcjobs.client._sync.files import Files
from hpcjobs.client._sync.webhooks import Webhooks
from hpcjobs.client.problems import (
    AnswerLost,
    ApiProblem,
    Changed,
    ChecksumMismatch,
    Conflict,
    EventsGone,
    NoSpace,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    NotSupported,
    PreconditionFailed,
    RateLimited,
    Refused,
    ServiceFault,
    StreamEnded,
    Transient,
    Unavailable,
    Unreachable,
    UploadOffset,
)

__all__ = [
    "AnswerLost",
    "ApiProblem",
    "AsyncClient",
    "AsyncFiles",
    "AsyncWebhooks",
    "Changed",
    "ChecksumMismatch",
    "Client",
    "Conflict",
    "EventsGone",
    "Files",
    "NoSpace",
    "NotAllowed",
    "NotAuthenticated",
    "NotFound",
    "NotSupported",
    "PreconditionFailed",
    "RateLimited",
    "Refused",
    "ServiceFault",
    "StreamEnded",
    "Transient",
    "Unavailable",
    "Unreachable",
    "UploadOffset",
    "Webhooks",
]
