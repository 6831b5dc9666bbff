from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from benchmarks import recorded_table
from benchmarks.recorded.rung_searches import WAYS, Budgets, on_front, spend
from benchmarks.recorded.table_file import TableFile
from hwcost.errors import OfframpError
from tests.benchmarks.test_recorded_table import made_up
from tests.reference import pareto_oracle
from tests.study.bench import predictions

SHORT, LONG = 300, 1000


def with_training(table: TableFile, images: int, warm_start: str = "one") -> TableFile:
    """The same networks, after a training that says other things of each."""
    rows = []
    for row in table.rows:
        said = predictions(replace(row.architecture, head_weight_bits=8 if images == LONG else 4))
        rows.append(replace(row, network=replace(said, training_samples=images)))
    return TableFile({**table.about, "warm_start": warm_start}, rows)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rungs")
    table = made_up(folder, every=24)
    with_training(table, SHORT).save(folder / "short.npz")
    with_training(table, LONG).save(folder / "long.npz")
    with_training(table, SHORT, "another").save(folder / "other.npz")
    return folder


@pytest.fixture(scope="module")
def budgets(folder) -> Budgets:
    return Budgets.load(folder / "short.npz", folder / "long.npz")


def test_images_are_those_of_the_trainings(budgets):
    assert (budgets.images("short"), budgets.images("long")) == (SHORT, LONG)
    for way in WAYS:
        spent = spend(budgets, way, 4 * LONG, seed=0)
        first = 0 if way == "long" else spent.networks * SHORT
        assert spent.images[-1] == first + spent.risen * LONG
        assert spent.after(-1) == 0.0
        assert spent.after(int(spent.images.max())) == spent.volumes[-1]
        if way != "short, the front long at the end":
            assert (np.diff(spent.volumes) >= 0).all()
            assert (np.diff(spent.images) >= 0).all()
        else:
            assert spent.risen < spent.networks


def test_all_networks_trained_for_long_are_the_best_there_is(budgets):
    n = len(budgets.long.architectures)
    spent = spend(budgets, "long", n * LONG, seed=1)
    assert spent.networks == n
    assert spent.volumes[-1] == pytest.approx(1.0)


def test_whatever_is_on_the_front_after_the_short_training_was_trained_for_long(budgets):
    n = len(budgets.short.architectures)
    spent = spend(budgets, "short, then long where earned", 2 * n * LONG, seed=2)
    assert spent.networks == n
    values = {key: list(map(tuple, own)) for key, own in budgets.short.derived.items()}
    best = pareto_oracle.front([v for own in values.values() for v in own])
    leading = {key for key, own in values.items() if best & set(own)}
    assert on_front(np.array(sorted(best)), budgets.short.derived) == leading
    assert len(leading) <= spent.risen < n


def test_tables_that_do_not_belong_together_are_refused(folder):
    with pytest.raises(OfframpError, match=r"fewer images a network in .*long\.npz, got 1000 beside 300"):
        Budgets.load(folder / "long.npz", folder / "short.npz")
    with pytest.raises(OfframpError, match="one warm start, got 12 and 12 networks from another and one"):
        Budgets.load(folder / "other.npz", folder / "long.npz")


def test_the_command(folder, tmp_path, monkeypatch, capsys):
    out = tmp_path / "rungs.json"
    arguments = ["run", str(folder / "long.npz"), "--short", str(folder / "short.npz"), "--seeds", "2"]
    monkeypatch.setattr(sys, "argv", ["recorded_table", *arguments, "--evaluations", "5", "--json", str(out)])
    assert recorded_table.main() == 0
    printed = capsys.readouterr().out
    assert all(way in printed for way in WAYS)
    written = json.loads(out.read_text())
    assert list(written["rungs"]) == list(WAYS)
    assert all(0 < way["hypervolume"]["5"] <= 1 for way in written["rungs"].values())


def test_too_few_evaluations_are_one_line(folder, monkeypatch, capsys):
    arguments = ["run", str(folder / "long.npz"), "--short", str(folder / "short.npz"), "--evaluations", "4"]
    monkeypatch.setattr(sys, "argv", ["recorded_table", *arguments])
    assert recorded_table.main() == 2
    assert capsys.readouterr().err == (
        "error: expected --evaluations of at least 5 with --short, got 4; give more\n"
    )
