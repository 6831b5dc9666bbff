from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import paper_networks
from benchmarks.paper_networks import beside, published
from dashboards.reference_front import load_reference_front
from hwcost.chip.accelerator_file import load_accelerator
from hwcost.errors import OfframpError
from hwcost.evaluate import CostModel
from hwcost.validation.paper_models import PRESET, network
from study.results import load_run

HEADER = "model,exit_blocks,heads,w_bits,a_bits,top1,exit_ratios,mean_et_pj_cycles,backbone_et_pj_cycles"
RUN = Path(__file__).resolve().parents[2] / "docs" / "results" / "cifar10-small"


def table(folder: Path, *rows: str) -> Path:
    path = folder / "paper_models.csv"
    path.write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
    return path


def costs(
    exits: tuple[int, ...], heads: tuple[str, ...], chip: str = PRESET
) -> tuple[np.ndarray, np.ndarray]:
    accelerator = load_accelerator(chip)
    found = CostModel(accelerator).evaluate(network(exits, heads), np.array([accelerator.default_allocation]))
    return found.latency_cycles[0], found.energy_pj[0]


def test_the_product_is_the_mean_over_exits_of_what_was_spent_up_to_them(tmp_path):
    (found,) = published(table(tmp_path, "m,4-11,fc fc,8,8,0.9,0.25 0.75,6e14,1e15"))
    latency, energy = costs((4,), ("fc", "fc"))
    by_hand = 0.25 * latency[0] * energy[0] + 0.75 * latency[1] * energy[1]
    static_latency, static_energy = costs((), ("fc",))
    assert found.mean_edp_pj_cycles == pytest.approx(by_hand, rel=1e-12)
    assert found.edp_relative == pytest.approx(by_hand / (static_latency[0] * static_energy[0]), rel=1e-12)
    assert found.mean_latency_cycles == pytest.approx(0.25 * latency[0] + 0.75 * latency[1], rel=1e-12)
    assert found.theirs_relative == pytest.approx(0.6)


def test_of_equal_networks_the_more_accurate_ones_with_less_cost_are_the_front(tmp_path):
    path = table(
        tmp_path,
        "best,2-8-11,fc fc fc,8,8,0.90,0.0 0.0 1.0,6e14,1e15",
        "dominated,2-8-11,fc fc fc,8,8,0.89,0.0 0.0 1.0,6e14,1e15",
        "cheaper,2-8-11,fc fc fc,8,8,0.80,0.9 0.1 0.0,6e14,1e15",
        "other bits,2-8-11,fc fc fc,4,4,0.99,0.9 0.1 0.0,6e14,1e15",
    )
    found = published(path)
    assert [n.model for n in found] == ["best", "dominated", "cheaper"]
    assert [n.on_front for n in found] == [True, False, True]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("m,4-11,fc fc,8,8,0.9,0.25 0.5,6e14,1e15", "expected 2 exit ratios that sum to 1, got '0.25 0.5'"),
        ("m,4-11,fc fc,8,8,0.9,1.0,6e14,1e15", "expected 2 exit ratios that sum to 1"),
        ("m,4-11,fc fc,8,8,0.9,a b,6e14,1e15", "expected 2 exit ratios that sum to 1"),
        ("m,4-12,fc fc,8,8,0.9,0.5 0.5,6e14,1e15", "11 the last"),
        ("m,4-11,fc fc,4,4,0.9,0.5 0.5,6e14,1e15", "expected 8-bit networks in paper_models.csv, got none"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(tmp_path, row, reason):
    with pytest.raises(OfframpError, match=reason):
        published(table(tmp_path, row))


def test_a_run_stands_beside_the_front(tmp_path):
    networks = published(
        table(
            tmp_path,
            "out of reach,4-11,fc fc,8,8,0.99,0.0 1.0,6e14,1e15",
            "in reach,4-11,fc fc,8,8,0.70,0.9 0.1,6e14,1e15",
        )
    )
    run = load_run(RUN)
    found = beside(networks, run).set_index("model")
    assert np.isnan(found.loc["out of reach", "ratio"])
    feasible = run.designs[run.designs["feasible"]]
    least = min(row.edp_relative for row in feasible.itertuples() if row.accuracy >= 0.70)
    assert found.loc["in reach", "run_edp_relative"] == least
    assert found.loc["in reach", "run_accuracy"] >= 0.70


def test_another_chip_costs_otherwise(tmp_path):
    (found,) = published(table(tmp_path, "m,4-11,fc fc,8,8,0.9,0.25 0.75,6e14,1e15"), "edge_tpu_quad")
    latency, energy = costs((4,), ("fc", "fc"), "edge_tpu_quad")
    assert found.mean_edp_pj_cycles == pytest.approx(latency * energy @ [0.25, 0.75], rel=1e-12)


def test_of_a_refined_run_the_refined_designs_count(tmp_path):
    networks = published(table(tmp_path, "m,4-11,fc fc,8,8,0.70,0.9 0.1,6e14,1e15"))
    refined = pd.DataFrame(
        {
            "accuracy": [0.8, 0.71, 0.9, 0.6],
            "edp_relative": [0.3, 0.2, 0.15, 0.1],
            "feasible": [True, True, False, True],
        }
    )
    found = beside(networks, replace(load_run(RUN), refined=refined)).iloc[0]
    assert (found["run_accuracy"], found["run_edp_relative"]) == (0.71, 0.2)


def test_the_command_writes_a_table_that_the_report_draws(tmp_path, monkeypatch, capsys):
    table(
        tmp_path, "a,4-11,fc fc,8,8,0.9,0.25 0.75,6e14,1e15", "b,2-11,fc fc,8,8,0.8,0.5 0.5,5e14,1e15",
        "c,2-11,fc_hidden fc_hidden,8,8,0.85,0.5 0.5,5e15,1e15",
    )  # fmt: skip
    written = tmp_path / "out.csv"
    monkeypatch.setattr(
        sys, "argv", ["paper_networks", str(tmp_path), "--csv", str(written), "--run", str(RUN)]
    )
    assert paper_networks.main() == 0
    assert "3 networks" in capsys.readouterr().out
    front = load_reference_front(written)
    assert len(front.points) == len(pd.read_csv(written)) == 3
    assert set(front.points["name"]) == {"a", "b", "c"}


def test_bad_input_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["paper_networks", str(tmp_path)])
    assert paper_networks.main() == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
