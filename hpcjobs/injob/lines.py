"""What programs tell the agent, one line each. Pure.

heartbeat
step 1200
step 1200 loss 2.31
loss 2.31
checkpoint /where/step-1200 step 1200
checkpoint /where/step-1200 step 1200 took 41.5
"""

from __future__ import annotations

import re
from typing import NamedTuple

LONGEST_BYTES = 4096

_NUMBER = r"[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+|nan|inf(?:inity)?)"
_LINE = re.compile(
    rf"(?:heartbeat|step (?P<step>\d{{1,18}})(?: loss (?P<step_loss>{_NUMBER}))?|loss (?P<loss>{_NUMBER})"
    rf"|checkpoint (?P<path>/.+?) step (?P<saved>\d{{1,18}})(?: took (?P<took>\d{{1,9}}(?:\.\d+)?))?)",
    re.IGNORECASE,
)


class Told(NamedTuple):
    """One line.

    Attributes:
        step: Of the program, None: not said.
        loss: As the program has it, also NaN; None: not said.
        path: Of a checkpoint that is to be published at ``step``, ``""``: none.
        save_s: How long the program wrote it, None: not said.
    """

    step: int | None = None
    loss: float | None = None
    path: str = ""
    save_s: float | None = None


def read(line: str) -> Told | None:
    """What a line says.

    Args:
        line: With or without its end.

    Returns:
        None: it is none of those above.
    """
    found = _LINE.fullmatch(line.strip())
    if not found:
        return None
    step, loss = found["step"] or found["saved"], found["step_loss"] or found["loss"]
    return Told(
        int(step) if step else None,
        float(loss) if loss else None,
        found["path"] or "",
        float(found["took"]) if found["took"] else None,
    )


def written(told: Told) -> str:
    """The line that says it.

    Args:
        told: What.

    Raises:
        ValueError: Its path cannot stand in a line.
    """
    if told.path:
        took = "" if told.save_s is None else f" took {told.save_s:.3f}"
        line = f"checkpoint {told.path} step {told.step}{took}"
        if read(line) is None:
            raise ValueError(f"{told.path!r} is no absolute path of one line")
        return line
    words = [] if told.step is None else ["step", str(told.step)]
    words += [] if told.loss is None else ["loss", repr(float(told.loss))]
    return " ".join(words) or "heartbeat"
