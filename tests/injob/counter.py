"""A program for tests to kill: counts steps, makes a checkpoint of each, and says on stdout what it was told.

    counter.py FOLDER STEPS [KEEP]

Each checkpoint is a chain of hashes, so that one that went on from a wrong one is seen.
"""

import hashlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "hpcjobs"))
from injob.checkpoints import Checkpoints
from injob.errors import Superseded
from injob.state import Keep, Run


def say(*words):
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def link(before, step):
    return hashlib.sha256(before + str(step).encode()).digest()


def main(folder, steps, keep=3):
    writer = Checkpoints(Path(folder), Keep(int(keep), 10)).begin(Run())
    say("begun", writer.number)
    found = writer.resume()
    step, chain = 0, b""
    if found:
        step, chain = int((found / "step").read_text()), (found / "chain").read_bytes()
    say("resumed", step)
    while step < int(steps):
        step += 1
        chain = link(chain, step)
        with writer.saving(step) as place:
            (place / "step").write_text(str(step))
            (place / "chain").write_bytes(chain)
            (place / "filling").write_bytes(bytes(20_000))
        say("saved", step)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Superseded as error:
        say("superseded", error)
        sys.exit(93)
