"""What a job tells the policies. Slurm knows nothing of it, and a policy that is not in use does not heed it."""

from __future__ import annotations

import msgspec


class Hints(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a job tells the policies.

    Attributes:
        gang: Name of the gang that it is of: jobs of one user that start together or not at all. ``""``: of none.
        gang_size: How many jobs the gang has; 0: it is of none.
        nodes_min: Fewest nodes that it can run with, for a job that can run with more or fewer; 0: it cannot.
        nodes_max: Most nodes that it can make use of; 0: as many as it asks for.
        datasets: Names of the data sets that it reads.
        preemptible: Whether it may be requeued for others' sake, because it goes on from a checkpoint.
        pinned: Whether it must not be moved to make room, though it is preemptible.
        urgent: Whether it is to start before all others that are not.
        recover: Whether it is started again where it ended badly and that can help; it goes on from a checkpoint.
            It may then be requeued, also where jobs that do not say so may not (JobRequeue).
        checkpoints: Absolute path of its checkpoint folder on the cluster, where ``hpcjobs run`` tells how far it is;
            ``%j``, ``%A`` and ``%a`` stand for numbers of the job, its array and its task. ``""``: it has none.
        hang_s: It has hung when it does nothing for so many seconds; 0: that is judged by its own pace.
    """

    gang: str = ""
    gang_size: int = 0
    nodes_min: int = 0
    nodes_max: int = 0
    datasets: tuple[str, ...] = ()
    preemptible: bool = False
    pinned: bool = False
    urgent: bool = False
    recover: bool = False
    checkpoints: str = ""
    hang_s: float = 0.0


NO_HINTS = Hints()
"""Those of a job that says nothing."""
