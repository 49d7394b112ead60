"""What requests and answers look like: the examples of the OpenAPI document, by the struct that they are of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

EXAMPLES: Final[Mapping[type[msgspec.Struct], Sequence[msgspec.Struct]]] = {}
