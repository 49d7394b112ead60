"""``hpcjobs sample``: runs on a node, asks its devices what they do, and tells the service every five minutes.

whose.py       which jobs have which devices of this node, as its processes say
collecting.py  readings added up to samples; pure
keeping.py     samples on disk until the service has them
loop.py        the one loop: look, add up, keep, send
commands.py    the command
"""
