"""Slurm's configuration: read, changed where it must be, tried, brought to a running controller, and taken back.

The only code that changes slurm.conf (docs/adr/0019). ``lines`` and ``conf`` are what its files say, pure; ``runner``
reaches the controller's machine; ``swap`` exchanges files with a journal; ``controller`` and ``trial`` ask the running
slurmctld and a second one; ``bring`` is all of it, for whoever knows what shall be.
"""
