"""What a placement makes of a job: its request in Slurm's words, and the file that gives srun the order of ranks."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from hpcjobs.files import FileSystem
from hpcjobs.keeping import keep
from hpcjobs.model.placement import Placement
from hpcjobs.model.spec import JobSpec
from hpcjobs.sbatch.hostlists import fold_hostlist

FOLDER: Final = b".hpcjobs/hosts"
"""Below the user's home: files with the order of ranks, each named after what is in it."""

HOST_FILE: Final = "SLURM_HOSTFILE"
DISTRIBUTION: Final = "SLURM_DISTRIBUTION"
"""Variables that srun reads in the job (srun(1), --distribution=arbitrary)."""


def with_placement(spec: JobSpec, placement: Placement, host_file: str | None) -> JobSpec:
    """A job as a placement has it. What it asks for itself stays as it is, but for nodes to be avoided: more are.

    Args:
        spec: As admitted.
        placement: Where it should run.
        host_file: Where the order of ranks stands; None: there is no such file.
    """
    asked = spec.resources
    given: dict[str, object] = {}
    if placement.nodes is not None and asked.nodelist is None:
        given["nodelist"] = fold_hostlist(placement.nodes)
        if asked.nodes is None and asked.node_counts is None:
            given["nodes"] = len(placement.nodes)
    if placement.avoid:
        given["exclude"] = ",".join(filter(None, (asked.exclude, fold_hostlist(placement.avoid))))
    if placement.switches is not None and asked.switches is None:
        given |= {"switches": placement.switches, "switches_wait_s": placement.switches_wait_s}
    if placement.segment is not None and asked.segment is None:
        given["segment"] = placement.segment
    environment = dict(spec.environment)
    if placement.ranks:
        environment["HPCJOBS_RANK_NODES"] = ",".join(dict.fromkeys(placement.ranks))
        if host_file is not None:
            environment |= {HOST_FILE: host_file, DISTRIBUTION: "arbitrary"}
    resources = msgspec.structs.replace(asked, **given)
    return msgspec.structs.replace(spec, resources=resources, environment=environment)


def host_file_of(placement: Placement) -> bytes:
    """A node a line, once for each of its tasks, in the order of ranks: as SLURM_HOSTFILE has it."""
    return "".join(f"{name}\n" for name in placement.ranks or ()).encode()


async def keep_host_file(files: FileSystem, placement: Placement) -> str:
    """Write the order of ranks below the user's home, once for one order.

    Returns:
        Its path.

    Raises:
        HpcjobsError: It cannot be written.
    """
    data = host_file_of(placement)
    name = hashlib.sha256(data).hexdigest()
    path = b"/".join((files.home.rstrip(b"/"), FOLDER, name[:24].encode()))
    await keep(files, path, data)
    return path.decode()
