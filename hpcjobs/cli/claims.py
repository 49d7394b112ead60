"""What a token says of itself. It is not checked here: only the service can, and it does."""

from __future__ import annotations

import base64
import json
from typing import Any


def claims(token: str) -> dict[str, Any]:
    """The claims of a JWT; empty where it is none."""
    parts = token.strip().split(".")
    if len(parts) != 3:
        return {}
    try:
        found = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def speaks_for(token: str) -> str:
    """Whom a token speaks for and who says so, as ``alice of hpcjobs``; ``""`` where it does not show."""
    said = claims(token)
    return f"{said['sub']} of {said.get('iss', '-')}" if "sub" in said else ""
