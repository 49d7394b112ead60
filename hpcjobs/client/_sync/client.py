# Made by scripts/unasync of hpcjobs/client/_async/client.py; change that and run it. Alike on purpose.
"""The whole client."""

from __future__ import annotations

from hpcjobs.client._sync.billing import Billing
from hpcjobs.client._sync.credentials import Credentials
from hpcjobs.client._sync.events import Events
from hpcjobs.client._sync.files import Files
from hpcjobs.client._sync.orders import Orders
from hpcjobs.client._sync.sending import Sending
from hpcjobs.client._sync.service import Service
from hpcjobs.client._sync.webhooks import Webhooks


class Client(Billing, Credentials, Events, Orders, Sending, Service):
    """Calls the service: see docs/CLIENT.md.

    Example:
        with Client("https://jobs.example.org", token) as client:
            job = client.submit(script=Path("train.sh").read_text(), resources={"nodes": 2})
            job = client.wait(job)
            print(job.fate, client.output(job))
    """

    def files(self, cluster: str | None = None) -> Files:
        """Files of a cluster; None: of the default one."""
        return Files(self, cluster)

    @property
    def webhooks(self) -> Webhooks:
        """Addresses that are told of events."""
        return Webhooks(self)
