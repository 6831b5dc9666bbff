"""A real run, refined, with its parts: tiny networks, trained here and not in processes."""

from __future__ import annotations

import shutil
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
import torch

from benchmarks import refined_parts
from benchmarks.paper_space import measure as measure_space
from benchmarks.paper_space import with_all_exits
from benchmarks.refined_parts import least_products, measure
from benchmarks.refined_run import RefinedRun
from hwcost.errors import OfframpError
from models.architecture import Architecture
from models.open_checkpoint import open_checkpoint
from study.leaving_out import derive_keeping, sets_to_derive
from study.placements import Placements
from study.refine.networks import Training
from tests.study.refine.runs import configuration, make_run, refine_here, train_here

BITS = 4


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RefinedRun:
    cache, folder = tmp_path_factory.mktemp("cache"), tmp_path_factory.mktemp("runs") / "tiny"
    make_run(folder, configuration(cache))
    train_here(folder, cache)
    refine_here(folder, cache, "--no-test")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OFFRAMP_CACHE", str(cache))
        opened = RefinedRun.open(folder)
    lower = Architecture.static(opened.context.spec.n_blocks, "fc", BITS)
    for architecture in (lower, with_all_exits(opened)):
        for seed in range(opened.seeds):
            if not opened.networks.done(Training(architecture, seed)):
                opened.networks.train(Training(architecture, seed))
    return opened


@pytest.fixture(scope="module")
def figures(run: RefinedRun) -> dict[str, Any]:
    return measure(run, [BITS])


def test_arrays_alone_are_the_static_network_on_the_best_of_all(
    run: RefinedRun, figures: dict[str, Any]
) -> None:
    """Every allocation that keeps the study's bounds, none left out."""
    hardware, static = run.context.hardware, run.context.hardware.static_architecture
    allocations, levels = run.context.space.placements()
    costs = hardware.stage_costs(static, allocations, levels)
    met = run.context.evaluator.bounds.met_before_training(hardware.view(costs, allocations))
    products = (costs.latency_cycles[:, -1] * costs.energy_pj[:, -1])[met]
    assert set(figures["parts"]["arrays"]) == {"0.002", "0.01", "0.02"}
    for found in figures["parts"][
        "arrays"
    ].values():  # as accurate as the reference, as it is the same network
        assert found == pytest.approx(products.min() / run.reference["mean_edp_pj_cycles"])


def test_more_freedom_is_never_worse(figures: dict[str, Any]) -> None:
    parts = figures["parts"]
    for name, products in parts.items():
        for other, wider in parts.items():
            if set(name.replace(" and", ",").split(", ")) <= set(other.replace(" and", ",").split(", ")):
                for drop, product in products.items():
                    assert product is None or (wider[drop] is not None and wider[drop] <= product + 1e-12)


def test_the_product_of_exits_alone_is_that_of_the_eight_bit_network(
    run: RefinedRun, figures: dict[str, Any]
) -> None:
    """All its exits or fewer of them, on the default arrays, beside the static reference, whose product is 1."""
    whole = with_all_exits(run)
    networks = [run.networks.find(Training(whole, seed)) for seed in range(run.seeds)]
    found = [n for n in networks if n is not None]
    evaluator = run.evaluator
    default = Placements(
        np.array([evaluator.hardware.accelerator.default_allocation]),
        np.array([evaluator.space.levels.nominal]),
    )
    sets = sets_to_derive(evaluator, whole, found)
    by_seed = [derive_keeping(evaluator, whole, network, sets, default) for network in found]
    static = float(run.reference["mean_edp_pj_cycles"])
    least = 1.0
    for replicates in zip(*by_seed, strict=True):
        accuracy = np.mean([record.accuracy for record in replicates])
        if accuracy >= float(run.reference["accuracy"]) - 0.02 - 1e-12:
            product = np.mean([record.mean_edp_pj_cycles for record in replicates])
            least = min(least, float(product) / static)
    assert figures["parts"]["exits"]["0.02"] == pytest.approx(least)


def test_accuracies_are_those_of_the_trainings(run: RefinedRun, figures: dict[str, Any]) -> None:
    lower = Architecture.static(run.context.spec.n_blocks, "fc", BITS)
    seeds = [run.networks.find(Training(lower, seed)) for seed in range(run.seeds)]
    by_hand = np.mean([n.validation.correct[:, -1].mean() for n in seeds if n is not None])
    assert figures["accuracy_of_static"]["4"] == pytest.approx(by_hand)
    assert figures["static_accuracy"] == run.reference["accuracy"]
    assert figures["seeds"] == 2


