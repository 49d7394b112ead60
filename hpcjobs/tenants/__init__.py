"""Tenants: quotas of projects, requests for more, and what Slurm has to know of them."""
