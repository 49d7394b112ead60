"""The whole client."""

from __future__ import annotations

from hpcjobs.client._async.billing import AsyncBilling
from hpcjobs.client._async.credentials import AsyncCredentials
from hpcjobs.client._async.events import AsyncEvents
from hpcjobs.client._async.files import AsyncFiles
from hpcjobs.client._async.orders import AsyncOrders
from hpcjobs.client._async.sending import AsyncSending
from hpcjobs.client._async.service import AsyncService
from hpcjobs.client._async.webhooks import AsyncWebhooks


class AsyncClient(AsyncBilling, AsyncCredentials, AsyncEvents, AsyncOrders, AsyncSending, AsyncService):
    """Calls the service: see docs/CLIENT.md.

    Example:
        async with AsyncClient("https://jobs.example.org", token) as client:
            job = await client.submit(script=Path("train.sh").read_text(), resources={"nodes": 2})
            job = await client.wait(job)
            print(job.fate, await client.output(job))
    """

    def files(self, cluster: str | None = None) -> AsyncFiles:
        """Files of a cluster; None: of the default one."""
        return AsyncFiles(self, cluster)

    @property
    def webhooks(self) -> AsyncWebhooks:
        """Addresses that are told of events."""
        return AsyncWebhooks(self)
