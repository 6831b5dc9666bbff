from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from benchmarks.chips import carried, equal_cores, evaluator_on, measure, networks, on_chip
from hwcost.errors import OfframpError
from study.export.run_tables import export
from study.results import load_run
from tests.study.bench import CLASSES, bench_context, run_trials, static_reference

HOME, OTHER = "edge_tpu_quad", "tpu_quad"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    context = bench_context(tmp_path_factory.mktemp("chips") / "run")
    study = run_trials(context, 5)
    environment = {"data": {"name": "made up", "channels": 1, "classes": [str(i) for i in range(CLASSES)]}}
    export(study, context, static_reference(context), environment)
    return context.paths.out


@pytest.fixture(scope="module")
def figures(run: Path) -> pd.DataFrame:
    return measure(run, [OTHER])[1].set_index("accelerator")


def test_at_home_the_designs_are_those_of_the_run(run: Path, figures: pd.DataFrame) -> None:
    results = load_run(run)
    for points in (0.2, 1, 2):
        near = results.designs["accuracy_drop"] <= points / 100 + 1e-12
        best = results.designs.loc[near & results.designs["feasible"].astype(bool), "edp_relative"].min()
        assert figures.loc[HOME, f"edp_relative_at_{points:g}_points"] == pytest.approx(best)
    assert figures.loc[HOME, "home_front_best_arrays"] == pytest.approx(1.0)
    assert figures.loc[HOME, "also_on_home_front"] == figures.loc[HOME, "networks_on_front"]
    reference = results.static_reference
    assert figures.loc[HOME, "static_energy_pj"] == pytest.approx(reference["mean_energy_pj"])


def test_elsewhere_nothing_carried_over_beats_that_chips_own_front(figures: pd.DataFrame) -> None:
    assert 0 < figures.loc[OTHER, "home_front_default_arrays"] <= 1.0
    assert (
        figures.loc[OTHER, "home_front_default_arrays"] <= figures.loc[OTHER, "home_front_best_arrays"] + 1e-9
    )
    assert figures.loc[OTHER, "home_front_best_arrays"] <= 1.0 + 1e-9
    assert figures.loc[OTHER, "static_energy_pj"] != figures.loc[HOME, "static_energy_pj"]


def test_equal_cores_are_some_of_all_allocations(run: Path) -> None:
    config = bench_context(run.parent / "other").config
    trained = networks(run, "alone")
    chip = on_chip(HOME, evaluator_on(config, HOME, 1, CLASSES), trained, 0.5)
    best, alike = equal_cores(chip, 0.5, 1.0)
    by_hand = [
        chip.relative(r) for r in chip.designs if len({*chip.arrays(r)}) == 1 and r.accuracy >= 0.5 - 1.0
    ]
    assert alike == min(by_hand, default=None)
    assert best == min(map(chip.relative, chip.designs))
    assert carried(chip, chip, trained, tuned=True) == pytest.approx(1.0)


def test_a_folder_without_networks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OfframpError, match="trained networks"):
        networks(tmp_path, "alone")
