"""Slurm's configuration: read, changed where it must be, tried, brought to a running controller, and taken back.

The only code that changes slurm.conf (docs/adr/0019). ``lines`` and ``conf`` are what its files say, pure; ``runner``
reaches the controller's machine; ``swap`` exchanges files with a journal; ``controller`` and ``trial`` ask the running
slurmctld and a second one; ``bring`` exchanges files and takes them back; ``errand`` is all of it in
order, for whoever knows what shall be, and ``conversation`` what a command says and asks meanwhile.
"""
