from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
from optuna.trial import TrialState

from study.export.run_tables import evaluated_designs
from study.sampler import GenomeNSGAIISampler
from study.side_by_side import in_order
from study.tables import Design, TableMaker, unique
from tests.reference import pareto_oracle
from tests.study.bench import bench_context, run_trials, static_reference
from tests.study.spaces import OBJECTIVES, record

PROMISED = [
    "trial", "state", "feasible", "source", "split", "accuracy", "accuracy_drop", "mean_latency_cycles",
    "mean_energy_pj", "mean_edp_pj_cycles", "edp_relative", "worst_latency_cycles", "weight_memory_bits", "exits",
    "heads", "weight_bits", "activation_bits", "pe_arrays", "training_samples", "seconds",
]  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Twelve trials, one of them failed, and everything made of them."""
    context = bench_context(tmp_path_factory.mktemp("run"))
    study = run_trials(context, 12)
    failed = study.ask(context.space.distributions())
    failed.set_user_attr("failure", "the loss became NaN")
    study.tell(failed, state=TrialState.FAIL)
    maker = TableMaker(context.hardware, static_reference(context), OBJECTIVES)
    designs = evaluated_designs(study, context)
    pareto, members = maker.pareto(designs)
    trials = study.get_trials(deepcopy=False)
    generations = [t.system_attrs.get(GenomeNSGAIISampler.generation_key()) for t in trials]
    return {
        "context": context, "maker": maker, "designs": designs, "members": members, "pareto": pareto,
        "trials": maker.trials(trials, generations), "exits": maker.exits(members),
        "layers": maker.layers(members[::6]),
    }  # fmt: skip


def test_promised_columns(made):
    assert set(PROMISED) <= set(made["trials"].columns)
    assert set(PROMISED) | {"design", "headline"} <= set(made["pareto"].columns)
    assert set(PROMISED) - {"trial", "state"} <= set(made["maker"].static_reference())
    assert set(made["maker"].static_reference()["best_static"]) >= set(PROMISED) - {"trial", "state"}


def test_trials_have_one_row_each_failed_ones_included(made):
    trials = made["trials"]
    assert trials["trial"].tolist() == list(range(13))
    assert trials["state"].tolist() == ["COMPLETE"] * 12 + ["FAIL"]
    assert trials["failure"].tolist()[-1] == "the loss became NaN"
    assert trials.iloc[-1][["accuracy", "feasible", "training_samples"]].isna().all()
    assert trials["generation"].tolist()[:12] == [i // 4 for i in range(12)]
    assert (trials["split"].dropna() == "validation").all()
    assert trials["finished_seconds"].is_monotonic_increasing


def test_relative_columns_are_relative_to_the_static_reference(made):
    reference, designs = made["maker"].static_reference(), made["maker"].designs(made["designs"])
    assert reference["accuracy_drop"] == 0
    assert reference["edp_relative"] == 1
    np.testing.assert_allclose(designs["accuracy_drop"], reference["accuracy"] - designs["accuracy"])
    np.testing.assert_allclose(
        designs["edp_relative"], designs["mean_edp_pj_cycles"] / reference["mean_edp_pj_cycles"]
    )


def test_designs_are_each_named_once(made):
    frame = made["maker"].designs(made["designs"])
    assert frame["design"].is_unique
    assert {"proposed", "derived"} <= set(frame["source"])
    assert set(frame["trial"]) <= set(range(12))


def test_front_against_a_plain_loop(made):
    usable = [d.record for d in made["designs"] if d.record.feasible and d.record.trained]
    pareto = made["pareto"]
    three = pareto_oracle.front([OBJECTIVES.values(r) for r in usable])
    two = pareto_oracle.front([(-r.accuracy, r.mean_edp_pj_cycles) for r in usable])
    rows = list(
        zip(1 - pareto["accuracy"], pareto["mean_latency_cycles"], pareto["mean_energy_pj"], strict=True)
    )
    assert three <= set(rows)
    headline = pareto[pareto["headline"]]
    assert {(-a, e) for a, e in zip(headline["accuracy"], headline["mean_edp_pj_cycles"], strict=True)} == two
    assert all(row in three for row in zip(*columns_of(pareto[~pareto["headline"]]), strict=True))
    assert pareto["accuracy"].is_monotonic_decreasing


def columns_of(frame):
    return 1 - frame["accuracy"], frame["mean_latency_cycles"], frame["mean_energy_pj"]


def test_exits_add_up_to_their_design(made):
    pareto = made["pareto"].set_index("design")
    last = made["context"].spec.n_blocks - 1
    for name, rows in made["exits"].groupby("design"):
        design = pareto.loc[name]
        assert rows["ratio"].sum() == pytest.approx(1)
        taken = rows[rows["ratio"] > 0]
        assert (taken["ratio"] * taken["leaving_accuracy"]).sum() == pytest.approx(design["accuracy"])
        for column in ("latency_cycles", "energy_pj", "edp_pj_cycles"):
            assert (rows["ratio"] * rows[column]).sum() == pytest.approx(design[f"mean_{column}"])
        assert rows["latency_cycles"].iloc[-1] == design["worst_latency_cycles"]
        assert rows["latency_cycles"].is_monotonic_increasing
        assert [*map(str, rows["block"])] == [*design["exits"].split(), str(last)]
        assert rows["head"].tolist() == design["heads"].split()
        assert pd.isna(rows["threshold"].iloc[-1])
    assert set(made["exits"]["design"]) == set(pareto.index)


def test_layers_add_up_to_the_worst_case(made):
    energy = made["exits"].groupby("design")["energy_pj"].max()
    for name, rows in made["layers"].groupby("design"):
        levels = [c for c in rows.columns if c.startswith("energy_") and c != "energy_pj"]
        assert {"energy_mac_pj", "energy_sram_pj", "energy_dram_pj", "energy_link_pj"} <= set(levels)
        assert rows["energy_pj"].sum() == pytest.approx(energy[name])
        assert rows[levels].sum(axis=1).to_numpy() == pytest.approx(rows["energy_pj"].to_numpy())
        assert rows["layer"].is_unique
        assert rows["segment"].is_monotonic_increasing
    assert set(made["layers"]["op"]) <= {"conv", "linear", "pool", "add"}
    assert set(made["layers"]["design"]) == {d.identifier for d in made["members"][::6]}


def test_proposed_designs_go_before_their_derived_twins():
    proposed, derived = record(), replace(record(), source="derived")
    memo, other = replace(record(), source="memo"), record()
    other = replace(other, genome=replace(other.genome, allocation=(0, 0, 0)))
    designs = [Design(derived, 1), Design(other, 2), Design(proposed, 3), Design(memo, 4)]
    kept = unique(designs)
    assert {(d.trial, d.record.source) for d in kept} == {(3, "proposed"), (2, "proposed")}


def test_no_design_is_empty_tables_with_their_columns(made):
    maker = made["maker"]
    frame, members = maker.pareto([])
    assert (len(frame), members) == (0, [])
    assert set(PROMISED) <= set(frame.columns)
    assert "threshold" in maker.exits([]).columns
    assert len(maker.layers([])) == 0
    assert set(PROMISED) <= set(maker.trials([], []).columns)


def test_processes_make_the_same_layers(made, monkeypatch):
    monkeypatch.setattr("study.tables.in_order", partial(in_order, look_seconds=0, worth_processes=0))
    pd.testing.assert_frame_equal(made["maker"].layers(made["members"][::6], 2), made["layers"])
