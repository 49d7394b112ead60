"""The fast tier: no Slurm, no containers, nothing but this machine."""
