"""An ordered fold of rules over a spec: mutate, then judge; every refusal gathered; fail closed.

The built-in rules stand beside this; plugins join the same list.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from hpcjobs.admission.resources import judge_amounts, judge_contradictions, judge_gpus
from hpcjobs.admission.texts import judge_forms, judge_script, judge_texts
from hpcjobs.errors import Refusal, Refused
from hpcjobs.model.spec import JobSpec
from hpcjobs.sbatch.fold import fill_in
from hpcjobs.sbatch.values import parse_array

Rule = Callable[[JobSpec], tuple[JobSpec, Sequence[Refusal]]]


def fill_defaults(spec: JobSpec) -> tuple[JobSpec, Sequence[Refusal]]:
    """Give the job a name, and its array the usual form."""
    script_name = spec.script_name or "hpcjobs"
    array = spec.array
    with contextlib.suppress(ValueError):  # judge_forms says so
        array = parse_array(array).text if array else array
    return msgspec.structs.replace(spec, name=spec.name or script_name, script_name=script_name, array=array), ()


RULES: Final[Sequence[Rule]] = (
    fill_in,
    fill_defaults,
    judge_script,
    judge_amounts,
    judge_gpus,
    judge_contradictions,
    judge_texts,
    judge_forms,
)


def admit(spec: JobSpec, rules: Sequence[Rule] = RULES) -> JobSpec:
    """Pass a spec through the rules in order.

    Args:
        spec: As asked for.
        rules: Each returns the spec as it passes it on, and what it has against it.

    Returns:
        The admitted spec.

    Raises:
        Refused: At least one rule is against it; every refusal of every rule is in it.
    """
    refusals: list[Refusal] = []
    for rule in rules:
        spec, against = rule(spec)
        refusals.extend(against)
    if refusals:
        raise Refused(refusals)
    return spec
