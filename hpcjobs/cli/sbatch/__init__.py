"""``hpcjobs sbatch``: what people and scripts call instead of Slurm's sbatch. Loads little: it starts often."""
