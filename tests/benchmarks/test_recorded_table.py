from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import recorded_table
from benchmarks.recorded.baselines import baselines, best_of
from benchmarks.recorded.parts import search_part, subsets
from benchmarks.recorded.searches import PLAYERS, Player, evaluations_to_reach, play
from benchmarks.recorded.space import BITS, EXITS, PARTS, RecordedSpace
from benchmarks.recorded.table_file import Recorded, TableFile, from_levels, to_levels
from benchmarks.recorded.table_study import TableStudy
from hwcost.errors import OfframpError
from models.architecture import Architecture
from study.config_io import to_toml
from study.exit_sets import keeping
from study.leaving_out import network_with, sets_to_derive
from tests.study.bench import CLASSES, bench_context, predictions


def made_up(folder: Path, every: int = 1) -> TableFile:
    """A table of the real space with made-up predictions, on few allocations so that it is quick."""
    context = bench_context(folder, space={"allocation": False})
    architectures = RecordedSpace(context.space).architectures()[::every]
    rows = [Recorded(a, "candidate", predictions(a)) for a in architectures]
    static = context.hardware.static_architecture
    rows += [Recorded(static, role, predictions(static)) for role in ("alone", "jointly")]
    data = {"classes": CLASSES, "channels": 1}
    return TableFile({"config": to_toml(context.config), "data": data}, rows)


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> TableFile:
    return made_up(tmp_path_factory.mktemp("table"), every=12)


@pytest.fixture(scope="module")
def table_with_static_networks(table, tmp_path_factory) -> TableFile:
    """Those of the table, and every static one with the reference's head."""
    space = RecordedSpace(bench_context(tmp_path_factory.mktemp("static")).space, ("bits",))
    there = {row.architecture.key() for row in table.rows if row.role == "candidate"}
    added = [Recorded(a, "candidate", predictions(a)) for a in space.architectures() if a.key() not in there]
    return TableFile(table.about, [*added, *table.rows])


@pytest.fixture(scope="module")
def study(table) -> TableStudy:
    return TableStudy.of(table)


@pytest.fixture(scope="module")
def study_with_static_networks(table_with_static_networks) -> TableStudy:
    return TableStudy.of(table_with_static_networks)


def test_the_space_names_each_network_once(tmp_path):
    space = RecordedSpace(bench_context(tmp_path).space)
    architectures = space.architectures()
    assert len(architectures) == 16 * 2 * 9
    keys = {a.key() for a in architectures}
    assert len(keys) == len(architectures)
    rng = np.random.default_rng(0)
    for _ in range(50):
        genome = space.decode(space.random(rng))
        assert genome.architecture.key() in keys
        assert genome == space.whole.decode(space.whole.encode(genome))  # the study knows every one of them
        assert genome == space.decode(space.encode(genome))
    for every_exit in (False, True):
        founders = list(space.founders(every_exit))
        assert all(
            space.decode(genes).architecture.key() in keys for variants in founders for genes in variants
        )
        firsts = [space.decode(variants[0]).architecture for variants in founders]
        assert len({a.key() for a in firsts}) == len(firsts)
        # every bit width once with exits that are far apart, or with all of them
        spread = EXITS if every_exit else EXITS[1::2]
        assert {a.weight_bits[0] for a in firsts if a.exits == spread} == set(BITS)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0.1, 1.0), min_size=2, max_size=20))
def test_levels_keep_the_order_of_confidences_and_their_place(values):
    exact = np.array(values)
    kept = from_levels(to_levels(exact))
    assert (np.diff(kept[np.argsort(exact)]) >= 0).all()
    log_odds = [np.log(v) - np.log1p(-np.clip(v, 0, 1 - 1e-5)) for v in (exact, kept)]
    assert np.abs(log_odds[0] - log_odds[1]).max() < 0.1


def test_what_is_read_is_what_was_written(table, tmp_path):
    table.save(tmp_path / "table.npz")
    read = TableFile.load(tmp_path / "table.npz")
    assert [r.architecture for r in read.rows] == [r.architecture for r in table.rows]
    assert [r.role for r in read.rows][-3:] == ["candidate", "alone", "jointly"]
    for mine, theirs in zip(table.rows, read.rows, strict=True):
        for split in ("calibration", "validation"):
            before, after = getattr(mine.network, split), getattr(theirs.network, split)
            assert np.array_equal(before.correct, after.correct)
            assert np.abs(before.confidence - after.confidence).max() < 0.02
    # One byte a confidence and one bit an answer, before they are compressed.
    samples = 2 * 200 * sum(r.architecture.n_exits for r in table.rows)
    assert (tmp_path / "table.npz").stat().st_size < samples * 9 / 8 + 40_000


@pytest.mark.parametrize("damage", ["cut", "text", "missing"])
def test_a_damaged_table_is_one_line(table, tmp_path, damage):
    path = tmp_path / "table.npz"
    table.save(path)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-2000])
    elif damage == "text":
        path.write_text("no table")
    else:
        path.unlink()
    with pytest.raises(OfframpError, match=r"expected a table .* in table.npz") as caught:
        TableStudy.load(path)
    assert "\n" not in str(caught.value)


def test_a_table_of_another_space_is_refused(table):
    other = Architecture.static(12, "conv1")
    with pytest.raises(
        OfframpError, match="expected networks of this version's recorded space, got 1 others"
    ):
        TableStudy.of(TableFile(table.about, [*table.rows, Recorded(other, "candidate", predictions(other))]))


def test_results_are_those_of_a_study_with_the_same_predictions(study, tmp_path):
    context = bench_context(tmp_path, space={"allocation": False})
    rng = np.random.default_rng(1)
    compared = 0
    while compared < 5:
        genes = study.space.random(rng)
        if not study.costing().meet([genes])[0]:
            continue
        genome = study.space.decode(genes)
        here, there = study.evaluate(genome), context.evaluator.evaluate(genome)
        assert (here.accuracy, here.mean_energy_pj) == (there.accuracy, there.mean_energy_pj)
        compared += 1


def unbeaten(values: set[tuple[float, ...]]) -> set[tuple[float, ...]]:
    """Values that no other is at least as good as in everything, each looked at beside all."""
    points = np.array(sorted(values))
    return {
        tuple(point)
        for point in points.tolist()
        if not ((points <= point).all(axis=1) & (points < point).any(axis=1)).any()
    }


def rows(points: np.ndarray) -> set[tuple[float, ...]]:
    return {tuple(row) for row in points.tolist()}


def test_the_best_front_is_that_of_every_design(study):
    evaluator = study.evaluator
    everything = set()
    for architecture in study.architectures:
        network = evaluator.memo.find(architecture)
        for exits in sets_to_derive(evaluator, architecture, [network]):
            part, said = keeping(architecture, exits), network_with(architecture, exits, network)
            records = evaluator.derive(part, said)
            everything |= {evaluator.objectives.values(record) for record in records if record.may_lead}
    assert unbeaten(everything) == rows(study.scale.joint)


def test_networks_with_fewer_exits_count_where_they_are_wanted(study):
    evaluator = study.evaluator
    added = 0
    for architecture in study.architectures:
        records = evaluator.derive(architecture, evaluator.memo.find(architecture))
        own = {evaluator.objectives.values(record) for record in records if record.may_lead}
        key = architecture.key()
        alone, more = rows(study.derived_with_all_exits[key]), rows(study.derived[key])
        assert alone == unbeaten(own)
        assert more == unbeaten(more | alone)
        added += more != alone
    assert added > 0
    with_them, without = (play(study, Player(leave_out=leave_out), 15, seed=0) for leave_out in (True, False))
    assert with_them.derived[-1] > without.derived[-1]


@pytest.mark.parametrize("name", ["offramp", "random", "nsga2"])
def test_searches_count_looked_up_networks_and_nothing_else(study, name):
    result = play(study, PLAYERS[name], evaluations=15, seed=0)
    for curve in (result.proposals, result.derived):
        assert len(curve) == 15
        assert (np.diff(curve) >= -1e-12).all()
        assert (curve <= 1 + 1e-9).all()
    assert (result.derived >= result.proposals - 1e-9).all()
    assert (np.diff(result.trained) <= 1).all()
    assert result.trained[-1] <= 15


def test_what_is_found_in_the_end_is_all_of_it(study):
    result = play(study, Player(sampler="random"), evaluations=150, seed=0)
    assert result.trained[-1] == len([a for a in study.architectures if len(study.derived[a.key()])])
    assert result.derived[-1] == pytest.approx(1.0)


def test_evaluations_are_counted_from_one():
    curve = np.array([0.1, 0.5, 0.5, 0.9])
    assert [evaluations_to_reach(curve, v) for v in (0.0, 0.1, 0.4, 0.5, 0.9)] == [1, 1, 2, 2, 4]
    assert evaluations_to_reach(curve, 0.95) is None


def test_the_command_prints_and_writes(table, tmp_path, monkeypatch, capsys):
    table.save(tmp_path / "table.npz")
    options = [
        "--seeds",
        "1",
        "--evaluations",
        "20",
        "--samplers",
        "offramp",
        "--json",
        str(tmp_path / "r.json"),
    ]
    monkeypatch.setattr(sys, "argv", ["recorded_table", "run", str(tmp_path / "table.npz"), *options])
    assert recorded_table.main() == 0
    said = capsys.readouterr().out
    assert "random after 20 (derived): " in said
    values = json.loads((tmp_path / "r.json").read_text())
    assert set(values) >= {"offramp", "random", "evaluations_to_reach_random", "table", "commit"}
    assert values["evaluations_to_reach_random"]["20"]["derived"]["random"] <= 20
    monkeypatch.setattr(sys, "argv", ["recorded_table", "run", str(tmp_path / "none.npz")])
    assert recorded_table.main() == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.slow
def test_networks_are_recorded_once_and_the_recording_goes_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("OFFRAMP_CACHE", str(tmp_path / "cache"))
    options = [
        "--preset",
        "quickstart",
        "--qat-epochs",
        "0.2",
        "--set",
        "pretrain.epochs=1",
        "--evaluated",
        "100",
    ]
    options += ["--set", "qat.norm_batches=2", "--out", str(tmp_path), "--workers", "1", "--limit"]
    # The static reference, trained for every table, is one of the candidates, as it begins where they do.
    options[-1:-1] = ["--set", "search.pretrain_alone=false"]
    for limit, known in (("1", 0), ("2", 2)):
        monkeypatch.setattr(sys, "argv", ["recorded_table", "record", *options, limit])
        assert recorded_table.main() == 0
        assert f"{known} recorded, {limit} to train" in capsys.readouterr().out
    table = TableFile.load(tmp_path / "table.npz")
    assert [row.role for row in table.rows].count("candidate") == 4
    assert table.rows[0].network.validation.n_samples == 100
    assert len(TableStudy.of(table).architectures) == 4


@pytest.mark.parametrize("searched", subsets())
def test_what_is_not_searched_is_as_in_the_static_reference(tmp_path, searched):
    space = RecordedSpace(bench_context(tmp_path).space, searched)
    rng = np.random.default_rng(0)
    networks = {a.key() for a in space.architectures()}
    for _ in range(20):
        genome = space.decode(space.random(rng))
        architecture = genome.architecture
        assert architecture.key() in networks
        if "exits" not in searched:
            assert architecture.is_static
            assert architecture.heads == ("fc",)
        if "bits" not in searched:
            assert set(architecture.weight_bits) == set(architecture.activation_bits) == {8}
        if "arrays" not in searched:
            assert genome.allocation == space.whole.allocations.default


def test_each_part_and_pair_and_all_of_them_are_searched():
    assert len(subsets()) == 7
    assert subsets()[-1] == PARTS


@pytest.mark.slow
def test_a_part_is_worth_no_more_than_the_whole(study_with_static_networks):
    study = study_with_static_networks
    found = {searched: search_part(study, searched, 12, range(2)) for searched in (("bits",), PARTS)}
    assert found[("bits",)].networks == 9
    assert search_part(study, ("bits",), 10_000, range(1)).volume == pytest.approx(
        study.scale.hypervolume(np.vstack(list(study.only(("bits",)).derived.values())))
        / study.scale.hypervolume(study.scale.joint)
    )  # all there is, found without ten thousand proposals
    assert found[PARTS].networks == len(study.architectures)
    assert 0 <= found[("bits",)].volume <= found[PARTS].volume <= 1
    only = study.only(("bits",))
    # By hand: the cheapest of all 8-bit or narrower static networks on the default arrays.
    everything = {a.key() for a in only.architectures}
    assert only.least_product(everything, 1.0) <= only.least_product(everything, 0.0) <= 1.0
    assert study.least_product({a.key() for a in study.architectures}, 1.0) <= only.least_product(
        everything, 1.0
    )
    assert only.least_product(set(), 1.0) == 1.0


@pytest.mark.slow
def test_what_is_reached_without_a_search(study_with_static_networks):
    study = study_with_static_networks
    found = {baseline.name: best_of(study, baseline) for baseline in baselines()}
    static = {bits: found[f"static, {bits} bit, fc head, default arrays"] for bits in (8, 6, 4)}
    assert [result.networks for result in static.values()] == [1, 1, 1]
    assert static[8].least_products == {"0.002": 1.0, "0.01": 1.0}  # the reference itself
    (network,) = (
        a for a in study.architectures if a.is_static and {*a.weight_bits, *a.activation_bits} == {4}
    )
    default = study.space.whole.allocations.default
    record = study.evaluator.measure(network, study.evaluator.memo.find(network), default)
    enough = record.accuracy >= study.reference.accuracy - 0.01
    expected = record.mean_edp_pj_cycles / study.reference.mean_edp_pj_cycles if enough else 1.0
    assert static[4].least_products["0.01"] == pytest.approx(min(1.0, expected))
    everything = found["everything in the table"]
    assert everything.networks == len(study.architectures)
    for result in found.values():
        assert everything.least_products["0.01"] <= result.least_products["0.01"] <= 1.0


@pytest.mark.slow
def test_the_command_prints_baselines(table_with_static_networks, tmp_path, monkeypatch, capsys):
    table_with_static_networks.save(tmp_path / "table.npz")
    options = ["--baselines", "--json", str(tmp_path / "r.json")]
    monkeypatch.setattr(sys, "argv", ["recorded_table", "run", str(tmp_path / "table.npz"), *options])
    assert recorded_table.main() == 0
    assert "everything in the table" in capsys.readouterr().out
    assert len(json.loads((tmp_path / "r.json").read_text())["baselines"]) == 9
