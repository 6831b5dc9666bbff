from __future__ import annotations

import sys
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import paper_space
from benchmarks.paper_space import Point, beside, front, placements, points
from models.architecture import Architecture
from study.hardware import HardwareCosts
from tests.study.bench import bench_context, predictions

GRID = (0.6, 0.9)


@pytest.fixture(scope="module")
def hardware(tmp_path_factory: pytest.TempPathFactory) -> HardwareCosts:
    return bench_context(tmp_path_factory.mktemp("paper_space")).hardware


@pytest.fixture(scope="module")
def whole(hardware: HardwareCosts) -> Architecture:
    n = hardware.static_architecture.n_blocks
    return Architecture((1, 4, 7), ("fc",) * 4, (8,) * n, (8,) * n)


def test_every_choice_of_exits_counts_once() -> None:
    found = placements(range(10))
    assert len(found) == len(set(found)) == 2**10 - 1
    assert all(list(exits) == sorted(exits) for exits in found)


def test_leaving_exits_out_is_a_network_without_them(hardware: HardwareCosts, whole: Architecture) -> None:
    """Every point again by a loop over images that walks from exit to exit."""
    seeds = [predictions(whole).validation, predictions(Architecture((2, 5, 8), *_rest(whole))).validation]
    found = points(whole, seeds, hardware, GRID)
    assert {(p.exits, p.threshold) for p in found} == set(product(placements(whole.exits), GRID))
    default = np.array([hardware.accelerator.default_allocation])
    for point in found:
        n, k = len(whole.weight_bits), len(point.exits)
        alone = Architecture(point.exits, ("fc",) * (k + 1), (8,) * n, (8,) * n)
        costs = hardware.stage_costs(alone, default)
        right, spent, images = 0, 0.0, 0
        for seed in seeds:
            for image in range(seed.n_samples):
                exit_index = k
                for position, block in enumerate(point.exits):
                    if seed.confidence[image, whole.exits.index(block)] >= point.threshold:
                        exit_index = position
                        break
                column = 3 if exit_index == k else whole.exits.index(point.exits[exit_index])
                right += bool(seed.correct[image, column])
                spent += float(costs.latency_cycles[0, exit_index] * costs.energy_pj[0, exit_index])
                images += 1
        assert point.accuracy == pytest.approx(right / images)
        assert point.edp_pj_cycles == pytest.approx(spent / images)


def _rest(whole: Architecture) -> tuple[tuple[str, ...], tuple[int, ...], tuple[int, ...]]:
    return whole.heads, whole.weight_bits, whole.activation_bits


def test_the_front_falls_in_both() -> None:
    candidates = [
        Point((1,), 0.9, a, p) for a, p in ((0.9, 9.0), (0.8, 5.0), (0.8, 6.0), (0.7, 5.0), (0.95, 20.0))
    ]
    assert [(p.accuracy, p.edp_pj_cycles) for p in front(candidates)] == [
        (0.95, 20.0),
        (0.9, 9.0),
        (0.8, 5.0),
    ]


def test_beside_a_point_stands_the_cheapest_design_that_is_as_accurate() -> None:
    designs = pd.DataFrame({
        "design": ["good", "better", "cheap"],
        "accuracy": [0.90, 0.92, 0.85],
        "edp_relative": [0.2, 0.25, 0.05],
    })  # fmt: skip
    published = [Point((1, 4), 0.9, 0.93, 12.0), Point((4,), 0.8, 0.90, 10.0), Point((1,), 0.7, 0.5, 2.0)]
    found = beside(published, {"accuracy": 0.92, "mean_edp_pj_cycles": 20.0}, designs)
    assert list(found["run_design"]) == ["", "good", "cheap"]
    assert list(found["exits"]) == ["1-4", "4", "1"]
    np.testing.assert_allclose(found["ratio"], [np.nan, 0.4, 0.5])
    np.testing.assert_allclose(found["edp_relative"], [0.6, 0.5, 0.1])
    np.testing.assert_allclose(found["run_edp_relative"], [np.nan, 0.2, 0.05])
    np.testing.assert_allclose(found["accuracy_drop"], [-0.01, 0.02, 0.42])


def test_a_front_in_words_counts_what_is_above_a_half_and_what_is_missing() -> None:
    table = pd.DataFrame({"ratio": [np.nan, 0.6, 0.5, 0.2]})
    assert paper_space.in_words(table) == (
        "4 points; ratio 0.20 to 0.60, above a half at 1; no design as accurate at 1"
    )
    assert "ratio none" in paper_space.in_words(table[:1])


def test_a_run_that_was_not_refined_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["paper_space", str(tmp_path)])
    assert paper_space.main() == 2
    assert "expected a run that was refined" in capsys.readouterr().err
