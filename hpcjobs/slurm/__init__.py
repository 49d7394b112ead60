"""The only code that talks to Slurm: one Protocol, several backends behind it."""
