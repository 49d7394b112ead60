"""``hpcjobs sample``: what the devices of this node do, for people once, for the service again and again."""

from __future__ import annotations

import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from hpcjobs.cli.common import cluster_option, config, json_option, print_json

if TYPE_CHECKING:
    from hpcjobs.devices.sampling import Sampling

FOLDER: Final = Path("/var/lib/hpcjobs/samples")


@click.command()
@click.option(
    "--once", is_flag=True, help="Show what the devices do now, and whose they are; tell the service nothing."
)
@click.option("--every", type=click.FloatRange(1, 150), default=10.0, show_default=True, help="Seconds between looks.")
@click.option("--for", "for_s", type=click.FloatRange(min=1), metavar="SECONDS", help="End after so long.")
@click.option("--node", help="This node's name in Slurm.  [default: the host's, without its domain]")
@click.option("--family", "names", multiple=True, help="Families of devices to look for.  [default: all]")
@click.option("--families", "site", type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Folder of a site's own families.")  # fmt: skip
@click.option("--keep", type=click.Path(path_type=Path, file_okay=False), default=FOLDER, show_default=True,
    help="Where samples are kept until the service has them.")  # fmt: skip
@cluster_option
@json_option
def sample(
    once: bool,
    every: float,
    for_s: float | None,
    node: str | None,
    names: tuple[str, ...],
    site: Path | None,
    keep: Path,
    cluster: str | None,
    as_json: bool,
) -> None:
    """Tell the service every five minutes what the devices of this node did, and for which jobs.

    Runs on each node as root, with a token that "hpcjobs token USER --scope samples:write" made of an operator. What
    cannot be sent is kept for a week; killed and started anew, it goes on where it was.
    """
    from hpcjobs.cli.sampler.loop import NoDevicesError, way
    from hpcjobs.devices.family import families
    from hpcjobs.errors import SettingsError

    try:
        known = families(site)
        if unknown := sorted({*names} - {*known}):
            raise click.BadParameter(f"there is no {', '.join(unknown)}; there are {', '.join(known)}")
        found = way([known[name] for name in names or known])
        if once:
            _show(found, as_json)
        else:
            _run(found, keep, node or socket.gethostname().partition(".")[0], every, for_s, cluster)
    except (NoDevicesError, SettingsError, OSError, ValueError) as error:
        click.echo(f"hpcjobs: error: {error}", err=True)
        sys.exit(1)


def _run(found: Sampling, keep: Path, node: str, every_s: float, for_s: float | None, cluster: str | None) -> None:
    from hpcjobs.cli.sampler.keeping import Kept
    from hpcjobs.cli.sampler.loop import Sampler
    from hpcjobs.client import Client
    from hpcjobs.model.sample import NodeSamples

    said = config()
    cluster = cluster or said.cluster
    if not cluster:
        raise ValueError("which cluster is this node of? Say --cluster")
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with Client(said.url, said.token, retry_for_s=0) as client:

        def send(told: NodeSamples) -> None:
            client.send_samples(cluster, node, told)

        sampler = Sampler(
            found, Kept(keep), node, every_s, send, lambda words: click.echo(f"hpcjobs: {words}", err=True)
        )
        click.echo(f"hpcjobs: {node} of {cluster} by {found.argv[0]}, every {every_s:g} s", err=True)
        sampler.run(ended, time.time() + for_s if for_s else None)


def _show(found: Sampling, as_json: bool) -> None:
    from hpcjobs.cli.sampler import whose
    from hpcjobs.cli.sampler.collecting import device_of
    from hpcjobs.cli.sampler.loop import look
    from hpcjobs.cli.show import table
    from hpcjobs.reports.shown import NOTHING, share

    readings = look(found)
    jobs = whose.jobs_by_device(whose.processes())
    if as_json:
        print_json(readings)
        return
    rows = [
        (
            NOTHING if one.index is None else str(one.index),
            device_of(one) or NOTHING,
            " ".join(filter(None, (one.model, one.profile))) or NOTHING,
            NOTHING if one.busy is None else share(one.busy),
            NOTHING if one.mem_used_bytes is None else f"{one.mem_used_bytes / 2**30:.1f} GiB",
            NOTHING if one.power_w is None else f"{one.power_w:.0f} W",
            ", ".join(str(job) for job in jobs.get(-1 if one.index is None else one.index, ())) or NOTHING,
        )
        for one in readings
    ]
    table(("INDEX", "DEVICE", "MODEL", "BUSY", "MEMORY", "POWER", "JOBS"), rows, 3)
