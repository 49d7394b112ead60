"""Images that a cluster has in its store: files that are named after digests, in folders that the settings name.

A file ``HEX.sif`` is whole where ``HEX.json`` stands beside it: what brought it writes that last
(``hpcjobs.imagejob.fetch``). Nothing else says what there is; folders are looked into as the user.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from typing import Final

import msgspec

from hpcjobs.errors import FileMissing, NotAllowed, WrongKind
from hpcjobs.files import FileSystem
from hpcjobs.model.image import Image, parse_image

MOST: Final = 1000
"""As many images of a folder as are looked at."""
MAX_LABEL: Final = 65_536
"""Bytes of a label."""


class Label(msgspec.Struct, frozen=True):
    """What stands beside an image of the store.

    Attributes:
        image: As it was fetched: name, tag and digest.
        digest: Of its manifest.
        format: ``sif`` or ``sqsh``.
        bytes: Of the file.
        made_at: Unix seconds.
        by: The user whose job fetched it.
    """

    image: str
    digest: str
    format: str
    bytes: int
    made_at: float
    by: str = ""


class Shelf:
    """The store of one cluster, as one user sees it.

    Args:
        files: The user's.
        folders: Where images are, the first that has one counts.
    """

    def __init__(self, files: FileSystem, folders: Sequence[str]) -> None:
        self.files = files
        self.folders = tuple(folders)

    async def find(self, digest: str, form: str) -> str:
        """Path of an image; ``""``: it is not there.

        Args:
            digest: Of its manifest.
            form: ``sif`` or ``sqsh``.

        Raises:
            Unavailable: The cluster's files do not answer.
        """
        for folder in self.folders:
            path = f"{folder}/{digest.removeprefix('sha256:')}.{form}"
            label = await self._label(path)
            if label is not None and label.digest == digest:
                return path
        return ""

    async def latest(self, image: Image, form: str) -> str:
        """Digest of the newest image that came by the same name and tag; ``""``: there is none.

        Args:
            image: Of a registry, with a tag.
            form: ``sif`` or ``sqsh``.
        """
        found = [label async for label in self._labels(form) if _same(label, image)]
        return max(found, key=lambda label: label.made_at).digest if found else ""

    async def _labels(self, form: str) -> AsyncIterator[Label]:
        for folder in self.folders:
            try:
                listing = await self.files.entries(folder.encode(), b"", MOST)
            except (FileMissing, NotAllowed, WrongKind):
                continue
            for entry in listing.items:
                if re.fullmatch(rb"[0-9a-f]{64}\." + form.encode(), entry.name):
                    label = await self._label(f"{folder}/{entry.name.decode()}")
                    if label is not None:
                        yield label

    async def _label(self, path: str) -> Label | None:
        """What stands beside an image that is whole."""
        stem = path.rpartition(".")[0]
        try:
            label = msgspec.json.decode((await self.files.read(f"{stem}.json".encode(), 0, MAX_LABEL)).data, type=Label)
            size = (await self.files.status(path.encode())).size_bytes
        except (FileMissing, NotAllowed, WrongKind, msgspec.MsgspecError):
            return None
        return label if size == label.bytes and path.endswith(f".{label.format}") else None


def _same(label: Label, image: Image) -> bool:
    """Whether a label is of the same name and tag."""
    try:
        other = parse_image(label.image)
    except ValueError:
        return False
    return (other.kind, other.host, other.repository, other.tag) == (
        image.kind, image.host, image.repository, image.tag,
    )  # fmt: skip
