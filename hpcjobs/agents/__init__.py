"""Processes that act as a user.

The API process is never root and holds no Slurm library. A small spawner, the one process with the right to
change identity, forks an agent that becomes the user for good and then serves one connection. What an agent may
do is decided by the kernel and by Slurm, from who it is; nothing above it can widen that.

    API process (uid hpcjobs) --- Unix socket ---> spawner (root, forks)
          |                                            |
          +------------ the same connection -----> agent (uid alice): pyslurm, or files
"""
