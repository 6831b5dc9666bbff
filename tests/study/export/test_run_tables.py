from __future__ import annotations

import contextlib
import json
import tomllib
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from hwcost.errors import OfframpError
from study.config_io import resolve
from study.export.run_tables import export
from study.results import LATER_TABLES, TABLES, load_run
from tests.study.bench import bench_context, run_trials, static_reference

ENVIRONMENT = {"commit": "abc"}
FILES = {
    *(f"{name}.csv" for name in (*TABLES, *LATER_TABLES)),
    "config.toml",
    "environment.json",
    "static_reference.json",
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    context = bench_context(tmp_path_factory.mktemp("run"))
    study = run_trials(context, 3)
    exported = export(study, context, static_reference(context), ENVIRONMENT)
    return context, study, exported


def test_every_file_is_there_and_no_half_one(written):
    context, _, _ = written
    files = {p.name for p in context.paths.out.iterdir() if p.is_file()}
    assert files >= FILES
    assert not [name for name in files if name.endswith(".tmp")]


def test_what_is_read_is_what_was_written(written):
    context, _, exported = written
    run = load_run(context.paths.out)
    for name in ("trials", "pareto", "designs"):
        ours, theirs = getattr(exported, name), getattr(run, name)
        assert list(theirs.columns) == list(ours.columns)
        numbers = ["accuracy", "mean_latency_cycles", "mean_energy_pj", "mean_edp_pj_cycles", "seconds"]
        # Floats are written in full: to the last bit the same.
        pd.testing.assert_frame_equal(
            theirs[numbers].astype(float), ours[numbers].astype(float), check_exact=True
        )
        words = ["exits", "heads", "weight_bits", "activation_bits", "pe_arrays", "architecture"]
        assert theirs[words].equals(ours[words].astype(theirs[words].dtypes))
        assert theirs["feasible"].tolist() == ours["feasible"].tolist()
    assert run.environment == {**ENVIRONMENT, "skipped_children": exported.skipped.to_json()}
    assert resolve([tomllib.loads((context.paths.out / "config.toml").read_text())]) == context.config
    assert run.static_reference["edp_relative"] == 1
    static = run.designs[run.designs["exits"] == ""]
    assert len(static)  # no exit is an empty text, not a missing value
    assert run.exits["head"].isin(["fc", "fc_hidden", "gap"]).all()
    assert run.layers["head"].dtype == bool


def test_writing_again_changes_nothing(written):
    context, study, _ = written
    before = {name: (context.paths.out / name).read_bytes() for name in FILES}
    export(study, context, static_reference(context), ENVIRONMENT)
    assert {name: (context.paths.out / name).read_bytes() for name in FILES} == before


def test_a_study_without_finished_trials_can_be_read(tmp_path):
    context = bench_context(tmp_path)
    export(run_trials(context, 0), context, static_reference(context), ENVIRONMENT)
    run = load_run(tmp_path)
    assert [len(getattr(run, name)) for name in TABLES] == [0] * 5


def test_on_a_full_disk_the_old_results_stay(written, small_disk):
    """Results of a first export on a small disk; then the disk fills up and a longer study is exported."""
    context, study, _ = written
    there = replace(context, paths=replace(context.paths, out=small_disk))
    reference = static_reference(context)
    small = bench_context(small_disk.parent / "other")
    export(run_trials(small, 1), replace(small, paths=there.paths), reference, ENVIRONMENT)
    before = {p.name: p.read_bytes() for p in small_disk.iterdir() if p.is_file()}
    assert set(before) == FILES
    fill(small_disk / "filler")
    with pytest.raises(OfframpError, match="No space left on device; what was finished is kept"):
        export(study, there, reference, {"commit": "new"})
    after = {p.name: p.read_bytes() for p in small_disk.iterdir() if p.is_file() and p.name != "filler"}
    assert after == before


def fill(path: Path) -> None:
    """Grows a file until the disk is full."""
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as stream:
        while True:
            stream.write(b"x" * 4096)


@pytest.mark.parametrize("name", sorted(FILES - {f"{name}.csv" for name in LATER_TABLES}))
def test_a_missing_file_is_named(written, tmp_path, name):
    context, _, _ = written
    for file in FILES - {name}:
        (tmp_path / file).write_bytes((context.paths.out / file).read_bytes())
    with pytest.raises(OfframpError, match=f"expected {name} in ") as caught:
        load_run(tmp_path)
    assert "\n" not in str(caught.value)


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(OfframpError, match="folder of a run"):
        load_run(tmp_path / "nothing")
    with pytest.raises(OfframpError, match="none; it is written"):
        load_run(tmp_path)


@pytest.mark.parametrize("name", ["environment.json", "config.toml"])
def test_a_damaged_file_is_one_line(written, tmp_path, name):
    context, _, _ = written
    for file in FILES:
        (tmp_path / file).write_bytes((context.paths.out / file).read_bytes())
    (tmp_path / name).write_text("{ [ nonsense")
    with pytest.raises(OfframpError, match="readable results") as caught:
        load_run(tmp_path)
    assert "\n" not in str(caught.value)


def test_the_reference_is_plain_json(written):
    context, _, _ = written
    text = (context.paths.out / "static_reference.json").read_text()
    values = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert values["trained"] == "alone"
