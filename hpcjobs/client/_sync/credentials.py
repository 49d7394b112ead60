# Made by scripts/unasync of hpcjobs/client/_async/credentials.py; change that and run it. Alike on purpose.
"""Who one is to registries of images."""

from __future__ import annotations

import msgspec

from hpcjobs.client._sync.caller import Caller
from hpcjobs.client.wire import segment
from hpcjobs.model.credential import RegistryCredential, RegistryCredentialRequest


class Credentials(Caller):
    """One's credentials for registries."""

    def credentials(self) -> list[RegistryCredential]:
        """One's own, without their secrets."""
        return self.ask(list[RegistryCredential], "GET", "/v1/credentials")

    def keep_credential(self, name: str, wanted: RegistryCredentialRequest) -> RegistryCredential:
        """Keep one, in the place of the one that had its name; jobs name it as ``credential`` of their container.

        Args:
            name: What jobs call it.
            wanted: What it is.

        Raises:
            Refused: It cannot be so; each fault is told.
            Conflict: One has as many as one may.
        """
        path = f"/v1/credentials/{segment(name)}"
        return self.ask(RegistryCredential, "PUT", path, body=msgspec.json.encode(wanted))

    def remove_credential(self, name: str) -> None:
        """Forget one."""
        self.request("DELETE", f"/v1/credentials/{segment(name)}", repeatable=False)
