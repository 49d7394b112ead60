"""To whom something may be sent: mail addresses and URLs, judged before anything is kept."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from hpcjobs.errors import Refusal, Refused
from hpcjobs.push.posting import Poster
from hpcjobs.settings import MAIL_ADDRESS, MailSettings

MOST: Final = 20
"""Recipients of one subscription."""
LONGEST: Final = 254
"""An address of mail (RFC 5321, 4.5.3.1)."""


def is_url(recipient: str) -> bool:
    """Whether it is POSTed to, rather than mailed."""
    return "://" in recipient


def check(to: Sequence[str], mail: MailSettings | None, poster: Poster) -> list[Refusal]:
    """What is wrong with recipients.

    Args:
        to: Mail addresses and URLs.
        mail: The settings; None: no mail goes out.
        poster: Who posts.
    """
    faults: list[Refusal] = []
    if not to:
        faults.append(Refusal("to", "Nobody is named: an address of mail or a URL."))
    if len(to) > MOST or len(set(to)) != len(to):
        faults.append(Refusal("to", f"At most {MOST}, each once."))
    for place, recipient in enumerate(to[:MOST]):
        field = f"to[{place}]"
        if is_url(recipient):
            try:
                poster.check(recipient, field)
            except Refused as error:
                faults += error.refusals
        elif why := _mail_fault(recipient, mail):
            faults.append(Refusal(field, why))
    return faults


def _mail_fault(address: str, mail: MailSettings | None) -> str:
    if len(address) > LONGEST or not re.fullmatch(MAIL_ADDRESS, address):
        return f"{address[:80]!r} is neither an address of mail nor a URL."
    if mail is None:
        return "This service sends no mail ([mail] in its settings)."
    domain = address.rpartition("@")[2].lower()
    allowed = [known.lower() for known in mail.domains]
    if allowed and not any(domain == known or domain.endswith(f".{known}") for known in allowed):
        return f"Mail goes to {', '.join(mail.domains)} only (domains of [mail] in the settings)."
    return ""
