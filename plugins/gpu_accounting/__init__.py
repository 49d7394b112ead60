"""Accelerators of a site as generic resources: gres.conf, and its part of slurm.conf (docs/GRES.md)."""
