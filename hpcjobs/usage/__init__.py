"""What was used: Slurm's accounting in tables of our own, made for questions over years (docs/adr/0021)."""
