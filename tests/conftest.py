"""What every test shares: how many examples hypothesis makes, and a heap that is not searched again and again."""

from __future__ import annotations

import gc
import os

from hypothesis import HealthCheck, settings

FAST = os.environ.get("HPCJOBS_TESTS") == "fast"
"""Whether this is the loop of whoever writes code (``make fast``), and not all that the tests can find."""


def examples(full: int) -> int:
    """How many examples a property gets that ``make test`` tries so often: a sixth of them in the fast loop."""
    return max(5, full // 6) if FAST else full


# No deadline: a loaded machine takes any time for one example, and may be slow to draw one.
settings.register_profile(
    "hpcjobs", max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("hpcjobs")


def pytest_collection_finish() -> None:
    """Set aside what is loaded by now: it stays to the end, and each full collection would walk through it."""
    gc.collect()
    gc.freeze()
