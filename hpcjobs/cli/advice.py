"""What a person at a command line can do about a problem."""

from __future__ import annotations

from hpcjobs.client.problems import ApiProblem, NotAuthenticated


def advice(problem: ApiProblem) -> str:
    """One sentence, or ``""`` where the problem's own words are enough."""
    if isinstance(problem, NotAuthenticated):
        return "Get a new token, and give it to: hpcjobs login"
    return ""
