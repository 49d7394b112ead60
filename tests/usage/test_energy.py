"""Energy of one run and what it emitted."""

from __future__ import annotations

import pytest

from hpcjobs.usage.energy import CarbonFactor, Energy, EnergyBasis, co2_g, energy_of

OLD, NEW = CarbonFactor(400, 0, 1000, "made up"), CarbonFactor(200, 1000, 9000, "made up")


@pytest.mark.parametrize(
    ("node_j", "gpu_j", "modelled_j", "told"),
    [
        (7.2e6, 3.6e6, 1.0, Energy(2, EnergyBasis.NODES)),
        (0, 3.6e6, 1.0, Energy(1, EnergyBasis.GPUS)),
        (None, None, 3.6e6, Energy(1, EnergyBasis.MODELLED)),
        (None, None, None, None),
    ],
)
def test_the_widest_measured_figure_counts_and_a_model_is_marked(
    node_j: float | None, gpu_j: float | None, modelled_j: float | None, told: Energy | None
) -> None:
    assert energy_of(node_j, gpu_j, modelled_j) == told


def test_a_run_over_a_change_of_factor_is_divided_at_it() -> None:
    assert co2_g(4, 500, 2500, [OLD, NEW]) == pytest.approx(1 * 400 + 3 * 200)


def test_where_no_factor_holds_co2_is_not_known() -> None:
    assert co2_g(4, 500, 9500, [OLD, NEW]) is None
