"""What becomes of a submission, as the program hears of it."""

from __future__ import annotations

from typing import NamedTuple


class NotDone(Exception):
    """The service refuses, or stays away.

    Attributes:
        details: What is against it, fault by fault.
        kept: What survives in spite of it, or ``""``.
    """

    def __init__(self, details: list[str], kept: str = "") -> None:
        """With the service's words."""
        super().__init__("; ".join(details))
        self.details = details
        self.kept = kept


class Sent(NamedTuple):
    """A job that the service has.

    Attributes:
        job_id: Our id.
        slurm_job_id: Slurm's number; None: Slurm has not answered yet.
        cluster: Where.
        detail: Why there is no number yet.
    """

    job_id: str
    slurm_job_id: int | None
    cluster: str
    detail: str
