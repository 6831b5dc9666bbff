"""Predictions on a table with made-up networks: what is put together from exits is what a record says."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from benchmarks import predictor
from benchmarks.recorded.table_study import TableStudy
from study.surrogate import GeneEncoding, rank_correlation
from tests.benchmarks.test_recorded_table import made_up


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> TableStudy:
    return TableStudy.of(made_up(tmp_path_factory.mktemp("table"), every=4))


@pytest.fixture(scope="module")
def designs(study) -> predictor.Designs:
    encoding = GeneEncoding(study.space.genes(), study.space.ordered_genes())
    return predictor.drawn(study, encoding, np.random.default_rng(0))


def test_objectives_follow_from_what_leaves_at_each_exit(designs):
    leaving, right = np.nan_to_num(designs.leaving), np.nan_to_num(designs.right)
    np.testing.assert_allclose(leaving.sum(axis=1), 1.0)
    np.testing.assert_allclose(1 - right.sum(axis=1), designs.values[:, 0])
    np.testing.assert_allclose((leaving * np.nan_to_num(designs.latency)).sum(axis=1), designs.values[:, 1])
    np.testing.assert_allclose((leaving * np.nan_to_num(designs.energy)).sum(axis=1), designs.values[:, 2])


def test_a_linear_function_of_the_genes_is_predicted(designs):
    """For networks that were not measured, and with deviations that say how far off it is."""
    rng = np.random.default_rng(1)
    weights = rng.normal(size=designs.features.shape[1])
    values = (designs.features @ weights)[:, None]
    mean, deviation = predictor.predict_columns(designs.features[:40], values[:40], designs.features[40:], 8)
    assert rank_correlation(mean[:, 0], values[40:, 0]) > 0.9
    assert (np.abs(mean - values[40:]) <= 4 * deviation).mean() > 0.9


def test_an_exit_that_a_design_has_not_gets_no_inputs(designs):
    objectives = predictor.from_exits(
        designs.take(np.arange(40)), designs.take(np.arange(40, len(designs.values))), 8
    )
    others = designs.take(np.arange(40, len(designs.values)))
    assert (objectives[:, 1] >= np.nanmin(others.latency, axis=1)).all()
    assert (objectives[:, 1] <= np.nanmax(others.latency, axis=1)).all()
    assert ((objectives[:, 0] >= 0) & (objectives[:, 0] <= 1)).all()


def test_the_command(study, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(TableStudy, "load", classmethod(lambda cls, path: study))
    out = tmp_path / "predictor.json"
    monkeypatch.setattr(
        sys, "argv", ["predictor", "table.npz", "--seeds", "2", "--measured", "20", "--json", str(out)]
    )
    assert predictor.main() == 0
    assert "objectives: error, rank correlation" in capsys.readouterr().out
    assert 0 < json.loads(out.read_text())["20"]["objectives: mean latency, rank correlation"] <= 1


def test_a_table_that_is_not_there(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["predictor", "nowhere.npz"])
    assert predictor.main() == 2
    assert capsys.readouterr().err.startswith("error: expected")
