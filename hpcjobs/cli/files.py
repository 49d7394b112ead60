"""``hpcjobs files``: look at, fetch and send files, as yourself."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hpcjobs.cli.common import cluster_option, json_option, print_json, service

if TYPE_CHECKING:
    from hpcjobs.client import Files

SHOW_EVERY = 16 * 1024 * 1024
"""Bytes between two lines of progress."""


def _progress(what: str) -> Callable[[int, int], None]:
    """Tells a terminal how far a transfer is."""
    told = -SHOW_EVERY

    def tell(done: int, size: int) -> None:
        nonlocal told
        if sys.stderr.isatty() and (done - told >= SHOW_EVERY or done == size):
            told = done
            click.echo(f"\r{what}  {done / 2**20:.0f} of {size / 2**20:.0f} MiB", err=True, nl=done == size)

    return tell


@contextmanager
def _files(cluster: str | None) -> Iterator[Files]:
    from hpcjobs.client import Changed

    with service() as client:
        try:
            yield client.files(cluster)
        except (OSError, Changed) as error:
            click.echo(f"hpcjobs: error: {error}", err=True)
            sys.exit(1)


@click.group()
def files() -> None:
    """Files on a cluster: ls, get, put, rm, mkdir. Paths there are absolute."""


@files.command()
@click.argument("path", required=False)
@cluster_option
@json_option
def ls(path: str | None, cluster: str | None, as_json: bool) -> None:
    """List PATH; your own folder where it is left out."""
    from hpcjobs.cli import show as view

    with _files(cluster) as there:
        found = list(there.ls(os.fsencode(path) if path else None))
        print_json(found) if as_json else view.files(found)


@files.command()
@click.argument("path")
@click.argument("to", required=False, type=click.Path(path_type=Path))
@cluster_option
@click.option("--no-check", is_flag=True, help="Do not compare checksums.")
def get(path: str, to: Path | None, cluster: str | None, no_check: bool) -> None:
    """Copy PATH from the cluster to TO, a file or folder here. Broken off, the same command goes on."""
    to = to or Path()
    target = to / Path(path).name if to.is_dir() else to
    with _files(cluster) as there:
        there.download(os.fsencode(path), target, check=not no_check, progress=_progress(str(target)))


@files.command()
@click.argument("local", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("path")
@cluster_option
@click.option("--force", "-f", is_flag=True, help="Replace a file that is there.")
def put(local: Path, path: str, cluster: str | None, force: bool) -> None:
    """Copy LOCAL to PATH on the cluster, or into it with a slash at its end. Broken off, the same command goes on."""
    target = os.fsencode(path) + (os.fsencode(local.name) if path.endswith("/") else b"")
    with _files(cluster) as there:
        there.upload(local, target, overwrite=force, progress=_progress(path))


@files.command()
@click.argument("paths", nargs=-1, required=True)
@cluster_option
def rm(paths: tuple[str, ...], cluster: str | None) -> None:
    """Remove files, links and empty folders."""
    with _files(cluster) as there:
        for path in paths:
            there.remove(os.fsencode(path))


@files.command()
@click.argument("path")
@cluster_option
@click.option("--parents", "-p", is_flag=True, help="Make those above it too; it may be there already.")
def mkdir(path: str, cluster: str | None, parents: bool) -> None:
    """Make a folder."""
    with _files(cluster) as there:
        there.mkdir(os.fsencode(path), parents=parents)
