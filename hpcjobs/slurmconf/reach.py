"""Options of commands that change Slurm's configuration: how a controller is reached, where its files are. Light."""

from __future__ import annotations

import functools
import os
import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

import click

if TYPE_CHECKING:
    from hpcjobs.slurmconf.controller import Place
    from hpcjobs.slurmconf.runner import Runner

Command = Callable[..., None]


class Reach(NamedTuple):
    """What was said of a controller.

    Attributes:
        host: Where it is, as ssh knows it, or ``""``.
        runner: Words before each command that reach it, or ``""``.
        conf_dir: Folder of slurm.conf there; ``""``: where Slurm looks.
        slurmctld: Program.
        scontrol: Program.
        start: Command that starts it when it has died, or ``""``.
        load_s: How long it may take to load its configuration.
    """

    host: str
    runner: str
    conf_dir: str
    slurmctld: str
    scontrol: str
    start: str
    load_s: float

    def machine(self) -> Runner:
        """How commands reach its machine.

        Raises:
            UsageError: Both ways are named.
        """
        from hpcjobs.slurmconf.runner import CommandRunner, local, over_ssh

        if self.host and self.runner:
            raise click.UsageError("say --ssh or --runner")
        if self.host:
            return over_ssh(self.host)
        return CommandRunner(words_of(self.runner, "--runner")) if self.runner else local()

    def place(self) -> Place:
        """Where its files and programs are; on this machine SLURM_CONF may say it."""
        from hpcjobs.slurmconf.controller import Place

        here = "" if self.host or self.runner else os.environ.get("SLURM_CONF", "")
        folder = self.conf_dir or os.path.dirname(here) or "/etc/slurm"
        return Place(folder, self.slurmctld, self.scontrol, start=tuple(words_of(self.start, "--start")))


def words_of(text: str, option: str) -> list[str]:
    """The words of a command, as a shell would see them.

    Raises:
        UsageError: A quote is open.
    """
    try:
        return shlex.split(text)
    except ValueError as error:
        raise click.UsageError(f"{option} {text!r}: {error}") from None


_OPTIONS: Final = (
    click.option("--ssh", "host", metavar="HOST", default="",
        help="The controller is there, as ssh knows it: root@ctl1."),
    click.option("--runner", metavar="WORDS", default="",
        help="Words before each command that reach the controller, as 'docker exec -i NAME'."),
    click.option("--conf-dir", metavar="DIR", default="",
        help="Folder of slurm.conf there.  [default: /etc/slurm; here that of $SLURM_CONF]"),
    click.option("--slurmctld", metavar="PATH", default="slurmctld", help="Program there, for the trial."),
    click.option("--scontrol", metavar="PATH", default="scontrol", help="Program there."),
    click.option("--start", metavar="COMMAND", default="",
        help="Starts a controller that has died there, as 'systemctl start slurmctld'."),
    click.option("--load-timeout", "load_s", type=click.FloatRange(min=1), default=60.0, metavar="SECONDS",
        help="How long slurmctld may take to load it.  [default: 60]"),
)  # fmt: skip


def reach_options(function: Command) -> Command:
    """Give a command what was said of the controller as ``reach``."""

    @functools.wraps(function)
    def called(*words: object, **given: object) -> None:
        said = {name: given.pop(name) for name in Reach._fields}
        function(*words, reach=Reach(**said), **given)  # type: ignore[arg-type]

    decorated: Command = called
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated
