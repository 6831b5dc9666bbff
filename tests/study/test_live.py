"""A running study's tables beside those of its export."""

from __future__ import annotations

import json

import optuna
import pandas as pd
import pytest

from hwcost.errors import OfframpError
from study.export.run_tables import export
from study.live import ENVIRONMENT_KEY, LiveStudy, find_study, keep_environment, live_study
from study.results import load_run
from study.storage import keep_reference, record_of
from study.tables import Design
from tests.study.bench import bench_context, run_trials, static_reference

ENVIRONMENT = {"data": {"name": "made up", "channels": 1, "classes": [str(i) for i in range(10)]}}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    context = bench_context(tmp_path_factory.mktemp("live") / "run")
    study = run_trials(context, 3)
    reference = static_reference(context)
    keep_reference(study, reference)
    keep_environment(study, ENVIRONMENT)
    export(study, context, reference, ENVIRONMENT)
    return context, study, f"sqlite:///{context.paths.out / 'study.db'}"


def test_tables_of_the_trials_are_those_of_the_export(made):
    context, _, url = made
    live, written = live_study(url, None).results(), load_run(context.paths.out)
    columns = [
        "trial",
        "state",
        "accuracy",
        "mean_latency_cycles",
        "edp_relative",
        "exits",
        "weight_bits",
        "pe_arrays",
    ]
    pd.testing.assert_frame_equal(live.trials[columns], written.trials[columns], check_dtype=False)
    assert live.static_reference == json.loads(json.dumps(written.static_reference))
    proposed = written.designs[written.designs["source"] != "derived"]
    assert set(live.designs["design"]) == set(proposed["design"])
    both = set(live.pareto["design"]) & set(written.pareto["design"])
    for table in ("exits", "layers"):
        ours, theirs = (getattr(r, table) for r in (live, written))
        for design in both:
            mine = ours[ours["design"] == design].reset_index(drop=True)
            other = theirs[theirs["design"] == design].reset_index(drop=True)
            pd.testing.assert_frame_equal(mine[other.columns], other, check_dtype=False)


def test_with_the_folder_of_the_run_the_front_is_that_of_the_export(made):
    context, _, url = made
    live = live_study(url, None, run=context.paths.out)
    results, written = live.results(), load_run(context.paths.out)
    assert (written.pareto["source"] == "derived").any()
    columns = ["design", "trial", "source", "headline", "accuracy", "edp_relative", "pe_arrays"]
    ours, theirs = (r.pareto[columns].sort_values("design", ignore_index=True) for r in (results, written))
    pd.testing.assert_frame_equal(ours, theirs, check_dtype=False)
    again = live.results()  # nothing new, nothing lost
    assert again.pareto["design"].tolist() == results.pareto["design"].tolist()


def test_designs_of_a_network_whose_trial_is_not_stored_yet_wait_for_it(made):
    context, study, url = made
    live = live_study(url, None, run=context.paths.out)
    results = live.results()
    number = int(results.pareto.loc[results.pareto["source"] == "derived", "trial"].iloc[0])
    known = Design(record_of(study.trials[number]), number)
    shown = live._derived(context.evaluator.objectives, [known])
    assert {d.record.genome.architecture for d in shown} == {known.record.genome.architecture}
    assert {d.trial for d in shown} == {number}
    assert live._derived(context.evaluator.objectives, []) == []


def test_layers_are_listed_for_the_members_of_least_product_only(made):
    _, _, url = made
    live = live_study(url, "bench")
    live.most_detailed = 1
    results = live.results()
    cheapest = results.pareto.sort_values("mean_edp_pj_cycles")["design"].iloc[0]
    assert set(results.layers["design"]) == {cheapest}


def test_what_there_was_no_time_for_comes_with_the_next_calls(made):
    context, _, url = made
    whole = live_study(url, None, run=context.paths.out).results()
    live = live_study(url, None, run=context.paths.out)
    first = live.results(0.0)
    assert live.pending
    assert 0 < first.exits["design"].nunique() < whole.exits["design"].nunique()
    assert set(first.trials["trial"]) == set(whole.trials["trial"])
    calls = 1
    while live.pending:
        last = live.results(0.0)
        calls += 1
        assert calls < 100
    for table in ("trials", "designs", "pareto", "exits", "layers"):
        key = ["trial" if table == "trials" else "design"]
        key += {"exits": ["exit"], "layers": ["layer"]}.get(table, [])
        ours, theirs = (getattr(r, table).sort_values(key, ignore_index=True) for r in (last, whole))
        pd.testing.assert_frame_equal(ours, theirs)


def test_members_of_the_headline_front_are_detailed_before_others(made):
    context, _, url = made
    live = live_study(url, None, run=context.paths.out)
    pareto = live.results().pareto
    others = pareto[~pareto["headline"]]
    cheap = others["mean_edp_pj_cycles"].min()
    assert (pareto.loc[pareto["headline"], "mean_edp_pj_cycles"] > cheap).any()  # else the order says nothing
    live.most_detailed = int(pareto["headline"].sum())
    assert set(live.results().exits["design"]) == set(pareto.loc[pareto["headline"], "design"])


def test_without_a_reference_there_is_nothing_to_show_yet(made, tmp_path):
    study = optuna.create_study(directions=["minimize"] * 3)
    assert LiveStudy(study).results() is None


def test_nothing_is_created_and_only_studies_of_study_run_are_taken(made, tmp_path):
    _, _, url = made
    missing = tmp_path / "none.db"
    with pytest.raises(OfframpError, match="which is not there"):
        find_study(f"sqlite:///{missing}", None)
    assert not missing.exists()
    with pytest.raises(OfframpError, match="out of 'bench'"):
        find_study(url, "other")
    optuna.create_study(storage=f"sqlite:///{tmp_path / 'foreign.db'}", study_name="foreign")
    with pytest.raises(OfframpError, match="another maker"):
        find_study(f"sqlite:///{tmp_path / 'foreign.db'}", None)


def test_a_chip_of_ones_own_and_earlier_versions_are_told(made):
    _, study, _ = made
    copy = optuna.create_study(directions=study.directions)
    for key, value in study.user_attrs.items():
        copy.set_user_attr(key, value)
    identity = json.loads(study.user_attrs["identity"])
    identity["hardware"]["accelerator"] = "own.toml (0123456789ab)"
    copy.set_user_attr("identity", json.dumps(identity))
    with pytest.raises(OfframpError, match="--accelerator"):
        LiveStudy(copy).results()
    copy.set_user_attr("identity", study.user_attrs["identity"])
    copy.set_user_attr(ENVIRONMENT_KEY, {})
    with pytest.raises(OfframpError, match="earlier version"):
        LiveStudy(copy).results()
