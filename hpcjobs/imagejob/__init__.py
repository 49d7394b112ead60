"""Images brought into a cluster's store: run by Slurm on a node, as the user who asked for one (docs/CONTAINERS.md).

Python 3.9 and its standard library, nothing of hpcjobs.

    fetch.py        the whole of the batch script: one image of a registry into a folder, once
"""
