"""Whether a node is well: run by Slurm on nodes, as HealthCheckProgram, Prolog and Epilog (docs/HEALTH.md).

Python 3.9 and its standard library, nothing of hpcjobs: the folder is copied to nodes, and its scripts ``periodic``,
``prolog`` and ``epilog`` are what slurm.conf names.

    checks.json     what is looked at, when, and how much is too much; a site's own file changes it
    devices.json    how families of accelerators are asked; made of hpcjobs/devices by scripts/nodecheck
    kernel.json     lines of the kernel that tell ill hardware; made of hpcjobs/recovery by scripts/nodecheck
    settings.py     both files read, strictly
    host.py         the node: its files below a root, its programs
    apart.py        work in processes of its own, each with a time limit
    growth.py       counters that grow; pure
    gres.py, accelerators.py, kernel.py, fabric.py, disks.py, memory.py, clock.py, mounts.py, leftovers.py
                    one kind of check each: what is wrong, in words
    checks.py       the table of them
    kept.py         what is remembered from one time to the next
    decide.py       what follows: drain, resume, or nothing; pure
    slurm.py        what Slurm has of the node, and what it is told
    command.py      one time, from the settings to the exit code
"""
