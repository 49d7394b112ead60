"""What the options of one component say, option by option."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from hpcjobs.sbatch.getopt import Misspelt
from hpcjobs.sbatch.options import BY_LONG, EXITS_WITH_1, Fields, Option

UMASK: Final = "umask"
"""What ``#PBS -W umask=...`` says; no option of sbatch does."""

EMPTY_IS_NOTHING: Final = frozenset({
    "array", "batch", "chdir", "comment", "constraint", "dependency", "error", "exclude", "input", "mail-user",
    "nodelist", "output", "partition", "prefer", "reservation",
})  # fmt: skip
"""Options that an empty argument takes back: scripts say ``--partition=$PARTITION``."""


class Said(NamedTuple):
    """What options of one component say.

    Attributes:
        fields: Of the spec; a name with a dot is in ``resources``.
        client: Arguments of those that tell the program what to do, by name; True where there is none.
        site: Arguments of those of a site's SPANK plugins.
    """

    fields: Fields
    client: dict[str, str | Literal[True]]
    site: dict[str, str | Literal[True]]

    @classmethod
    def nothing(cls) -> Said:
        """Nothing yet."""
        return cls({}, {}, {})


def hear(said: Said, long: str, argument: str | None) -> None:
    """Add what one option says.

    Args:
        said: What was said before it; is changed.
        long: Full name of the option.
        argument: Its argument; None: without one.

    Raises:
        Misspelt: The argument is bad.
    """
    option = BY_LONG.get(long)
    if not isinstance(option, Option):
        (said.site if option is None else said.client)[long] = True if argument is None else argument
        return
    if argument == "" and long in EMPTY_IS_NOTHING:
        said.fields.update(dict.fromkeys(option.fields))
        return
    try:
        said.fields.update(option.read(argument))
    except Misspelt:
        raise
    except ValueError as error:
        heard = option.fault.format(long=long, argument=argument).split("\n")
        code = 1 if option.fault in EXITS_WITH_1 else 255
        raise Misspelt(str(error), *(f"error: {line}" for line in heard), exit_code=code) from error
