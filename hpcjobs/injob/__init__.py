"""What runs inside a job: the agent, checkpoints that one attempt writes at a time, and what programs report with.

Python 3.9 and its standard library, nothing of hpcjobs: the folder can be mounted into any container and imported as
``injob``, or run as ``python3 /where/injob run -- torchrun ...``.

    errors.py       what can be wrong with checkpoints
    register.py     a value on a shared file system, compared and swapped
    manifest.py     what a checkpoint consists of
    state.py        what the register of a checkpoint folder holds; pure
    checkpoints.py  the folder, and an attempt that writes to it
    taking.py       how an agent becomes an attempt, or a rank of one
    lines.py        what programs tell the agent; pure
    status.py       what is known of that, as a file; pure
    listening.py    where the agent hears it
    report.py       what programs report with
    agent.py        the command and what is around it
    command.py      run, beat, checkpoint
"""
