"""The limits of a shell that a job gets (sbatch(1), --propagate). Loads nothing: every call of sbatch needs it."""

LIMITS = ("AS", "CORE", "CPU", "DATA", "FSIZE", "MEMLOCK", "NOFILE", "NPROC", "RSS", "STACK")
"""As getrlimit(2) has them, without RLIMIT_."""
