"""One whole study through the real command: data, pre-training, trials, tables, report, resuming, refusal."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest

from study.results import RunResults, load_run
from tests.study.command import run_study

TRIALS = 8

REQUIRED = [
    "trial", "state", "feasible", "source", "split", "accuracy", "accuracy_drop", "mean_latency_cycles",
    "mean_energy_pj", "mean_edp_pj_cycles", "edp_relative", "worst_latency_cycles", "weight_memory_bits", "exits",
    "heads", "weight_bits", "activation_bits", "pe_arrays", "training_samples", "seconds",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, study_cache: Path) -> Path:
    """A folder in which the tiny quickstart has run."""
    folder = tmp_path_factory.mktemp("study")
    done = run_study(folder, study_cache, "--trials", str(TRIALS), "--json", "figures.json")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    (folder / "stdout.txt").write_text(done.stdout, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def results(folder: Path) -> RunResults:
    return load_run(folder / "runs" / "quickstart")


def test_exactly_the_trials_asked_for_are_finished(folder: Path, results: RunResults) -> None:
    study = optuna.load_study(study_name="quickstart", storage=f"sqlite:///{folder}/runs/quickstart/study.db")
    complete = [t for t in study.trials if t.state == optuna.trial.TrialState.COMPLETE]
    assert len(complete) == TRIALS == (results.trials["state"] == "COMPLETE").sum()
    assert study.metric_names == ["error", "mean_latency_cycles", "mean_energy_pj"]
    assert len({t.number for t in complete}) == TRIALS


def test_tables_have_the_documented_columns(results: RunResults) -> None:
    documented = Path("docs/csv.md").read_text(encoding="utf-8")
    for frame in (results.trials, results.pareto, results.designs, results.exits, results.layers):
        for column in frame.columns:
            stem = "energy_<level>_pj" if column.startswith("energy_") and column != "energy_pj" else column
            assert f"`{stem}`" in documented, column
    for frame in (results.trials, results.pareto):
        assert [c for c in REQUIRED if c not in frame.columns] == []
    assert [c for c in REQUIRED if c != "trial" and c not in results.static_reference] == []


def test_a_second_generation_happened(results: RunResults) -> None:
    assert results.trials["generation"].max() >= 1


def test_relative_columns_follow_from_the_reference(results: RunResults) -> None:
    reference, designs = results.static_reference, results.designs
    np.testing.assert_allclose(
        designs["edp_relative"], designs["mean_edp_pj_cycles"] / reference["mean_edp_pj_cycles"]
    )
    np.testing.assert_allclose(designs["accuracy_drop"], reference["accuracy"] - designs["accuracy"])
    assert reference["edp_relative"] == 1
    assert reference["accuracy"] == max(reference["accuracy_alone"], reference["accuracy_jointly"])
    assert reference["best_static"]["edp_relative"] <= 1


def test_exits_give_the_means_of_their_design(results: RunResults) -> None:
    pareto = results.pareto.set_index("design")
    for design, rows in results.exits.groupby("design"):
        assert rows["ratio"].sum() == pytest.approx(1)
        row = pareto.loc[design]
        for column, mean in (("latency_cycles", "mean_latency_cycles"), ("energy_pj", "mean_energy_pj"),
                             ("edp_pj_cycles", "mean_edp_pj_cycles")):  # fmt: skip
            assert (rows["ratio"] * rows[column]).sum() == pytest.approx(row[mean])
        assert rows["latency_cycles"].is_monotonic_increasing
        assert rows["latency_cycles"].iloc[-1] == pytest.approx(row["worst_latency_cycles"])
        leaving = rows["leaving_accuracy"].fillna(0)
        assert (rows["ratio"] * leaving).sum() == pytest.approx(row["accuracy"])


def test_layers_add_up_to_the_worst_case_energy(results: RunResults) -> None:
    last = results.exits.sort_values("exit").groupby("design").last()
    for design, rows in results.layers.groupby("design"):
        assert rows["energy_pj"].sum() == pytest.approx(last.loc[design, "energy_pj"])
        parts = rows[[c for c in rows.columns if c.startswith("energy_") and c != "energy_pj"]]
        np.testing.assert_allclose(parts.sum(axis=1), rows["energy_pj"])


def test_the_front_is_not_dominated(results: RunResults) -> None:
    usable = results.designs[results.designs["feasible"]]
    cost = ["mean_latency_cycles", "mean_energy_pj"]
    for row in results.pareto[~results.pareto["headline"]].to_dict("records"):
        better = (usable["accuracy"] >= row["accuracy"]) & (usable[cost] <= [row[c] for c in cost]).all(
            axis=1
        )
        strictly = (usable["accuracy"] > row["accuracy"]) | (usable[cost] < [row[c] for c in cost]).any(
            axis=1
        )
        assert not (better & strictly).any()
    for row in results.pareto[results.pareto["headline"]].to_dict("records"):
        better = (usable["accuracy"] >= row["accuracy"]) & (
            usable["mean_edp_pj_cycles"] < row["mean_edp_pj_cycles"]
        )
        assert not better.any()


def test_infeasible_designs_were_not_trained(results: RunResults) -> None:
    complete = results.trials[results.trials["state"] == "COMPLETE"]
    infeasible = complete[~complete["feasible"].astype(bool)]
    assert (infeasible["training_samples"] == 0).all()
    assert (complete["violation"] > 0).eq(~complete["feasible"].astype(bool)).all()
    assert not (results.pareto["violation"] > 0).any()


def test_results_say_which_split_and_name_no_folder(folder: Path, results: RunResults) -> None:
    for frame in (results.pareto, results.designs, results.exits):
        assert set(frame["split"]) == {"validation"}
    run = folder / "runs" / "quickstart"
    for name in ("environment.json", "config.toml", "static_reference.json"):
        text = (run / name).read_text(encoding="utf-8")
        assert str(folder) not in text
        assert str(Path.home()) not in text
    environment = json.loads((run / "environment.json").read_text(encoding="utf-8"))
    assert environment["versions"]["optuna"] == optuna.__version__
    assert environment["data"]["fingerprint"]


def test_the_terminal_shows_the_front_and_what_to_do_next(folder: Path) -> None:
    stdout = (folder / "stdout.txt").read_text(encoding="utf-8")
    for expected in (
        "static",
        "hypervolume",
        "feasible",
        "dashboards.serve",
        "dashboards.report",
        "pareto.csv",
    ):
        assert expected in stdout
    figures = json.loads((folder / "figures.json").read_text(encoding="utf-8"))
    assert figures["finished_trials"] == TRIALS


def test_the_report_is_one_file_with_every_front_member(folder: Path, results: RunResults) -> None:
    html = (folder / "runs" / "quickstart" / "report.html").read_text(encoding="utf-8")
    assert all(design in html for design in results.pareto["design"])
    assert "<script src=" not in html


def test_another_configuration_under_the_same_name_is_refused(folder: Path, study_cache: Path) -> None:
    again = run_study(folder, study_cache, "--trials", str(TRIALS), "--seed", "5")
    assert again.returncode == 2
    assert "search.seed: the study has 0, asked for 5" in again.stderr
    assert "Traceback" not in again.stderr


def test_the_same_command_with_more_trials_goes_on(folder: Path, study_cache: Path) -> None:
    """Last in this file: it adds trials to the study the others look at."""
    run = folder / "runs" / "quickstart"
    before = pd.read_csv(run / "trials.csv")
    first = json.loads((run / "environment.json").read_text(encoding="utf-8"))
    reference = (run / "static_reference.json").read_text(encoding="utf-8")
    # Predictions of the reference's trainings are gone: the study keeps the reference it was begun with.
    for path in (run / "predictions").glob("*.npz"):
        path.unlink()
    again = run_study(folder, study_cache, "--trials", str(TRIALS + 2), "--workers", "1")
    assert again.returncode == 0, again.stderr
    assert (run / "static_reference.json").read_text(encoding="utf-8") == reference
    after = pd.read_csv(run / "trials.csv")
    assert (after["state"] == "COMPLETE").sum() == TRIALS + 2
    pd.testing.assert_frame_equal(after.iloc[: len(before)], before, check_dtype=False)
    environment = json.loads((run / "environment.json").read_text(encoding="utf-8"))
    assert [how["command"] for how in environment["before"]] == [first["command"]]
    assert environment["command"] != first["command"]


@pytest.mark.slow
def test_several_rungs_train_some_networks_longer_and_only_those_lead(
    tmp_path: Path, study_cache: Path
) -> None:
    done = run_study(tmp_path, study_cache, "--trials", "12", "--set", "search.rungs=[1.0, 3.0]")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    results = load_run(tmp_path / "runs" / "quickstart")
    trained = results.trials[results.trials["training_samples"] > 0].set_index("trial")
    assert set(trained["rung"]) == {0, 1}
    least = trained["training_samples"].min()
    assert (trained["training_samples"][trained["rung"] == 0] == least).all()
    assert (trained["training_samples"][trained["rung"] == 1] > 3 * least).all()
    assert (results.pareto["rung"] == 1).all()
    derived = results.designs[results.designs["source"] == "derived"]
    reached = trained.groupby("network")["rung"].max()
    assert (derived["rung"] == derived["network"].map(reached)).all()
    # What follows from every network after the first training is what the predictor learns from.
    files = [path.stem for path in (tmp_path / "runs" / "quickstart" / "derived").glob("*.jsonl")]
    first, second = ({f[:-2] for f in files if f.endswith(end)} for end in ("-0", "-1"))
    assert second < first
    assert len(first) == trained["network"].nunique()
    assert len(second) == trained["network"][trained["rung"] == 1].nunique()
