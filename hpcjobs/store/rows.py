"""Between rows and the model: what of a job is a column, and what travels in its JSON text."""

from __future__ import annotations

from typing import Final

import msgspec

from hpcjobs.model.job import Fate, Job, JobFacts, JobRecord, State
from hpcjobs.store.tables import JobRow

FACT_NAMES: Final = JobFacts.__struct_fields__


def facts_of(record: JobFacts) -> JobFacts:
    """The part of a record that is stored."""
    return JobFacts(**{name: getattr(record, name) for name in FACT_NAMES})


def job_of(row: JobRow) -> Job:
    """A row as the model's Job."""
    facts = msgspec.json.decode(row.facts, type=JobFacts)
    return Job(
        id=row.id,
        cluster=row.cluster,
        slurm_job_id=row.slurm_job_id,
        detail=row.detail,
        created_at=row.created_at,
        observed_at=row.observed_at,
        **{name: getattr(facts, name) for name in FACT_NAMES}
        | {"state": State(row.state), "fate": Fate(row.fate) if row.fate else None},
    )


def set_facts(row: JobRow, facts: JobFacts) -> None:
    """Write what Slurm says, and the columns that are filtered by."""
    row.user, row.account, row.partition, row.name = facts.user, facts.account, facts.partition, facts.name
    row.facts = msgspec.json.encode(facts).decode()


def set_record(row: JobRow, record: JobRecord, observed_at: float) -> None:
    """Write what a listing says."""
    row.slurm_job_id = record.slurm_job_id
    row.state, row.fate = record.state.value, record.fate.value if record.fate else None
    row.detail, row.observed_at = "", observed_at
    set_facts(row, facts_of(record))