def test_the_space_of_the_paper_stands_beside_the_refined_designs(run: RefinedRun) -> None:
    facts, table = measure_space(run)
    assert facts["placements"] == 2 ** len(run.context.space.mounting_points) - 1
    assert list(table["temperature_scaling"].unique()) == [False, True]
    for _, rows in table.groupby("temperature_scaling"):
        assert (rows["accuracy"].diff().dropna() < 0).all()
        assert (rows["edp_relative"].diff().dropna() < 0).all()
    paired = table.dropna(subset=["ratio"])
    assert len(paired)
    for row in paired.to_dict("records"):
        designs = run.table[run.table["accuracy"] >= row["accuracy"] - 1e-12]
        cheapest = designs.loc[designs["role"] != "static_reference", "edp_relative"].min()
        assert row["ratio"] == pytest.approx(cheapest / row["edp_relative"])


def test_confidences_without_temperatures_are_those_of_the_trained_network(run: RefinedRun) -> None:
    """The network as it was trained, in float64 from its own checkpoint, and a softmax of its logits."""
    whole, data = with_all_exits(run), run.context.data
    pixels = data.validation_images.double() / 255
    mean, std = (torch.tensor(values, dtype=torch.float64)[:, None, None] for values in (data.mean, data.std))
    scaled = run.train([whole])[whole]
    for seed, found in enumerate(run.unscaled(whole)):
        network, _ = open_checkpoint(run.networks.checkpoint(Training(whole, seed)), run.context.spec)
        with torch.no_grad():
            logits = network.double().eval()((pixels - mean) / std)
        for exit_index, of_exit in enumerate(logits):
            expected = of_exit.softmax(dim=1).amax(dim=1).numpy()
            close = np.isclose(found.confidence[:, exit_index], expected, atol=1e-3)
            assert close.mean() > 0.99  # an activation on the edge between two integers may round either way
        assert not np.allclose(found.confidence, scaled[seed].validation.confidence, atol=1e-2)


def test_other_networks_than_the_refined_ones_are_refused(run: RefinedRun, tmp_path: Path) -> None:
    """A lost one stands for another float network, device or code: they all go by another name."""
    folder = tmp_path / "tiny"
    shutil.copytree(run.task.paths.out, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OFFRAMP_CACHE", str(run.task.paths.cache))
        opened = RefinedRun.open(folder)
        assert len(opened.static_networks()) == opened.seeds
        static = opened.context.hardware.static_architecture
        for training in (*opened.networks.alone(opened.seeds), Training(static, 0, jointly=True)):
            opened.networks.checkpoint(training).unlink(missing_ok=True)
        with pytest.raises(
            OfframpError, match=r"expected the 2 refined static networks in .*, got [01] that"
        ):
            RefinedRun.open(folder)


def test_nothing_accurate_enough_is_no_product() -> None:
    assert least_products([], 0.9, 1.0) == {"0.002": None, "0.01": None, "0.02": None}


def test_float_weights_are_looked_for_where_the_option_says(run: RefinedRun, tmp_path: Path) -> None:
    """A run's configuration has the name of the file alone, whose place differs between machines."""
    folder = tmp_path / "run"
    shutil.copytree(run.task.paths.out, folder, ignore=shutil.ignore_patterns("predictions", "checkpoints"))
    values = tomllib.loads((folder / "config.toml").read_text())
    values["backbone"]["weights"] = "float.safetensors"
    (folder / "config.toml").write_text(tomli_w.dumps(values))
    for weights in (None, str(tmp_path / "mine.safetensors")):
        with pytest.raises(
            OfframpError, match=f"got '{weights or 'float.safetensors'}', which does not exist"
        ):
            RefinedRun.open(folder, weights=weights)


def test_a_run_that_was_not_refined_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OfframpError, match="expected a run that was refined"):
        RefinedRun.open(tmp_path)
    monkeypatch.setattr(sys, "argv", ["refined_parts", str(tmp_path)])
    assert refined_parts.main() == 2
    assert "expected a run that was refined" in capsys.readouterr().err
