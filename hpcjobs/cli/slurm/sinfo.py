"""``hpcjobs sinfo``: nodes and partitions, from the service, as sinfo prints them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from hpcjobs.cli.slurm.common import Call, Failed, chosen_clusters, run, say
from hpcjobs.cli.slurm.sinfo_options import Asked, read_call
from hpcjobs.cli.slurm.times import Moment

if TYPE_CHECKING:
    from hpcjobs.cli.slurm.sinfo_fields import Field, Look
    from hpcjobs.cli.slurm.sinfo_lines import Line
    from hpcjobs.model.cluster import Node
    from hpcjobs.model.partition import Partition

PROGRAM: Final = "sinfo"
FITTED: Final = 9
"""Least width of a column that is as wide as what stands in it."""

OF_NODES: Final = ("NodeList", "NodeHost")
OF_PARTITIONS: Final = ("Partition", "PartitionName")
UNCUT: Final = ("NodeList", "NodeHost", "NodeAddr")
"""Columns whose heading at the right is not cut."""


def call(words: Sequence[str], environment: Mapping[str, str] = os.environ) -> int:
    """Do what a call of sinfo says.

    Args:
        words: After the program's name.
        environment: The caller's variables.

    Returns:
        The exit code: sinfo's own.
    """
    return run(PROGRAM, _main, words, environment)


def _main(call: Call) -> int:
    asked = read_call(call.words, call.environment)
    if asked.early:
        from hpcjobs.cli.slurm.sinfo_help import text_of

        sys.stdout.write(text_of(asked.early))
        return 0
    for complaint in asked.complaints:
        if complaint.startswith("error:"):
            say(PROGRAM, complaint)
        else:
            sys.stderr.write(f"{complaint}\n")
    clusters = [name or call.clusters[0] for name in chosen_clusters(call, asked.clusters)]
    while True:
        if asked.dated:
            sys.stdout.write(time.strftime("%a %b %d %H:%M:%S %Y\n"))
        for at, cluster in enumerate(clusters):
            _show(call, asked, cluster, first=not at)
        if not asked.iterate_s:
            return 0
        sys.stdout.write("\n")
        sys.stdout.flush()
        time.sleep(asked.iterate_s)


def _show(call: Call, asked: Asked, cluster: str, *, first: bool) -> None:
    from hpcjobs.cli.slurm import service_read
    from hpcjobs.cli.slurm.sinfo_fields import NotTold

    partitions, nodes = service_read.partitions(call, cluster), service_read.nodes(call, cluster)
    lines = lines_of(asked, partitions, nodes, "" if asked.clusters is None else cluster)
    if asked.json:
        from hpcjobs.cli.slurm.node_json import sinfo_document

        sys.stdout.write(sinfo_document(call, cluster, lines, asked.matches))
        return
    try:
        text = "".join(f"{line}\n" for line in written(asked, lines, Moment.of(call.environment)))
    except NotTold as error:
        raise Failed(f"error: {error}") from error
    if asked.clusters is not None and asked.header:
        sys.stdout.write(("" if first else "\n") + f"CLUSTER: {cluster}\n")
    sys.stdout.write(text)
    sys.stdout.flush()
    if not all(partition.flags_told for partition in partitions):
        say(PROGRAM, "note: which partition is the default or hidden is not told on this way to the cluster")


def lines_of(asked: Asked, partitions: Sequence[Partition], nodes: Sequence[Node], cluster: str) -> list[Line]:
    """The lines that a call asks for, in their order. Pure.

    Args:
        asked: The call.
        partitions: All of the cluster, in Slurm's order.
        nodes: All of the cluster.
        cluster: Its name, where the call names it.
    """
    from hpcjobs.cli.slurm.sinfo_lines import Entry, Grouping
    from hpcjobs.cli.slurm.sinfo_sort import sort_lines
    from hpcjobs.sbatch.hostlists import natural

    shown = [partition for partition in partitions if asked.all or not partition.hidden]
    if asked.partitions is not None:
        shown = [partition for partition in shown if partition.name in asked.partitions]
    entries = [Entry(node) for node in sorted(nodes, key=lambda node: natural(node.name))]
    grouping = Grouping(
        asked.matches,
        exact=asked.exact,
        each_node=asked.by_node,
        any_partition=asked.reasons,
        cluster=cluster,
    )
    lines = grouping.lines(shown, [entry for entry in entries if _wanted(asked, entry.node, entry.bits)])
    sort_lines(lines, asked.sort, asked.matches)
    return lines


def _wanted(asked: Asked, node: Node, bits: int) -> bool:
    from hpcjobs.cli.slurm.node_states import FLAGS

    silent = bool(bits & FLAGS["NOT_RESPONDING"])
    if (asked.nodes is not None and node.name not in asked.nodes) or (asked.dead and not silent):
        return False
    if asked.responding and silent:
        return False
    return asked.states is None or asked.states.fit(bits, node.cpus_alloc)


def written(asked: Asked, lines: Sequence[Line], moment: Moment) -> list[str]:
    """The text of the lines, headings above. Pure.

    Raises:
        NotTold: Something is asked for that is not known of this cluster.
    """
    from hpcjobs.cli.slurm.sinfo_fields import Look, node_list, partition_text

    look = Look(moment, asked.in_full)
    widths: dict[str, int] = {}
    if asked.fits_nodes:
        widths |= dict.fromkeys(OF_NODES, max([FITTED, *(len(node_list(line)) for line in lines)]))
    if asked.fits_partitions:
        widths |= dict.fromkeys(OF_PARTITIONS, max([FITTED, *(len(partition_text(line, 0)) for line in lines)]))
    heading, rows = asked.layout.prefix, [asked.layout.prefix] * len(lines)
    for said, field in asked.layout.parts:
        if field is None:
            heading += said.suffix
            rows = [row + said.suffix for row in rows]
            continue
        column = said._replace(width=widths.get(field.name, said.width))
        uncut = column.right and field.name in UNCUT and len(field.heading) > column.width
        heading += field.heading + column.suffix if uncut else column.cell(field.heading)
        rows = [
            row + column.cell(_text(field, line, column.width, look)) for row, line in zip(rows, lines, strict=True)
        ]
    return [heading, *rows] if asked.header else rows


def _text(field: Field, line: Line, width: int, look: Look) -> str:
    from hpcjobs.cli.slurm.sinfo_fields import partition_text

    return partition_text(line, width) if field.name == "Partition" else field.text(line, look)
