"""Frozen data, no I/O: what a job is, what a cluster looks like."""
