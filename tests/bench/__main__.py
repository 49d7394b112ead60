"""``python -m tests.bench NAME``."""

from __future__ import annotations

import importlib
import sys

from tests.bench.lab import Lab

NAMES = {"submit": "submit", "list": "listing", "poll": "poll", "memory": "memory", "scale": "scale", "cli": "cli",
         "placement": "placement", "topology": "topology", "policy": "policy", "gang": "gang",
         "agreement": "agreement", "utilisation": "utilisation", "report": "report", "ingest": "ingest",
         "against": "against", "ettr": "ettr", "ddp": "ddp", "recovery": "recovery",
         "images": "images"}  # fmt: skip

ALONE = {"placement", "topology", "policy", "gang", "agreement", "utilisation", "report", "ingest", "against", "ettr",
         "ddp", "recovery", "images"}  # fmt: skip
"""Those that need no cluster, start one of their own, or use the usual service."""


def main() -> int:
    """Run one benchmark; 1 where a bar does not hold."""
    if len(sys.argv) != 2 or sys.argv[1] not in NAMES:
        sys.exit(f"usage: make bench NAME={'|'.join(NAMES)}")
    module = importlib.import_module(f"tests.bench.{NAMES[sys.argv[1]]}")
    if sys.argv[1] in ALONE:
        verdicts = module.run()
    else:
        lab = Lab()
        try:
            verdicts = module.run(lab)
        finally:
            lab.close()
    for verdict in verdicts:
        print(verdict)
    return 0 if all(verdict.holds for verdict in verdicts) else 1


sys.exit(main())
