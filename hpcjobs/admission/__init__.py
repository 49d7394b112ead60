"""An ordered fold of rules over a spec: mutate, then judge; every refusal gathered; fail closed.

The rules of the house stand beside this; plugins (hooks/) come after them, and then the rules once more.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from hpcjobs.admission.container import judge_container
from hpcjobs.admission.fields import judge_fields
from hpcjobs.admission.hints import judge_hints
from hpcjobs.admission.resources import judge_contradictions, judge_products
from hpcjobs.admission.texts import judge_script, judge_sizes, judge_texts
from hpcjobs.errors import Refusal, Refused
from hpcjobs.model.spec import JobSpec
from hpcjobs.sbatch.fold import fill_in
from hpcjobs.sbatch.values import parse_array

Rule = Callable[[JobSpec], tuple[JobSpec, Sequence[Refusal]]]


def fill_defaults(spec: JobSpec) -> tuple[JobSpec, Sequence[Refusal]]:
    """Give the job a name, and its array the usual form."""
    script_name = spec.script_name or "hpcjobs"
    array = spec.array
    with contextlib.suppress(ValueError):  # judge_fields says so
        array = parse_array(array).text if array else array
    return msgspec.structs.replace(spec, name=spec.name or script_name, script_name=script_name, array=array), ()


STAGES: Final[Sequence[Sequence[Rule]]] = (
    (judge_sizes,),
    (fill_in, fill_defaults, judge_script, judge_fields, judge_contradictions, judge_texts, judge_hints,
     judge_container),
    (judge_products,),
)  # fmt: skip
"""What is too large is not read, and what follows from a request is worked out only where it stands by itself."""

AFTER_PLUGINS: Final[Sequence[Sequence[Rule]]] = (
    (judge_sizes,),
    (fill_defaults, judge_script, judge_fields, judge_contradictions, judge_texts, judge_hints, judge_container),
    (judge_products,),
)
"""What a plugin passes on is judged as if it had been asked for; its directives have been read."""


def admit(spec: JobSpec, stages: Sequence[Sequence[Rule]] = STAGES) -> JobSpec:
    """Pass a spec through the rules in order.

    Args:
        spec: As asked for.
        stages: Rules, each of which returns the spec as it passes it on, and what it has against it. A stage that
            is against it is the last.

    Returns:
        The admitted spec.

    Raises:
        Refused: At least one rule is against it; every refusal of every rule of the stage is in it.
    """
    refusals: list[Refusal] = []
    for stage in stages:
        for rule in stage:
            spec, against = rule(spec)
            refusals.extend(against)
        if refusals:
            raise Refused(refusals)
    return spec
