"""JSON written with little: the module that everybody uses loads slowly, for what it can read."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

try:
    from _json import encode_basestring_ascii as quoted
except ImportError:  # another Python
    from json import dumps as quoted


def json_text(value: Any) -> str:  # noqa: ANN401
    """A value as JSON: texts, numbers, None, and lists and dictionaries of them."""
    if isinstance(value, str):
        return quoted(value)
    if value is None:
        return "null"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, dict):
        return "{" + ",".join([f"{quoted(name)}:{json_text(one)}" for name, one in value.items()]) + "}"
    return "[" + ",".join([json_text(one) for one in value]) + "]"
