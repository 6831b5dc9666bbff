"""Curves of thresholds against a plain loop over samples, and what must hold for any curve."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from study.export.run_tables import evaluated_designs
from study.leaving_out import derive_keeping
from study.policy_curves import COLUMNS, DROPS, policy_curves, shared_thresholds, threshold_text
from study.side_by_side import in_order
from study.tables import Design, TableMaker
from tests.study.bench import bench_context, run_trials, static_reference


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    context = bench_context(tmp_path_factory.mktemp("run"))
    maker = TableMaker(context.hardware, static_reference(context), context.evaluator.objectives)
    designs = evaluated_designs(run_trials(context, 4), context)
    early = [d for d in designs if d.record.feasible and d.record.genome.architecture.exits]
    whole = next(d for d in early if len(d.record.genome.architecture.exits) > 1)
    network = context.evaluator.longest_known(whole.record.network)
    parts = derive_keeping(context.evaluator, whole.record.network, network, [whole.record.network.exits[1:]])
    early = [*early[::5], Design(parts[0], whole.trial)]
    reference = maker.reference.record.mean_edp_pj_cycles
    curves = policy_curves(early, context.evaluator.longest_known, context.hardware, "max_softmax", reference)
    return context, early, curves, reference


@pytest.mark.parametrize("fewer", [False, True])
def test_points_against_a_loop_over_samples(made, fewer):
    context, members, curves, reference = made
    design = next(m for m in members if (m.record.trained_as is not None) == fewer)
    genome, whole = design.record.genome, design.record.network
    columns = [whole.exits.index(block) for block in genome.architecture.exits] + [len(whole.exits)]
    predictions = context.evaluator.longest_known(whole).validation.select(columns)
    costs = context.hardware.stage_costs(genome.architecture, np.array([genome.allocation]))
    rows = curves[curves["design"] == design.identifier]
    for row in rows.iloc[::7].to_dict("records"):
        words = [float(word) for word in row["thresholds"].split()]
        left, right, product = np.zeros(len(words) + 1), 0, 0.0
        for scores, correct in zip(predictions.confidence, predictions.correct, strict=True):
            taken = next((k for k, t in enumerate(words) if float(scores[k]) >= t), len(words))
            left[taken] += 1
            right += bool(correct[taken])
            product += costs.latency_cycles[0, taken] * costs.energy_pj[0, taken]
        n = len(predictions.correct)
        assert [float(r) for r in row["ratios"].split()] == pytest.approx(left / n, abs=1e-5)
        assert row["accuracy"] == pytest.approx(right / n)
        assert row["edp_relative"] == pytest.approx(product / n / reference)


def test_every_member_has_both_curves_from_one_end_to_the_other(made):
    _, members, curves, _ = made
    assert tuple(curves.columns) == COLUMNS
    assert set(curves["design"]) == {m.identifier for m in members}
    for _, rows in curves.groupby("design"):
        shared = rows[rows["curve"] == "shared"]
        assert float(shared["ratios"].iloc[0].split()[0]) == 1  # everybody leaves at the first exit
        assert float(shared["ratios"].iloc[-1].split()[-1]) == 1  # nobody leaves early
        assert shared["mean_edp_pj_cycles"].is_monotonic_increasing
        tuned = rows[rows["curve"] == "per_exit"]
        assert tuned["target"].tolist() == list(DROPS)
        assert (tuned["split"] == "validation").all()


def test_thresholds_rise_and_end_beyond_every_score(made):
    context, members, _, _ = made
    predictions = context.evaluator.longest_known(members[0].record.genome.architecture).validation
    values = shared_thresholds(predictions, "max_softmax")
    assert (np.diff(values) > 0).all()
    assert values[0] == predictions.confidence[:, :-1].min()
    assert values[-1] == np.inf


@given(st.floats(-4.0, 1.0, width=32) | st.floats(0.9990234375, 1.0, width=32))
@example(0.999999701976776123046875)
@example(0.999999940395355224609375)
@example(-1.1920928955078125e-07)
def test_a_threshold_as_it_is_written_lets_the_same_samples_leave(score):
    written = float(threshold_text(score))
    assert written <= score
    assert written > float(
        np.nextafter(np.float32(score), np.float32(-5))
    )  # the next score there can be stays
    assert np.float32(written) == np.float32(score)


def test_the_ends_of_the_number_line_are_written_as_the_table_says():
    assert threshold_text(np.inf) == "inf"
    assert -np.inf < float(threshold_text(-np.finfo(float).max)) < -1e300
    assert [threshold_text(t) for t in (0.0, 1.0, 2.0)] == ["0", "1", "2"]  # counts, with the score patience


def test_static_designs_and_lost_predictions_have_no_rows(made):
    context, members, _, reference = made
    for chosen, find in ((members, lambda _: None), ([], context.evaluator.longest_known)):
        frame = policy_curves(chosen, find, context.hardware, "max_softmax", reference)
        assert frame.empty
        assert tuple(frame.columns) == COLUMNS


def test_processes_make_the_same_table(made, monkeypatch):
    context, members, curves, reference = made
    at_once = partial(in_order, look_seconds=0, worth_processes=0)
    monkeypatch.setattr("study.policy_curves.in_order", at_once)
    find, hardware = context.evaluator.longest_known, context.hardware
    pd.testing.assert_frame_equal(policy_curves(members, find, hardware, "max_softmax", reference, 2), curves)
