from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwcost.errors import OfframpError
from study.compare import main, read_groups
from study.compare_indicators import REFERENCE_POINT, Scale, attainment_surface
from study.compare_runs import compare_runs
from study.compare_tests import holm, rank_test, superiority
from study.export.run_tables import export
from study.results import RunResults, load_run
from tests.study.bench import bench_context, run_trials, static_reference

Front = list[tuple[float, float, float]]


def run(name: str, front: Front, seed: int = 0, fingerprint: str = "abc", **search) -> RunResults:
    """A run whose i-th trial found the i-th member (error, latency in s, energy in J)."""
    count = len(front)
    error, latency, energy = (np.array([f[k] for f in front]) for k in range(3))
    designs = pd.DataFrame(
        {
            "trial": range(count),
            "feasible": [True] * count,
            "accuracy": 1 - error,
            "mean_latency_seconds": latency,
            "mean_energy_joules": energy,
            "rung": [0] * count,
        }
    )
    trials = pd.DataFrame(
        {"trial": range(count), "state": ["COMPLETE"] * count, "finished_seconds": np.arange(count) * 10.0}
    )
    environment = {"seeds": {"study": seed}, "data": {"name": "digits", "fingerprint": fingerprint}}
    empty = pd.DataFrame()
    tables = {"trials": trials, "pareto": designs, "designs": designs, "exits": empty, "layers": empty}
    config = {"search": {"seed": seed, **search}, "run": {"name": name}}
    known = {f: tables.get(f, empty) for f in RunResults.__dataclass_fields__}
    return RunResults(
        **{**known, "name": name, "static_reference": {}, "environment": environment, "config": config}
    )


GOOD: Front = [(0.1, 3.0, 3.0), (0.2, 2.0, 2.0), (0.3, 1.0, 1.0)]
WORSE: Front = [(0.15, 3.0, 3.0), (0.3, 2.0, 2.0)]


def volume_by_counting(points: np.ndarray, cells: int = 40) -> float:
    """Share of the cells of a grid over the box whose upper corner some point dominates."""
    edge = np.linspace(0, REFERENCE_POINT, cells + 1)[1:]
    grid = np.stack(np.meshgrid(edge, edge, edge, indexing="ij"), axis=-1).reshape(-1, 3)
    return float((points[:, None] <= grid[None]).all(axis=2).any(axis=0).mean())


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 8)] * 3), min_size=1, max_size=8))
def test_hypervolume_is_the_share_of_the_box_that_is_dominated(members):
    points = np.array(members, dtype=float) / 8
    corners = np.array([[0.0, 0.5, 1.0], [0.5, 1.0, 0.0], [1.0, 0.0, 0.5]])  # the joint front spans 0 to 1
    scale = Scale(corners, np.zeros(3), np.ones(3))
    assert scale.hypervolume(points) == pytest.approx(volume_by_counting(points), abs=0.08)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(*[st.integers(0, 6)] * 3), min_size=1, max_size=8),
    st.lists(st.tuples(*[st.integers(0, 6)] * 3), min_size=1, max_size=8),
)
def test_igd_plus_is_the_mean_of_what_is_missing(first, second):
    fronts = [np.array(f, dtype=float) for f in (first, second)]
    scale = Scale.of(fronts)
    points, joint = scale.scaled(fronts[0]), scale.scaled(scale.joint)
    plain = [min(math.sqrt(sum(max(p[k] - z[k], 0) ** 2 for k in range(3))) for p in points) for z in joint]
    assert scale.igd_plus(fronts[0]) == pytest.approx(np.mean(plain), abs=1e-9)
    assert scale.igd_plus(scale.joint) == 0


def test_the_better_run_has_more_volume_and_less_distance():
    comparison = compare_runs({"good": [run("a", GOOD)], "worse": [run("b", WORSE)]})
    good, worse = comparison.labels
    assert good.runs[0].hypervolume > worse.runs[0].hypervolume > 0
    assert 0 == good.runs[0].igd_plus < worse.runs[0].igd_plus
    assert good.attained == (1.0, 1.0, 1.0)
    assert worse.attained == (0.0, 0.0, 0.0)
    assert comparison.joint_labels == (("good",),) * 3
    assert comparison.objectives == ("error", "mean_latency_seconds", "mean_energy_joules")
    assert comparison.reference == pytest.approx((0.1 + 1.1 * 0.2, 1 + 1.1 * 2, 1 + 1.1 * 2))
    assert comparison.tests == ()


