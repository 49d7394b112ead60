"""The service from the REST border down, on a simulated Slurm: real application, database, agents."""
