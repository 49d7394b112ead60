"""Runtimes of containers, a plugin each: what a job says of its container, in words of Apptainer, Enroot, pyxis, srun.

All are pure, and refuse what their runtime cannot do, by the field that asks for it: a job that goes on without it
would do something else than it says. ``scope``, ``mpi``, ``pull`` and ``credential`` are the house's to see to.
"""
