"""The file by which a runtime on a node knows who asks a registry, in the form of Docker's config.json. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

from hpcjobs.images.question import Credential
from hpcjobs.model.image import HUB

FOLDER: Final = ".hpcjobs/credentials"
"""Below the user's home: a file for each credential that jobs of theirs have asked for."""

HUB_KEY: Final = "https://index.docker.io/v1/"
"""What Docker's clients, and Apptainer, look for docker.io under
(https://github.com/apptainer/apptainer/blob/v1.4.5/internal/pkg/util/ociauth/ociauth.go)."""


class AuthFile(msgspec.Struct, frozen=True):
    """A file with one credential, for one registry.

    Attributes:
        path: Absolute, on the cluster.
        host: The registry.
        credential: Who asks it. No repr shows its secret.
    """

    path: str
    host: str
    credential: Credential

    @property
    def data(self) -> bytes:
        """What is in it."""
        key = HUB_KEY if self.host == HUB else self.host
        _, _, said = self.credential.basic.partition(" ")
        return msgspec.json.encode({"auths": {key: {"auth": said}}})


def path_of(home: str, name: str) -> str:
    """Where the file of a credential is.

    Args:
        home: The user's, on the cluster.
        name: Of the credential.
    """
    return f"{home.rstrip('/')}/{FOLDER}/{name}.json"
