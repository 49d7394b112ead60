"""``hpcjobs``: what a researcher types. Heavy imports wait until a command needs them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from hpcjobs import __version__
from hpcjobs.cli import operate, orders, stand_ins
from hpcjobs.cli.advise import advise
from hpcjobs.cli.alert import alert
from hpcjobs.cli.brought import Brought
from hpcjobs.cli.completion import values
from hpcjobs.cli.completion.script import completion
from hpcjobs.cli.config import config
from hpcjobs.cli.credential import credential
from hpcjobs.cli.events import events
from hpcjobs.cli.files import files
from hpcjobs.cli.gang import gang
from hpcjobs.cli.history import history
from hpcjobs.cli.invoice import invoice
from hpcjobs.cli.lemons import lemons
from hpcjobs.cli.listing import gpus, jobs, nodes, partitions, show
from hpcjobs.cli.login import login, logout, whoami
from hpcjobs.cli.node import node
from hpcjobs.cli.output import logs
from hpcjobs.cli.place import place
from hpcjobs.cli.plugins import plugins
from hpcjobs.cli.policies import policies
from hpcjobs.cli.price import price
from hpcjobs.cli.quota import quota
from hpcjobs.cli.report import report
from hpcjobs.cli.retry import retry
from hpcjobs.cli.sampler.commands import sample
from hpcjobs.cli.simulate.command import simulate
from hpcjobs.cli.spool.commands import spool
from hpcjobs.cli.submit import submit
from hpcjobs.cli.top.command import top
from hpcjobs.cli.tune import tune
from hpcjobs.cli.usage import usage


@click.group(cls=Brought, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="hpcjobs")
@click.option("--profile", metavar="NAME", help="Profile of the configuration file; as HPCJOBS_PROFILE.",
    shell_complete=values.profiles)  # fmt: skip
def main(profile: str | None) -> None:
    """Jobs on Slurm clusters: submit, look, read, cancel.

    "hpcjobs login" keeps where the service is and who you are; HPCJOBS_URL and HPCJOBS_TOKEN win over it.
    """


@click.command()
@click.option("--config", type=click.Path(path_type=Path), help="Settings file.")
def serve(config: Path | None) -> None:
    """Run the service."""
    from hpcjobs.api.serve import serve as run

    run(config)


COMMANDS: Final[tuple[click.Command, ...]] = (
    *(login, logout, whoami, config, credential),
    *(submit, gang, jobs, show, history, advise, logs, retry, top, spool),
    *orders.COMMANDS,
    *(nodes, lemons, partitions, gpus, events, files, place, plugins, policies, tune, simulate, completion),
    *(usage, report, alert, quota, price, invoice),
    *stand_ins.commands(),
    *(node, sample, serve, operate.token, operate.audit),
)

for _command in COMMANDS:
    main.add_command(_command)


if __name__ == "__main__":
    main()
