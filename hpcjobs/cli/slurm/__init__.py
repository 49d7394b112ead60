"""Slurm's own commands, answered by the service: ``hpcjobs squeue`` and its like, in the formats that scripts parse."""
