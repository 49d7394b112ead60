"""hpcjobs: the job platform for AI and HPC clusters that run Slurm."""

__version__ = "0.1.0"