def test_an_objective_of_one_value_on_the_joint_front_is_measured_on_all_fronts():
    """In seconds and joules: beside a range of 1 every run would fill the box."""
    best, worse, worst = (np.array([[0.1, share * 1e-5, share * 1e-6]]) for share in (1.0, 1.5, 2.0))
    scale = Scale.of([best, worse, worst])
    assert scale.extent == pytest.approx([0.1, 1e-5, 1e-6])  # nobody has another error: the value itself
    assert scale.hypervolume(best) == pytest.approx(1.0)
    assert scale.hypervolume(worse) == pytest.approx((0.6 / 1.1) ** 2)
    assert scale.hypervolume(worst) == pytest.approx((0.1 / 1.1) ** 2)
    assert scale.igd_plus(worse) == pytest.approx(math.hypot(0.5, 0.5))


def test_an_objective_that_is_nothing_everywhere_takes_no_part():
    fronts = [np.array([[0.0, 1.0], [0.0, 2.0]]), np.array([[0.0, 2.0]])]
    scale = Scale.of(fronts)
    assert scale.extent == pytest.approx([1.0, 1.0])
    assert scale.hypervolume(fronts[1]) == pytest.approx(0.1 / 1.1)


def test_a_trajectory_never_falls_and_ends_at_the_front():
    score = compare_runs({"good": [run("a", GOOD)], "worse": [run("b", WORSE)]}).labels[0].runs[0]
    way = score.trajectory
    assert way.trials == (1, 2, 3)
    assert way.seconds == (0.0, 10.0, 20.0)
    assert list(way.hypervolume) == sorted(way.hypervolume)
    assert way.hypervolume[0] < way.hypervolume[-1] == score.hypervolume


def shifted(by: float) -> Front:
    return [(e + by, t + by, j + by) for e, t, j in GOOD]


def test_seeds_tell_a_difference_from_chance():
    one = [run(f"a{i}", shifted(0.01 * i), seed=i) for i in range(6)]
    two = [run(f"b{i}", shifted(0.2 + 0.01 * i), seed=i) for i in range(6)]
    other_seeds = [run(f"c{i}", shifted(0.2 + 0.01 * i), seed=10 + i) for i in range(6)]
    comparison = compare_runs({"one": one, "two": two, "three": other_seeds})
    tests = {(t.indicator, t.first, t.second): t for t in comparison.tests}
    assert len(tests) == 6
    paired = tests["hypervolume", "one", "two"]
    # All six differences have one sign: 2 / 2^6. No overlap of six and six: 2 / C(12, 6).
    assert (paired.test, paired.p, paired.superiority) == ("wilcoxon", pytest.approx(2 / 64), 1.0)
    free = tests["igd_plus", "one", "three"]
    assert (free.test, free.p, free.superiority) == ("mann-whitney", pytest.approx(2 / 924), 1.0)
    assert tests["hypervolume", "two", "three"].superiority == 0.5
    assert paired.median_difference > 0 > free.median_difference
    assert all(t.p <= t.p_holm <= 1 for t in comparison.tests)


def test_holm_is_what_the_procedure_gives_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_equal_groups_are_no_different():
    assert rank_test([1.0, 2.0], [1.0, 2.0], paired=True) == ("wilcoxon", 0.0, 1.0)
    assert superiority([1, 2], [1, 2], more_is_better=True) == 0.5
    # Runs that found nothing feasible have an infinite IGD+; two of them tie.
    inf = float("inf")
    assert superiority([inf, 0.1], [inf, 0.2], more_is_better=False) == 0.625
    assert rank_test([inf, 0.1], [inf, 0.1], paired=True) == ("wilcoxon", 0.0, 1.0)
    name, statistic, p = rank_test([inf, 0.1, 0.3], [inf, 0.2, 0.5], paired=True)
    assert (name, statistic) == ("wilcoxon", 0.0)
    assert 0 < p <= 1
    assert superiority([1, 2], [3, 4], more_is_better=False) == 1.0


def test_half_of_the_runs_attain_the_median_surface():
    fronts = [np.array([[i, 5 - i, 1.0]]) for i in range(5)] + [np.array([[2.0, 2.0, 0.5]])]
    for percent in (25.0, 50.0, 75.0):
        for point in attainment_surface(fronts, percent):
            attained = sum((front <= point).all(axis=1).any() for front in fronts)
            assert attained / len(fronts) >= percent / 100 - 1e-9
            # Nothing strictly better is attained by so many.
            better = sum((front <= point - 0.25).all(axis=1).any() for front in fronts)
            assert better / len(fronts) < percent / 100
    # An empty run attains nothing: half of two runs is the one that is not empty.
    assert len(attainment_surface([fronts[0], np.zeros((0, 3))], 50.0)) == 1
    assert not len(attainment_surface([fronts[0], np.zeros((0, 3))], 75.0))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"fingerprint": "xyz"}, "expected runs with equal data, got digits"),
        (
            {"objectives": ["error", "mean_latency"]},
            "expected runs with equal objectives, got error, mean_latency,",
        ),
    ],
)
def test_runs_of_other_questions_are_refused(other, message):
    with pytest.raises(OfframpError, match=message):
        compare_runs({"a": [run("a", GOOD)], "b": [run("b", GOOD, **other)]})


