"""Accelerators of a site as generic resources: gres.conf, its part of slurm.conf, a report of them (docs/GRES.md)."""
