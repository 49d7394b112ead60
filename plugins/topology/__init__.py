"""Fabrics: found, looked over, translated for Slurm, and used to place jobs (docs/TOPOLOGY.md)."""