def test_one_run_and_runs_without_designs_are_refused():
    with pytest.raises(OfframpError, match="at least two runs"):
        compare_runs({"a": [run("a", GOOD)]})
    nothing = run("a", [])
    with pytest.raises(OfframpError, match="feasible trained design"):
        compare_runs({"a": [nothing], "b": [nothing]})
    one = compare_runs({"a": [nothing], "b": [run("b", GOOD)]}).labels[0].runs[0]
    assert (one.hypervolume, one.igd_plus, one.trials) == (0.0, math.inf, 0)


def test_a_run_whose_trials_have_not_finished_has_no_trajectory():
    began = run("a", GOOD)
    empty = {name: getattr(began, name).iloc[:0] for name in ("pareto", "designs")}
    began = replace(began, trials=began.trials.assign(state="RUNNING"), **empty)
    way = compare_runs({"a": [began], "b": [run("b", GOOD)]}).labels[0].runs[0].trajectory
    assert (way.trials, way.seconds, way.hypervolume) == ((), (), ())


def test_settings_that_differ_are_listed():
    one, two = run("a", GOOD, sampler="tpe"), run("b", GOOD, seed=1)
    comparison = compare_runs({"a": [one], "b": [two]})
    assert comparison.differences == {"search.sampler": ("tpe", None), "search.seed": (0, 1)}


def test_labels(tmp_path):
    strange = tmp_path / "x=y"
    strange.mkdir()
    groups = read_groups(["ours=runs/a", "ours=runs/b", "runs/c", str(strange)])
    assert groups == {"ours": [Path("runs/a"), Path("runs/b")], "c": [Path("runs/c")], "x=y": [strange]}
    with pytest.raises(OfframpError, match="each run once"):
        read_groups(["ours=runs/a", "runs/../runs/a"])


@pytest.mark.parametrize(
    ("arguments", "other"),
    [
        (["pc1/quickstart", "pc2/quickstart"], "pc2/quickstart"),
        (["quickstart=pc1/x", "pc2/y", "pc1/quickstart"], "pc1/x"),
        (["pc1/quickstart", "quickstart=pc1/x"], "pc1/x"),
    ],
)
def test_folders_of_one_name_do_not_become_repetitions_unasked(arguments, other, capsys):
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "expected a label for pc1/quickstart, got none" in line
    assert f"write A=pc1/quickstart B={other}, or one label for both" in line
    assert read_groups(["a=pc1/quickstart", "a=pc2/quickstart"])["a"] == [
        Path("pc1/quickstart"), Path("pc2/quickstart"),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> list[str]:
    """Two runs as `study.run` writes them, of two and of six trials."""
    made = []
    for count in (2, 6):
        folder = tmp_path_factory.mktemp(f"run{count}")
        context = bench_context(folder)
        environment = {"seeds": {"study": 0}, "data": {"name": "digits", "fingerprint": "f"}}
        export(run_trials(context, count), context, static_reference(context), environment)
        made.append(str(folder))
    return made


def test_the_command_compares_folders(folders, tmp_path, capsys):
    assert main([f"short={folders[0]}", f"long={folders[1]}", "--json", str(tmp_path / "c.json")]) == 0
    said = capsys.readouterr().out
    assert "hypervolume" in said
    assert "A test needs two labels with two runs or more each" in said
    values = json.loads((tmp_path / "c.json").read_text(), parse_constant=lambda word: pytest.fail(word))
    assert [label["label"] for label in values["labels"]] == ["short", "long"]
    # The longer study began like the shorter one.
    short, long = (label["runs"][0] for label in values["labels"])
    assert (short["trials"], long["trials"]) == (2, 6)
    assert long["hypervolume"] >= short["hypervolume"]
    assert long["hypervolume"] == pytest.approx(long["trajectory"]["hypervolume"][-1])
    assert load_run(Path(folders[0])).name


def test_where_there_is_no_test_nobody_is_told_of_one_run_a_label(folders, capsys):
    """One label with both runs."""
    assert main([f"ours={folder}" for folder in folders]) == 0
    said = capsys.readouterr().out
    assert "One run a label" not in said
    assert "A test needs two labels" in said


@pytest.mark.parametrize("wrong", [["/no/such", "/none"], []])
def test_bad_input_is_one_line(wrong, capsys):
    try:
        code = main(wrong)
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_values_are_frozen():
    comparison = compare_runs({"a": [run("a", GOOD)], "b": [run("b", WORSE)]})
    with pytest.raises(AttributeError):
        comparison.labels = ()
    assert replace(comparison, tests=()) == comparison
