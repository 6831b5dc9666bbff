from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from benchmarks.chips import Chip, Networks, _chip, carried, evaluator_on, measure
from hwcost.errors import OfframpError
from models.architecture import Architecture
from study.export.run_tables import export
from study.genome import Genome
from study.memo import JOINTLY, PredictionMemo
from study.reference import choose_reference
from study.results import load_run
from study.side_by_side import in_order
from tests.study.bench import CLASSES, bench_context, predictions, run_trials

HOME, OTHER = "edge_tpu_quad", "tpu_quad"
HEADS = ("fc", "fc_hidden", "gap")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    context = bench_context(tmp_path_factory.mktemp("chips") / "run")
    memo, n = context.evaluator.memo, context.spec.n_blocks
    joint = PredictionMemo(memo.folder, {**memo.context, "training": JOINTLY})
    alone = predictions(Architecture.static(n))
    jointly = {head: predictions(Architecture.static(n, head)) for head in HEADS}
    study = run_trials(context, 5)
    memo.store(Architecture.static(n), alone)
    for head, network in jointly.items():
        joint.store(Architecture.static(n, head), network)
    environment = {"data": {"name": "made up", "channels": 1, "classes": [str(i) for i in range(CLASSES)]}}
    export(study, context, choose_reference(alone, jointly, context.evaluator), environment)
    return context.paths.out


@pytest.fixture(scope="module")
def networks(run: Path) -> Networks:
    return Networks.of(run)


@pytest.fixture(scope="module")
def figures(run: Path) -> pd.DataFrame:
    return measure(run, [OTHER])[1].set_index("accelerator")


@pytest.fixture(scope="module")
def home(run: Path, networks: Networks) -> Chip:
    return Chip.of(evaluator_on(bench_context(run.parent / "other").config, 1, CLASSES), networks)


def test_the_networks_are_those_of_the_run(run: Path, networks: Networks) -> None:
    results = load_run(run)
    assert set(networks.jointly) == set(HEADS)
    proposed = {architecture.key()[:12] for architecture in networks.trained}
    assert set(results.trials.loc[results.trials["feasible"].astype(bool), "architecture"]) <= proposed


def test_at_home_the_designs_are_those_of_the_run(run: Path, figures: pd.DataFrame) -> None:
    results = load_run(run)
    for points in (0.2, 1, 2):
        near = results.designs["accuracy_drop"] <= points / 100 + 1e-12
        best = results.designs.loc[near & results.designs["feasible"].astype(bool), "edp_relative"].min()
        assert figures.loc[HOME, f"edp_relative_at_{points:g}_points"] == pytest.approx(best)
    reference = results.static_reference
    assert figures.loc[HOME, "best_static"] == pytest.approx(reference["best_static"]["edp_relative"])
    assert figures.loc[HOME, "static_energy_pj"] == pytest.approx(reference["mean_energy_pj"])
    assert figures.loc[HOME, "home_front_best_arrays"] == pytest.approx(1.0)
    assert figures.loc[HOME, "also_on_home_front"] == figures.loc[HOME, "networks_on_front"]


def test_elsewhere_nothing_carried_over_beats_that_chips_own_front(figures: pd.DataFrame) -> None:
    row = figures.loc[OTHER]
    assert 0 < row["home_front_default_arrays"] <= row["home_front_best_arrays"] + 1e-9 <= 1.0 + 2e-9
    assert row["static_energy_pj"] != figures.loc[HOME, "static_energy_pj"]


def test_equal_cores_are_costed_apart(home: Chip, networks: Networks) -> None:
    catalogue = home.evaluator.hardware.accelerator.catalogues[0]  # the four cores of this chip have one
    assert home.alike
    for record in home.alike:
        assert len({catalogue[i].label for i in record.genome.allocation}) == 1
    # By hand, one design at a time, over all of them and all targets.
    least = float("inf")
    for architecture, network in networks.trained.items():
        for index in range(len(catalogue)):
            for target in home.evaluator.space.config.policy_targets:
                genome = Genome(architecture, (index,) * 4, target, home.evaluator.space.levels.nominal)
                if (
                    home.evaluator.space.allocations.pes(genome.allocation)
                    <= home.evaluator.space.allocations.budget
                ):
                    record = home.evaluator.measured(genome, network)
                    least = min(least, home.relative(record) if record.feasible else least)
    assert home.cheapest(1.0, alike=True) == pytest.approx(least)
    assert home.cheapest(1.0) < home.cheapest(1.0, alike=True)


def test_a_front_on_its_own_chip_loses_nothing(home: Chip, networks: Networks) -> None:
    on_default, on_best = carried(home.front, home, networks)
    assert on_best == pytest.approx(1.0)
    assert on_default < 1.0  # the default arrays are not the best ones


def test_the_default_arrays_are_among_those_to_choose_from(home: Chip, networks: Networks) -> None:
    """Where a chip itself would keep other exits and targets, none of its own designs are those of the front."""
    without = replace(home, designs=(), alike=())
    object.__setattr__(without, "front", home.front)
    on_default, on_best = carried(home.front, without, networks)
    assert on_default == on_best > 0


def test_more_processes_say_the_same(
    run: Path, figures: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = partial(in_order, look_seconds=0.0, worth_processes=0.0)
    monkeypatch.setattr("benchmarks.chips.in_order", at_once)
    others = [OTHER, "eyeriss_quad"]  # the first is done here, the rest by processes
    shared = measure(run, others, workers=2)[1].set_index("accelerator")
    assert list(shared.index) == [HOME, *others]
    pd.testing.assert_frame_equal(shared.loc[[HOME, OTHER]], figures)
    (eyeriss,) = measure(run, others[1:])[1].to_dict("records")[1:]
    assert eyeriss == pytest.approx(
        {"accelerator": others[1], **shared.loc[others[1]].to_dict()}, nan_ok=True
    )


def test_chips_that_are_known_are_not_looked_at_again(
    run: Path, figures: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call after an interruption goes on; another commit, or one with changes, is asked anew."""
    looked: list[str] = []

    def look(*arguments: Any) -> Chip:
        looked.append(arguments[2])
        return _chip(*arguments)

    monkeypatch.setattr("benchmarks.chips._chip", look)
    for code, expected in (
        ("one", [OTHER]),
        ("one", []),
        ("another", [OTHER]),
        ("one-dirty", [OTHER]),
        (None, [OTHER]),
    ):
        looked.clear()
        monkeypatch.setattr("benchmarks.kept_results.commit", lambda code=code: code)
        again = measure(run, [OTHER])[1].set_index("accelerator")
        assert looked == [HOME, *expected]  # the front of the former is what the others are beside
        pd.testing.assert_frame_equal(again, figures)


def test_an_unknown_chip_is_refused_before_any_other_is_looked_at(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    monkeypatch.setattr("benchmarks.chips._chip", lambda run, shape, name, networks: looked.append(name))
    with pytest.raises(OfframpError, match="no_such_chip"):
        measure(run, [OTHER, "no_such_chip"])
    assert not looked


def test_a_folder_without_networks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OfframpError, match="both trainings of the static reference"):
        Networks.of(tmp_path)
