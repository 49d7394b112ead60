"""What the pyslurm agent does, in the user's own process. Nothing else imports pyslurm.

The module holds the interpreter's lock for as long as the controller takes and may end the process when slurm.conf
is missing, which is why it lives in a process that can be lost.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping
from typing import Any

import msgspec

from hpcjobs.agents.serve import Operation
from hpcjobs.slurm import sacct_agent
from hpcjobs.slurm.base import Launch, split_comment
from hpcjobs.slurm.pyslurm_acting import act, act_nodes, reserve
from hpcjobs.slurm.pyslurm_cluster import scheduling
from hpcjobs.slurm.pyslurm_description import description
from hpcjobs.slurm.pyslurm_listing import changes
from hpcjobs.slurm.pyslurm_session import Tolerant, slurm_errors


def find(attempt: str) -> int | None:
    """The number of the job that carries the mark, if the controller lists it to this user."""
    with slurm_errors() as pyslurm:
        for number, job in pyslurm.Jobs.load().items():
            # A mark can be read in another's comment and copied; it counts in one's own jobs only.
            if job.user_id == os.getuid() and split_comment(Tolerant(job).comment)[1] == attempt:
                return int(number)
    return None


def submit(launch: dict[str, Any]) -> int:
    """Submit as whoever this process is. Nothing was sent where this raises anything but SlurmFailure."""
    wanted = msgspec.convert(launch, Launch)
    spec = wanted.spec
    with slurm_errors() as pyslurm, contextlib.ExitStack() as stack:
        script = spec.script
        if spec.args:
            # pyslurm passes arguments on only for a script that it reads from a file.
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="hpcjobs-"))
            script = f"{folder}/{(spec.script_name or 'script').replace('/', '_')}"
            with open(script, "w", newline="") as file:
                file.write(spec.script)
        asked = pyslurm.JobSubmitDescription(script=script, script_args=list(spec.args) or None, **description(wanted))
        return int(asked.submit())


OPERATIONS: Mapping[str, Operation] = {
    "changes": changes,
    "scheduling": scheduling,
    "find": find,
    "submit": submit,
    "act": act,
    "act_nodes": act_nodes,
    "reserve": reserve,
    "history": sacct_agent.ask,
    "runs": sacct_agent.runs,
}
