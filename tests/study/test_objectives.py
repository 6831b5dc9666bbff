"""Every metric as objective and with a bound, at all voltage and frequency levels, through the real command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import optuna
import pytest

from study.metrics import METRIC_NAMES
from study.results import RunResults, load_run
from tests.reference import pareto_oracle
from tests.study.chips import FIXED_MM2, PER_PE_MM2, chip_with_areas
from tests.study.command import run_study

TRIALS = 8
BOUNDS = {
    "error": "95 %",
    "mean_latency": "60 us",
    "mean_energy": "20 uJ",
    "mean_edp": "1.5 uJ ms",
    "worst_latency": 1.2,
    "weight_memory": "128 KiB",
    "area": "4 mm2",
}
COLUMNS = [
    "error", "mean_latency_seconds", "mean_energy_joules", "mean_edp_joule_seconds", "worst_latency_seconds",
    "weight_memory_bits", "area_mm2",
]  # fmt: skip
LIMITS = [0.95, 60e-6, 20e-6, 1.5e-9, None, 128 * 8192, 4.0]


def options(chip: str, **bounds: object) -> list[str]:
    sets = {
        "search.objectives": list(METRIC_NAMES),
        "space.levels": "all",
        "space.policy_targets": [0.01],  # with all five of them tables of thousands of members take minutes
        **{f"constraints.{name}": bound for name, bound in (BOUNDS | bounds).items()},
    }
    assigned = [text for key, value in sets.items() for text in ("--set", f"{key}={json.dumps(value)}")]
    return ["--trials", str(TRIALS), "--accelerator", chip, "--study-name", "chip", *assigned]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, study_cache: Path) -> Path:
    folder = tmp_path_factory.mktemp("objectives")
    chip = chip_with_areas(folder)
    done = run_study(folder, study_cache, *options(chip.name))
    assert done.returncode == 0, done.stderr
    (folder / "stdout.txt").write_text(done.stdout, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def results(folder: Path) -> RunResults:
    return load_run(folder / "runs" / "chip")


def test_the_storage_names_every_objective_with_its_unit(folder: Path, results: RunResults) -> None:
    study = optuna.load_study(study_name="chip", storage=f"sqlite:///{folder}/runs/chip/study.db")
    assert study.metric_names == COLUMNS
    trials = results.trials.set_index("trial")
    for trial in study.get_trials(states=(optuna.trial.TrialState.COMPLETE,)):
        row = trials.loc[trial.number]
        told = [1 - row["accuracy"], *(row[column] for column in COLUMNS[1:])]
        assert trial.values == pytest.approx(told)
    meaning = study.user_attrs["genes"]["level"]
    assert meaning == "0: low (0.65 V, 350 MHz), 1: nominal (0.8 V, 500 MHz), 2: high (0.95 V, 600 MHz)"


def test_feasible_designs_meet_every_bound_and_others_break_one(results: RunResults) -> None:
    designs = results.designs.assign(error=1 - results.designs["accuracy"])
    limits = list(LIMITS)
    limits[4] = 1.2 * results.static_reference["worst_latency_seconds"]
    excess = np.stack(
        [designs[column] / limit - 1 for column, limit in zip(COLUMNS, limits, strict=True)], axis=1
    )
    trained = designs["training_samples"].gt(0) | designs["source"].isin(["memo", "derived"])
    worst = np.maximum(excess.max(axis=1), 0.0)
    np.testing.assert_allclose(designs["violation"][trained], worst[trained], atol=1e-9)
    assert (designs["feasible"] == (designs["violation"] == 0)).all()
    assert designs["feasible"].any()
    assert trained[designs["feasible"]].all()


def test_levels_areas_and_units_fit_together(results: RunResults) -> None:
    designs = results.designs
    clocks = {"low": 3.5e8, "nominal": 5e8, "high": 6e8}
    assert {str(level) for level in designs["level"]} == set(clocks)
    assert (designs["clock_hz"] == designs["level"].map(clocks)).all()
    for name in ("mean_latency", "worst_latency"):
        np.testing.assert_allclose(designs[f"{name}_seconds"], designs[f"{name}_cycles"] / 5e8)
    np.testing.assert_allclose(designs["mean_energy_joules"], designs["mean_energy_pj"] * 1e-12)
    np.testing.assert_allclose(designs["mean_edp_joule_seconds"], designs["mean_edp_pj_cycles"] * 1e-12 / 5e8)
    pes = [
        sum(int(np.prod([int(n) for n in array.split("x")])) for array in row.split())
        for row in designs["pe_arrays"]
    ]
    np.testing.assert_allclose(designs["area_mm2"], 4 * FIXED_MM2 + PER_PE_MM2 * np.array(pes))
    assert results.static_reference["level"] == "nominal"


def test_the_front_is_that_of_all_objectives(results: RunResults) -> None:
    designs = results.designs.assign(error=1 - results.designs["accuracy"])
    usable = designs[designs["feasible"]]
    points = list(usable[COLUMNS].itertuples(index=False, name=None))
    front = pareto_oracle.front(points)
    pareto = results.pareto.assign(error=1 - results.pareto["accuracy"])
    members = set(pareto[COLUMNS].itertuples(index=False, name=None))
    assert front <= members
    headline = set(pareto[pareto["headline"]][COLUMNS].itertuples(index=False, name=None))
    assert members <= front | headline


def test_the_table_is_in_seconds_and_shows_what_else_is_minimised(folder: Path) -> None:
    printed = (folder / "stdout.txt").read_text(encoding="utf-8")
    table = printed[printed.index("Front in accuracy") :]
    for word in ("worst latency", "weight memory", "area", "level", " us", "KiB", " mm2"):
        assert word in table
    assert "kcy" not in table
    assert "hypervolume" in printed
    assert "no predictions with 7 objectives (at most 4)" in printed
    assert (folder / "runs" / "chip" / "report.html").exists()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"mean_latency": "61 us"},
            "constraints.mean_latency: the study has '6e-05 s', asked for '6.1e-05 s'",
        ),
        ({"worst_latency": 1.3}, "constraints.worst_latency: the study has 1.2, asked for 1.3"),
        ({"error": "none"}, "constraints.error: the study has '95 %', asked for 'none'"),
    ],
)
def test_other_bounds_under_the_same_name_are_refused(folder: Path, study_cache: Path, changed, said) -> None:
    done = run_study(folder, study_cache, *options("chip.toml", **changed))
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_the_same_bound_in_another_unit_goes_on(folder: Path, study_cache: Path) -> None:
    done = run_study(folder, study_cache, *options("chip.toml", mean_latency="0.06 ms", area="400e4 um2"))
    assert done.returncode == 0, done.stderr
