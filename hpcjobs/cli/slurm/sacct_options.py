"""The options of sacct. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hpcjobs.sbatch.getopt import Grammar, Takes

OPTIONS: Final[Mapping[str, tuple[str, Takes, str]]] = {
    "accounts": ("A", "required", "Jobs of these accounts."),
    "allclusters": ("L", "none", "Jobs of every cluster of the service."),
    "allocations": ("X", "none", "Jobs only, no steps."),
    "allusers": ("a", "none", "Jobs of all users that one may see; else one's own."),
    "array": ("", "none", "A line for each task of an array that waits."),
    "associations": ("x", "required", "Jobs of these associations, by number."),
    "batch-script": ("B", "none", "Not through a service: see hpcjobs show."),
    "brief": ("b", "none", "Same as --format=jobid,state,exitcode."),
    "clusters": ("M", "required", "Of these clusters of the service, or all."),
    "completion": ("c", "none", "Not through a service."),
    "constraints": ("C", "required", "Jobs that asked for all of these features."),
    "delimiter": ("", "required", "What stands between fields with -p and -P; |."),
    "duplicates": ("D", "none", "Every run of a requeued job."),
    "endtime": ("E", "required", "Jobs before this time."),
    "env-vars": ("", "none", "Not through a service."),
    "expand-patterns": ("", "none", "Fill in the patterns of StdIn, StdOut and StdErr."),
    "federation": ("", "none", "Means nothing here."),
    "file": ("f", "required", "Not through a service."),
    "flags": ("F", "required", "Jobs with one of SchedSubmit, SchedMain, SchedBackfill, StartReceived."),
    "format": ("o", "required", "Which fields, as jobid,state%20; SACCT_FORMAT."),
    "gid": ("g", "required", "Jobs of these groups."),
    "help": ("h", "none", "This text."),
    "helpformat": ("e", "none", "The fields of --format."),
    "helpreason": ("", "none", "The words of --reason."),
    "helpstate": ("", "none", "The words of --state."),
    "jobs": ("j", "required", "These jobs and steps: 12,12.batch,12_3,12+0."),
    "json": ("", "optional", "As JSON, in the shape of Slurm's data_parser/v0.0.45."),
    "local": ("", "none", "Means nothing here."),
    "long": ("l", "none", "Many fields."),
    "name": ("", "required", "Jobs with these names."),
    "ncpus": ("I", "required", "Jobs on so many CPUs: 4 or 2-8."),
    "nnodes": ("i", "required", "Jobs on so many nodes: 4 or 2-8."),
    "noconvert": ("", "none", "Memory in Slurm's own units."),
    "nodelist": ("N", "required", "Jobs that ran on one of these nodes."),
    "noheader": ("n", "none", "No header."),
    "parsable": ("p", "none", "Fields with | behind each."),
    "parsable2": ("P", "none", "Fields with | between them."),
    "partition": ("r", "required", "Jobs in these partitions."),
    "qos": ("q", "required", "Jobs with these QOS."),
    "reason": ("R", "required", "Jobs that waited for one of these reasons last."),
    "starttime": ("S", "required", "Jobs after this time."),
    "state": ("s", "required", "Jobs in these states in that time."),
    "timelimit-max": ("K", "required", "The end of the range that -k begins."),
    "timelimit-min": ("k", "required", "Jobs with this time limit."),
    "truncate": ("T", "none", "Show no time before the start or after the end."),
    "units": ("", "required", "Memory in K, M, G, T or P."),
    "usage": ("", "none", "A short text."),
    "use-local-uid": ("", "none", "Means nothing here."),
    "user": ("u", "required", "Jobs of these users."),
    "verbose": ("v", "none", "Means nothing here."),
    "version": ("V", "none", "Print the version."),
    "wckeys": ("W", "required", "Jobs with these keys."),
    "whole-hetjob": ("", "optional", "All components of a heterogeneous job of -j (yes), or only those named (no)."),
    "yaml": ("", "optional", "Not through a service: see --json."),
}
"""By long name: letter, whether an argument follows, what it does."""

SACCT: Final = Grammar(
    {name: takes for name, (_, takes, _) in OPTIONS.items()},
    {letter: name for name, (letter, _, _) in OPTIONS.items() if letter},
    {"group": "gid", "uid": "user", "jobname": "name", "partitions": "partition"},
)

REFUSED: Final = {
    "batch-script": "--batch-script cannot be answered through the service: hpcjobs show has the script of its jobs",
    "completion": "--completion cannot be answered through the service: it asks Slurm's accounting only",
    "env-vars": "--env-vars cannot be answered through the service: accounting keeps secrets of the environment",
    "file": "--file cannot be answered through the service: it asks Slurm's accounting only",
    "yaml": "--yaml cannot be answered: --json can",
}
"""What sacct can do and a service cannot, and why."""

USAGE: Final = "Usage: sacct [options]\n\tUse --help for help\n"


def help_text() -> str:
    """The whole text."""
    lines = ["sacct [<OPTION>]", "    Valid <OPTION> values are:"]
    for name, (letter, takes, told) in OPTIONS.items():
        value = {"none": "", "optional": "[=value]", "required": "=value"}[takes]
        lines.append(f"  {f'-{letter},' if letter else '   '} --{name}{value}".ljust(34) + f" {told}")
    return "\n".join(lines) + "\n"
