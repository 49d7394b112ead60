"""Policies: each a plugin of its own, to be combined. What each does to Slurm: docs/POLICIES.md."""
