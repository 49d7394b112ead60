"""Server-sent events as bytes, both ways (WHATWG HTML, 9.2)."""

from __future__ import annotations

from typing import Final

import msgspec

MEDIA_TYPE: Final = "text/event-stream"


class Message(msgspec.Struct, frozen=True):
    """One message.

    Attributes:
        event: Its type; ``""`` is ``message``.
        data: Its text; without any, it only says where the reader stands.
        id: What the reader goes on with after a break; None: as before.
    """

    event: str = ""
    data: str = ""
    id: str | None = None


def frame(message: Message, *, comment: str | None = None, retry_ms: int | None = None) -> bytes:
    """A message as it is sent.

    Args:
        message: Event and id have no line ends.
        comment: Said to nobody: it keeps the connection open.
        retry_ms: After how many milliseconds the reader should come back.
    """
    lines = []
    if comment is not None:
        lines.append(f": {comment}")
    if retry_ms is not None:
        lines.append(f"retry: {retry_ms}")
    if message.id is not None:
        lines.append(f"id: {message.id}")
    if message.event:
        lines.append(f"event: {message.event}")
    if message.data:
        lines += [f"data: {line}" for line in message.data.split("\n")]
    return ("\n".join(lines) + "\n\n").encode()


class Parser:
    """Makes messages of bytes as they come, cut anywhere."""

    def __init__(self) -> None:
        self._rest = b""
        self._event = ""
        self._data: list[str] = []
        self._id: str | None = None

    def feed(self, data: bytes) -> list[Message]:
        """The messages that end in these bytes; one without data is told only where it says a new place."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [message for line in lines if (message := self._line(line.rstrip(b"\r").decode("utf-8", "replace")))]

    def _line(self, line: str) -> Message | None:
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "data":
                self._data.append(value)
            elif name == "event":
                self._event = value
            elif name == "id" and "\0" not in value:
                self._id = value
            return None
        told = Message(self._event, "\n".join(self._data), self._id)
        self._event, self._data, self._id = "", [], None
        return told if told.data or told.id is not None else None
