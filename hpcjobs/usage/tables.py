"""The tables of usage, in DuckDB's SQL. Times are Unix seconds, NULL: none; words are as Slurm has them."""

from __future__ import annotations

from typing import Final

VERSION: Final = 1
"""Of these tables; kept in ``meta``."""

TABLES: Final = """
CREATE TABLE IF NOT EXISTS meta (version INTEGER NOT NULL);

-- One line each run of a job (hpcjobs.model.usage.Run); no two have the same cluster, slurm_job_id and submit_time:
-- the writer deletes and inserts in one transaction (an index over them would be larger than the table).
CREATE TABLE IF NOT EXISTS runs (
    run BIGINT NOT NULL,             -- ours; joins the other tables
    cluster VARCHAR NOT NULL,
    slurm_job_id BIGINT NOT NULL,
    submit_time BIGINT NOT NULL,
    eligible_time BIGINT,
    start_time BIGINT,
    end_time BIGINT,                 -- NULL: it has not ended, and is used until clusters.read_until
    "user" VARCHAR NOT NULL,
    account VARCHAR NOT NULL,
    partition VARCHAR NOT NULL,
    qos VARCHAR NOT NULL,
    raw_state VARCHAR NOT NULL,
    suspended_s INTEGER NOT NULL,
    wall_s INTEGER,
    nodes INTEGER NOT NULL,
    cpus INTEGER NOT NULL,
    mem_bytes BIGINT NOT NULL,
    node_list VARCHAR NOT NULL,
    tres_alloc VARCHAR NOT NULL,
    tres_req VARCHAR NOT NULL,
    exclusive BOOLEAN,
    exit_code INTEGER NOT NULL,
    exit_signal INTEGER NOT NULL,
    restarts INTEGER NOT NULL,
    reason VARCHAR NOT NULL,
    cpu_used_s DOUBLE,
    mem_max_bytes BIGINT,
    energy_j BIGINT,
    array_job_id BIGINT,
    het_job_id BIGINT,
    reservation VARCHAR NOT NULL,
    wckey VARCHAR NOT NULL
);

-- GPUs of runs (hpcjobs.model.usage.GpuUse); none for a run without GPUs.
CREATE TABLE IF NOT EXISTS run_gpus (
    run BIGINT NOT NULL,
    kind VARCHAR NOT NULL,           -- '': not known
    sharing VARCHAR NOT NULL,        -- '', mig, shard, mps
    devices INTEGER NOT NULL,
    equivalent DOUBLE NOT NULL,
    held DOUBLE NOT NULL,
    basis VARCHAR NOT NULL
);

-- What nodes had, from a time on (hpcjobs.model.usage.NodeKind).
CREATE TABLE IF NOT EXISTS node_kinds (
    cluster VARCHAR NOT NULL,
    node VARCHAR NOT NULL,
    since BIGINT NOT NULL,
    gres VARCHAR NOT NULL,
    cpus INTEGER NOT NULL
);
ALTER TABLE node_kinds ADD COLUMN IF NOT EXISTS usable BOOLEAN DEFAULT TRUE;

-- How busy GPUs were: one line each device of a node that a job had, and five minutes (bucket: their first second).
CREATE TABLE IF NOT EXISTS samples (
    cluster VARCHAR NOT NULL,
    node VARCHAR NOT NULL,
    device VARCHAR NOT NULL,         -- its UUID, or index where it has none
    kind VARCHAR NOT NULL,
    bucket BIGINT NOT NULL,
    slurm_job_id BIGINT,             -- NULL: no job had it
    samples INTEGER NOT NULL,
    covered_s DOUBLE NOT NULL,       -- seconds of the bucket that the samples stand for
    busy_s DOUBLE NOT NULL,          -- of these, how many it was busy: utilisation x time
    mem_max_bytes BIGINT,
    energy_j DOUBLE
);

-- How far accounting has been read.
CREATE TABLE IF NOT EXISTS clusters (
    cluster VARCHAR NOT NULL,
    read_until BIGINT NOT NULL       -- everything that accounting knew at this time is here
);
"""
