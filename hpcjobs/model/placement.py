"""Where a job should run, in Slurm's own words: what a placement plugin answers with."""

from __future__ import annotations

import msgspec


class Placement(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a placement adds to a job's request. What is None is left as it was asked for.

    Attributes:
        nodes: The nodes to run on; same as --nodelist of sbatch.
        avoid: The nodes not to run on; same as --exclude.
        switches: Most leaf switches; same as the count of --switches.
        switches_wait_s: How long to wait for so few, in seconds.
        segment: Nodes that must be in one block; same as --segment.
        ranks: Names of nodes in the order of the ranks, one for each task: with them the job has
            ``--distribution=arbitrary`` and its host file in the environment.
        why: What speaks for it, a sentence for the person who asked.
    """

    nodes: tuple[str, ...] | None = None
    avoid: tuple[str, ...] | None = None
    switches: int | None = None
    switches_wait_s: int | None = None
    segment: int | None = None
    ranks: tuple[str, ...] | None = None
    why: str = ""
