"""Accelerators as data: what Slurm calls them, how a job sees them, what a slice is worth (docs/adr/0021)."""
