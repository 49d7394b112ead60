"""Numbers that cannot be meant are refused, all at once."""

from __future__ import annotations

import math

from hpcjobs.errors import Refusal, Refused


def checked(*, above: float | None = None, below: float | None = None, **numbers: float) -> None:
    """See whether numbers are finite, and not negative.

    Args:
        above: They have to be more than this; None: at least 0.
        below: They have to be less than this, and more than 0; None: they have no end.
        numbers: By their names.

    Raises:
        Refused: With one fault for each that is not.
    """
    least = 0.0 if below is not None and above is None else above
    faults = []
    for name, value in numbers.items():
        enough = value >= 0 if least is None else value > least
        if math.isfinite(value) and enough and (below is None or value < below):
            continue
        asked = "at least 0" if least is None else f"more than {least:g}"
        end = "" if below is None else f" and less than {below:g}"
        faults.append(Refusal(name, f"{name} is {value:g}, and has to be a number of {asked}{end}"))
    if faults:
        raise Refused(faults)
