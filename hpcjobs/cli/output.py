"""``hpcjobs logs``: what jobs have written, and what they write."""

from __future__ import annotations

import contextlib
import re
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from hpcjobs.cli.common import cluster_option, config, given, service
from hpcjobs.cli.completion import values
from hpcjobs.cli.expand import each_task

if TYPE_CHECKING:
    from hpcjobs.client import Client

FIRST_BYTES: Final = 16 * 1024
"""How much of a file's end is read first for its last lines; twice as much where that is too little, and so on."""


def last_lines(client: Client, job_id: str, lines: int, query: dict[str, Any]) -> tuple[int, bytes]:
    """The last lines of an output, and where in it they end.

    Args:
        client: Whom to ask.
        job_id: Which job's.
        lines: How many.
        query: Which stream, and the cluster.

    Returns:
        The offset of what comes next, in bytes, and the lines.
    """
    from hpcjobs.client.wire import job_path

    size = FIRST_BYTES
    while True:
        response = client.request("GET", job_path(job_id, "/output"), {**query, "offset": -size})
        data, offset = response.content, int(response.headers.get("Output-Offset", 0))
        begins = [match.end() for match in re.finditer(rb"\n", data) if match.end() < len(data)]
        if offset == 0 or len(begins) >= lines:
            begin = begins[-lines] if len(begins) >= lines else 0
            return offset + len(data), data[begin:]
        size *= 4


def _written(client: Client, job_id: str, follow: bool, tail: dict[str, int], query: dict[str, Any]) -> Iterator[bytes]:
    """What a job has written, from where it is wanted, and with follow what it writes."""
    from hpcjobs.client import NotFound

    offset = -tail["bytes"] if "bytes" in tail else 0
    if "lines" in tail:
        try:
            offset, data = last_lines(client, job_id, tail["lines"], query)
        except NotFound as problem:
            if not follow or problem.code != "output-missing":
                raise
            offset, data = 0, b""
        yield data
        if not follow:
            return
    if follow:
        yield from client.follow(job_id, **given(offset=offset or None), **query)
    else:
        yield client.output(job_id, **given(offset=offset or None), **query)


def follow_to_end(client: Client, job_id: str, tail: dict[str, int] | None = None, **query: Any) -> None:  # noqa: ANN401
    """Print what a job writes; exit as it did."""
    for data in _written(client, job_id, True, tail or {}, query):
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    if code := _told_end(client, job_id, query):
        sys.exit(code)


def _told_end(client: Client, job_id: str, query: dict[str, Any]) -> int:
    """Say on stderr how a job ended if not well; the exit code for it."""
    job = client.job(job_id, **{name: value for name, value in query.items() if name == "cluster"})
    if job.fate == "COMPLETED":
        return 0
    click.echo(f"hpcjobs: job {job.slurm_name or job.id} ended {job.fate} (exit code {job.exit_code})", err=True)
    return job.exit_code or 1


class _Lines:
    """Prints the lines of several jobs as they come, each whole and behind its job's name."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def copy(self, name: str, pieces: Iterator[bytes]) -> None:
        rest = b""
        for piece in pieces:
            *whole, rest = (rest + piece).split(b"\n")
            self._write(name, whole)
        if rest:
            self._write(name, [rest])

    def _write(self, name: str, lines: Sequence[bytes]) -> None:
        with self._lock:
            sys.stdout.buffer.writelines(b"%b: %b\n" % (name.encode(), line) for line in lines)
            sys.stdout.buffer.flush()


def _follow_all(job_ids: Sequence[str], tail: dict[str, int], query: dict[str, Any]) -> int:
    """Follow several jobs at once until all have ended; the largest of their exit codes."""
    lines, codes, said = _Lines(), dict.fromkeys(job_ids, 1), config()

    def follow(job_id: str) -> None:
        with contextlib.suppress(SystemExit), service(said) as client:  # what is wrong was said
            lines.copy(job_id, _written(client, job_id, True, tail, query))
            codes[job_id] = _told_end(client, job_id, query)

    threads = [threading.Thread(target=follow, args=(job_id,), daemon=True) for job_id in job_ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return max(codes.values())


@click.command()
@click.argument("job_ids", metavar="JOB_ID...", nargs=-1, required=True, shell_complete=values.recent_jobs)
@cluster_option
@click.option("--follow", "-f", is_flag=True, help="Go on as it is written; end as the job ends, with its exit code.")
@click.option("--stderr", "-e", "stream", flag_value="stderr", default=None, help="The error file.")
@click.option("--tail", "-n", "lines", type=click.IntRange(min=1), help="Begin that many lines before the end.")
@click.option("--tail-bytes", "-c", "size", type=click.IntRange(min=1), help="Begin that many bytes before the end.")
def logs(job_ids: tuple[str, ...], follow: bool, lines: int | None, size: int | None, **query: Any) -> None:  # noqa: ANN401
    """Print jobs' output; also of 123_4 and 123_[1-5]. Of several, each line followed stands behind its job's name."""
    if lines and size:
        raise click.UsageError("--tail and --tail-bytes exclude each other")
    tail, wanted = given(lines=lines, bytes=size), given(**query)
    names = [name for job_id in job_ids for name in each_task(job_id)]
    if len(names) == 1:
        with service() as client:
            if follow:
                follow_to_end(client, names[0], tail, **wanted)
                return
            for data in _written(client, names[0], False, tail, wanted):
                sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        return
    if follow:
        sys.exit(_follow_all(names, tail, wanted))
    failed = False
    for number, name in enumerate(names):
        try:
            with service() as client:
                data = b"".join(_written(client, name, False, tail, wanted))
                sys.stdout.buffer.write((b"\n" if number else b"") + b"==> %b <==\n" % name.encode() + data)
                sys.stdout.buffer.flush()
        except SystemExit:
            failed = True  # said already
    sys.exit(failed)
