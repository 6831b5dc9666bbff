from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from optuna.trial import TrialState

from study.export.__main__ import main
from study.export.bibtex import references
from study.export.paper_tables import networks_table
from study.export.run_tables import export
from study.live import keep_environment
from study.results import TABLES, load_run
from study.storage import default_url, keep_reference
from tests.python_sources import ROOT
from tests.study.bench import bench_context, run_trials, static_reference

ENVIRONMENT = {
    "commit": "abc123",
    "data": {"name": "digits", "channels": 1, "classes": [str(digit) for digit in range(10)]},
    "seeds": {"study": 0},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A run that has ended after six trials."""
    out = tmp_path_factory.mktemp("run")
    context = bench_context(out)
    study = run_trials(context, 6)
    reference = static_reference(context)
    keep_reference(study, reference)
    export(study, context, reference, ENVIRONMENT)
    return out


def rows_of(text: str) -> list[list[str]]:
    """Cells of the rows of a LaTeX table, without its title."""
    lines = [line.strip().removesuffix(r" \\") for line in text.splitlines() if line.endswith(r"\\")]
    return [re.split(r" (?<!\\)& ", line) for line in lines][1:]


def test_csv_files_are_those_of_the_run_to_the_byte(folder, tmp_path):
    assert main([str(folder), "--format", "csv", "--out", str(tmp_path)]) == 0
    assert {p.name for p in tmp_path.iterdir()} == {p.name for p in folder.glob("*.csv")}
    assert {f"{name}.csv" for name in TABLES} <= {p.name for p in tmp_path.iterdir()}
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (folder / path.name).read_bytes()


def test_the_networks_table_says_what_the_tables_say(folder, tmp_path):
    assert main([str(folder), "--format", "latex", "--out", str(tmp_path)]) == 0
    run = load_run(folder)
    rows = rows_of((tmp_path / "networks.tex").read_text())
    front = run.pareto[run.pareto["headline"]]
    assert [row[0] for row in rows[:2]] == ["static", "best static"]
    assert [row[0] for row in rows[2:]] == [rf"\texttt{{{d[:6]}}}" for d in front["design"]]
    for row, (_, member) in zip(rows[2:], front.iterrows(), strict=True):
        _, exits, thresholds, accuracy, ratios, product = row
        assert float(accuracy) == pytest.approx(100 * member["accuracy"], abs=0.006)
        assert float(product) == pytest.approx(100 * member["edp_relative"], abs=0.06)
        own = run.exits[run.exits["design"] == member["design"]]
        assert [float(r) for r in ratios.split(" / ")] == pytest.approx(
            (100 * own["ratio"]).tolist(), abs=0.06
        )
        assert len(exits.split()) == len(own)
        assert (thresholds == "--") == (len(own) == 1)
    costs = rows_of((tmp_path / "front.tex").read_text())
    assert [row[0] for row in costs] == [row[0] for row in rows]
    assert all(len(row) == 9 for row in costs)


@pytest.mark.parametrize(
    ("thresholds", "shown"),
    [
        ([0.5, 0.5], "0.500"),
        ([0.50001, 0.50002], "0.500 / 0.500"),  # two, though they print alike
        ([0.99996, 0.25], "0.99996 / 0.250"),  # 1 is what nobody reaches
        ([1.0, 0.9999997], "1.000 / 0.9999997"),
        ([float("inf"), -1.79e308], r"$\infty$ / $-\infty$"),
        ([-1e-05, -1.5], "-0.00001 / -1.500"),  # minus the entropy
    ],
)
def test_thresholds_are_told_apart(folder, thresholds, shown):
    run = load_run(folder)
    member = run.pareto.assign(exits="0 1", heads="fc fc fc", headline=True).iloc[:1]
    own = run.exits.iloc[[0, 0, 0]].assign(
        design=member["design"].iloc[0], exit=[0, 1, 2], threshold=[*thresholds, None]
    )
    rows = rows_of(networks_table(replace(run, pareto=member, exits=own)).text())
    assert rows[-1][2] == shown


def test_a_long_front_is_shown_evenly_with_both_ends(folder, tmp_path):
    assert main([str(folder), "--format", "latex", "--rows", "2", "--out", str(tmp_path)]) == 0
    run = load_run(folder)
    front = run.pareto[run.pareto["headline"]]["design"].tolist()
    rows = rows_of((tmp_path / "networks.tex").read_text())
    assert len(front) > 2
    assert [row[0] for row in rows[2:]] == [rf"\texttt{{{d[:6]}}}" for d in (front[0], front[-1])]


@pytest.mark.parametrize("sampler", ["nsga2", "nsga2-optuna", "nsga3", "tpe", "random", "gp"])
def test_references_are_well_formed_and_fit_the_study(sampler):
    config = {"search": {"sampler": sampler}, "backbone": {"name": "resnet18"}}
    text = references(config, {"commit": "abc123", "data": {"name": "cifar10-jpeg"}})
    keys = re.findall(r"^@\w+\{([^,]+),$", text, re.MULTILINE)
    assert len(keys) == len(set(keys))
    assert {"offramp", "arxiv2512.04705", "optuna", "brevitas", "resnet", "cifar10"} <= set(keys)
    wanted = {"nsga2": {"nsga2"}, "nsga2-optuna": {"nsga2"}, "nsga3": {"nsga3"}, "tpe": {"motpe"}}
    assert {"nsga2", "nsga3", "motpe"} & set(keys) == wanted.get(sampler, set())
    for entry in re.split(r"^(?=@)", text, flags=re.MULTILINE)[1:]:
        assert entry.count("{") == entry.count("}")
        assert entry.rstrip().endswith("}")
    assert "commit abc123" in text
    assert "cifar10" not in references(config, {"data": {"name": "digits"}})


def test_a_running_study_is_exported_from_its_storage(tmp_path, capsys):
    """Its folder has no tables yet; what is not there yet is said."""
    context = bench_context(tmp_path / "run")
    study = run_trials(context, 5)
    keep_reference(study, static_reference(context))
    keep_environment(study, ENVIRONMENT)
    study.ask(context.space.distributions())
    before = {
        p: p.stat().st_mtime_ns for p in context.paths.out.rglob("*") if p.suffix in (".csv", ".npz", ".toml")
    }
    assert main([str(tmp_path / "run"), "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "not there yet: designs derived from networks that were trained in other folders" in said
    assert "not there yet: 1 trial(s) in progress" in said
    names = {p.name for p in (tmp_path / "out").iterdir()}
    assert names >= {"trials.csv", "pareto.csv", "designs.csv", "networks.tex", "front.tex", "references.bib"}
    after = {
        p: p.stat().st_mtime_ns for p in context.paths.out.rglob("*") if p.suffix in (".csv", ".npz", ".toml")
    }
    assert after == before
    # The storage alone says the same.
    url = default_url(tmp_path / "run")
    assert main(["--storage", url, "--study-name", "bench", "--out", str(tmp_path / "two")]) == 0
    for name in ("trials.csv", "pareto.csv"):
        assert (tmp_path / "two" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()
    # When the run has ended its own tables say the same of every trial, to the byte.
    study.tell(5, state=TrialState.FAIL)
    assert main([str(tmp_path / "run"), "--format", "csv", "--out", str(tmp_path / "out")]) == 0
    export(study, context, static_reference(context), ENVIRONMENT)
    ended = (context.paths.out / "trials.csv").read_text()
    assert (tmp_path / "out" / "trials.csv").read_text() == ended
    assert len(pd.read_csv(context.paths.out / "trials.csv")) == 6


def test_tables_that_are_behind_the_storage_are_not_exported(tmp_path):
    """A run that was stopped and goes on: its tables are of the first part."""
    context = bench_context(tmp_path)
    study = run_trials(context, 2)
    keep_reference(study, static_reference(context))
    keep_environment(study, ENVIRONMENT)
    export(study, context, static_reference(context), ENVIRONMENT)
    run_trials(context, 2)
    assert main([str(tmp_path), "--format", "csv"]) == 0
    assert len(pd.read_csv(tmp_path / "export" / "trials.csv")) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "a run's folder or --storage"),
        (["nowhere"], "expected the folder of a run"),
        (["--storage", "sqlite:///nowhere.db"], "expected the file of a study's storage"),
        (["nowhere", "--rows", "0"], "--rows of at least 1"),
        (["nowhere", "--format", "word"], "invalid choice: 'word'"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(options, message, capsys):
    try:
        code = main(options)
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


@pytest.mark.parametrize("module", ["study.export", "study.compare"])
def test_help_loads_nothing_heavy(module):
    code = f"""
import contextlib, importlib, io, runpy, sys
sys.argv = ["x", "--help"]
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
    runpy.run_module({module!r}, run_name="__main__")
heavy = {{"torch", "optuna", "pandas", "moocore", "scipy"}} & set(sys.modules)
assert not heavy, heavy
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr
