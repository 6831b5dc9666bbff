"""A refinement of a real run: what is chosen, what is measured, and that the test split is opened once, last."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import models.training_data
from hwcost.errors import OfframpError
from models.data import load_dataset
from models.open_checkpoint import open_checkpoint
from models.predictions import ExitPredictions
from models.training_data import open_test_split
from study.memo import training_code_version
from study.refine.bootstrap import percentile_interval
from study.refine.networks import RefinedNetworks
from study.refine.summary import picks
from tests.python_sources import ROOMS, ROOT, sources
from tests.reference import pareto_oracle
from tests.reference.policy_oracle import run_policy
from tests.study.refine.runs import networks_of, refine_here


@pytest.fixture(scope="module")
def refined(tmp_path_factory: pytest.TempPathFactory, trained: Path, cache: Path) -> Path:
    """The folder of a run that was refined; not to be changed."""
    folder = Path(shutil.copytree(trained, tmp_path_factory.mktemp("refined") / "tiny"))
    refine_here(folder, cache)
    return folder


@pytest.fixture(scope="module")
def table(refined: Path) -> pd.DataFrame:
    return pd.read_csv(refined / "refined.csv", dtype={"exits": str, "design": str}, keep_default_na=False,
                       na_values={"trial": [""]})  # fmt: skip


@pytest.fixture(scope="module")
def exits(refined: Path) -> pd.DataFrame:
    return pd.read_csv(refined / "refined_exits.csv", dtype={"design": str})


def test_columns_are_those_of_the_front_and_those_that_are_documented(refined: Path, table, exits) -> None:
    front = pd.read_csv(refined / "pareto.csv")
    assert list(table.columns[: len(front.columns)]) == list(front.columns)
    documented = "".join(
        (ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("csv.md", "refine.md")
    )
    for column in (*table.columns, *exits.columns):
        assert f"`{column}`" in documented, column
    assert set(table["split"]) == set(exits["split"]) == {"test"}
    assert set(pd.read_csv(refined / "refined_validation.csv")["split"]) == {"validation"}
    assert (table["seeds"] == 2).all()


def test_rows_are_the_static_designs_the_members_and_the_headline_front(refined: Path, table) -> None:
    front = pd.read_csv(refined / "pareto.csv", dtype={"design": str})
    assert table["role"].tolist()[:2] == ["static_reference", "best_static"]
    members = table[table["role"] == "member"]
    assert set(members["design"]) <= set(front[front["headline"]]["design"])
    networks = set(members["architecture"])
    assert len(networks) == min(2, front.loc[front["headline"], "architecture"].nunique())
    assert set(members["design"]) == set(
        front[front["headline"] & front["architecture"].isin(networks)]["design"]
    )
    assert table[table["role"] == "derived"]["headline"].all()
    others = table[2:]
    assert others["accuracy"].is_monotonic_decreasing
    assert not others["design"].duplicated().any()


def test_the_headline_front_is_that_of_validation(refined: Path, table) -> None:
    validation = pd.read_csv(refined / "refined_validation.csv", dtype={"design": str})
    points = list(zip(1 - validation["accuracy"], validation["edp_relative"], strict=True))
    candidates = [
        p for p, role in zip(points, validation["role"], strict=True) if role in ("member", "derived")
    ]
    front = pareto_oracle.front(candidates)
    assert {p for p, h in zip(points, validation["headline"], strict=True) if h} == front
    merged = table.merge(validation, on=["design", "role"], suffixes=("", "_there"))
    assert len(merged) == len(table)
    np.testing.assert_allclose(merged["validation_accuracy"], merged["accuracy_there"])
    np.testing.assert_allclose(merged["validation_edp_relative"], merged["edp_relative_there"])
    for end in ("low", "high"):
        told, there = merged[f"validation_accuracy_drop_{end}"], merged[f"accuracy_drop_{end}_there"]
        np.testing.assert_allclose(told, there)


def test_relative_columns_follow_from_the_static_reference(table) -> None:
    reference = table.iloc[0]
    np.testing.assert_allclose(table["accuracy_drop"], reference["accuracy"] - table["accuracy"], atol=1e-12)
    np.testing.assert_allclose(
        table["edp_relative"], table["mean_edp_pj_cycles"] / reference["mean_edp_pj_cycles"]
    )
    assert (reference["accuracy_drop_low"], reference["accuracy_drop_high"]) == (0, 0)
    assert table.iloc[1]["edp_relative"] <= 1
    assert (
        (table["accuracy_low"] <= table["accuracy"]) & (table["accuracy"] <= table["accuracy_high"])
    ).all()
    assert (table["accuracy_drop_low"] <= table["accuracy_drop"]).all()
    assert (table["accuracy_drop"] <= table["accuracy_drop_high"]).all()


def test_figures_against_a_walk_of_every_test_image_through_the_exits(
    refined: Path, cache: Path, table, exits
):
    """Networks are opened from the files to deploy, and images taken from the data set itself."""
    networks, _, _ = networks_of(refined, cache)
    config = networks.context.config
    test = open_test_split(load_dataset("digits", 16, cache), config.splits)
    from models.fold import fold_network
    from models.loop import collect_logits
    from models.scores import read_logits

    design = table[(table["role"] != "best_static") & table["headline"]].iloc[0]
    folder = refined / "refined" / "members" / design["design"]
    assert (folder / "README.md").read_text(encoding="utf-8").count("\n| 0 | ") == (
        len(design["heads"].split())
    )
    accuracies, products = [], []
    for seed in range(2):
        network, checkpoint = open_checkpoint(folder / f"seed{seed}.safetensors", networks.context.spec)
        rows = exits[(exits["design"] == design["design"]) & (exits["seed"] == seed)]
        policy = checkpoint.policy
        assert policy is not None
        assert rows["threshold"].tolist()[:-1] == pytest.approx(policy.thresholds[:-1].tolist())
        assert rows["temperature"].tolist() == pytest.approx(policy.temperatures.tolist())
        from models.augment import normalize_batch

        example = normalize_batch(test.images[:1], test.mean, test.std, channels_last=True)
        logits = collect_logits(fold_network(network, example), test.images, test).numpy()
        readings = [read_logits(logits[:, k], policy.temperatures[k]) for k in range(logits.shape[1])]
        plain = run_policy(
            np.stack([r.confidence for r in readings], 1).astype(float).tolist(),
            np.stack([r.predicted == test.labels.numpy() for r in readings], 1).tolist(),
            policy.thresholds.tolist(),
            rows["latency_cycles"].tolist(),
            rows["energy_pj"].tolist(),
        )
        accuracies.append(plain.accuracy)
        products.append(plain.edp)
        assert rows["ratio"].tolist() == pytest.approx([left / len(test.labels) for left in plain.left])
    assert design["accuracy"] == pytest.approx(np.mean(accuracies))
    assert design["accuracy_std"] == pytest.approx(np.std(accuracies, ddof=1))
    assert design["mean_edp_pj_cycles"] == pytest.approx(np.mean(products))
    assert design["mean_edp_pj_cycles_std"] == pytest.approx(np.std(products, ddof=1))


def test_thresholds_and_temperatures_are_those_of_each_seed(exits) -> None:
    early = exits[exits["threshold"].notna() & np.isfinite(exits["threshold"])]
    for column in ("temperature", "threshold"):
        differ = early.groupby(["design", "exit"])[column].nunique()
        assert (differ > 1).any(), column


class Opened:
    """Counts how often the test split is opened and looks at what is on disk by then."""

    def __init__(self, folder: Path, networks: RefinedNetworks, trainings, real) -> None:
        self.times, self.folder, self.networks, self.trainings, self.real = (
            0,
            folder,
            networks,
            trainings,
            real,
        )

    def __call__(self, *arguments):
        self.times += 1
        kept = self.folder / "refined"
        assert all(self.networks.done(training) for training in self.trainings)
        choice = json.loads((kept / "choice.json").read_text())
        assert choice["designs"]
        assert all(len(design["thresholds"]) == 2 for design in choice["designs"])
        mark = json.loads((kept / "test_split.json").read_text())
        assert mark["finished"] is None
        assert (self.folder / "refined_validation.csv").exists()
        assert not (self.folder / "refined.csv").exists()
        return self.real(*arguments)


@pytest.fixture
def opened(run: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Opened:
    networks, trainings, _ = networks_of(run, cache)
    spy = Opened(run, networks, trainings, open_test_split)
    monkeypatch.setattr(models.training_data, "open_test_split", spy)
    return spy


def told(run: Path) -> list[Path]:
    """Files that say what was measured and what came out."""
    return [*sorted(run.glob("refined*.csv")), *sorted((run / "refined").glob("*.json"))]


def test_networks_of_other_code_are_not_another_choice(
    run: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever updated the project in between is told so, not that something else was chosen."""
    refine_here(run, cache)
    mark = run / "refined" / "test_split.json"
    values = json.loads(mark.read_text())
    assert values["training_code"] == training_code_version()
    mark.write_text(json.dumps({**values, "training_code": "0" * 64}))
    with pytest.raises(OfframpError, match=r"expected the training code .* go back to that commit"):
        refine_here(run, cache, "--epochs", "7")
    mark.write_text(json.dumps({name: v for name, v in values.items() if name != "training_code"}))
    with pytest.raises(OfframpError, match="another choice of networks, or files of these are gone"):
        refine_here(run, cache, "--epochs", "7")


def test_the_test_split_is_opened_once_and_after_everything_else(
    run: Path, cache: Path, opened: Opened
) -> None:
    result, said = refine_here(run, cache, "--no-test")
    assert (result.split, opened.times) == ("validation", 0)
    assert not (run / "refined" / "test_split.json").exists()
    assert not (run / "refined.csv").exists()
    assert refine_here(run, cache)[0].split == "test"
    assert opened.times == 1
    mark = json.loads((run / "refined" / "test_split.json").read_text())
    assert mark["finished"]
    assert [set(one) for one in mark["opened"]] == [{"time", "commit", "command"}]
    # Again: told from what was recorded, and the result is the same to the byte.
    before = (run / "refined.csv").read_bytes()
    _, said = refine_here(run, cache)
    assert opened.times == 1
    assert f"the test split was read at {mark['opened'][0]['time']}" in said
    assert (run / "refined.csv").read_bytes() == before
    # Another choice: never again, and nothing that says what was measured is written over.
    kept = {path: path.read_bytes() for path in told(run)}
    assert len(kept) == 7
    for options in (("--members", "1"), ("--seeds", "1"), ("--members", "1", "--no-test")):
        with pytest.raises(OfframpError, match=r"test split that nobody has read, but it was read at"):
            refine_here(run, cache, *options)
    assert {path: path.read_bytes() for path in told(run)} == kept
    # More training would be for nothing, and is refused before it.
    with pytest.raises(OfframpError, match="refine another run"):
        refine_here(run, cache, "--epochs", "7")
    # What was recorded is gone: it is not read a second time.
    next((run / "refined" / "test").glob("*.npz")).unlink()
    with pytest.raises(OfframpError, match="is not read again"):
        refine_here(run, cache)
    assert opened.times == 1
    assert (run / "refined.csv").read_bytes() == before


def test_a_reading_that_was_interrupted_goes_on(
    run: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, saved = ExitPredictions.save, []

    def stop_in_the_middle(self, path, meta=None):
        if path.parent.name == "test" and len(saved) == 3:
            raise KeyboardInterrupt
        saved.extend([path] if path.parent.name == "test" else [])
        save(self, path, meta)

    with monkeypatch.context() as patched:
        patched.setattr(ExitPredictions, "save", stop_in_the_middle)
        with pytest.raises(KeyboardInterrupt):
            refine_here(run, cache)
    mark = run / "refined" / "test_split.json"
    assert json.loads(mark.read_text())["finished"] is None
    times = {path: path.stat().st_mtime_ns for path in saved}
    refine_here(run, cache)
    assert {path: path.stat().st_mtime_ns for path in saved} == times
    assert len(json.loads(mark.read_text())["opened"]) == 2
    mark.write_text("{")
    with pytest.raises(OfframpError, match=r"readable test_split\.json"):
        refine_here(run, cache)


def test_one_place_of_the_project_opens_the_test_split() -> None:
    users = [
        path.relative_to(ROOT).as_posix()
        for path in sources(*ROOMS)
        if "open_test_split" in path.read_text(encoding="utf-8")
    ]
    assert sorted(users) == ["models/training_data.py", "study/refine/measurement.py"]
    readers = [
        path.relative_to(ROOT).as_posix()
        for path in sources("study", "dashboards")
        if "test_images" in path.read_text(encoding="utf-8")
    ]
    assert readers == []


def test_quoted_designs_are_chosen_by_validation_whatever_came_out(table) -> None:
    changed = table.copy()
    changed["validation_accuracy_drop"] = np.linspace(-0.01, 0.03, len(table))
    changed["validation_accuracy_drop_high"] = changed["validation_accuracy_drop"] + 0.006
    changed["validation_edp_relative"] = np.linspace(1.0, 0.1, len(table))
    changed["headline"] = True
    changed["accuracy_drop"] = 0.5  # on the test split all are bad
    quoted = picks(changed)
    assert [(pick.tolerance, pick.surely) for pick in quoted] == [
        (0.002, False), (0.002, True), (0.01, False), (0.01, True)
    ]  # fmt: skip
    for pick in quoted:
        drop = changed["validation_accuracy_drop_high" if pick.surely else "validation_accuracy_drop"]
        allowed = changed[drop <= pick.tolerance]
        assert pick.row is not None
        assert pick.row["validation_edp_relative"] == allowed["validation_edp_relative"].min()
        assert "-50.00 points" in pick.text("test")
        assert ("and its 95 % interval" in pick.text("test")) == pick.surely
    costs = [pick.row["validation_edp_relative"] for pick in quoted if pick.row is not None]
    assert costs[0] < costs[1]
    assert costs[2] < costs[3]
    changed["headline"] = False
    assert [pick.row for pick in picks(changed)] == [None] * 4
    assert "no design" in picks(changed)[0].text("test")


def test_a_member_whose_training_diverged_is_left_out(run: Path, cache: Path) -> None:
    networks, trainings, _ = networks_of(run, cache)
    networks.note_failure(trainings[-1], "the loss became NaN")
    result, said = refine_here(run, cache, "--no-test")
    assert "left out, as it diverged" in said
    lost = trainings[-1].architecture.key()[:12]
    assert lost not in set(result.table["architecture"])
    networks.note_failure(trainings[2], "the loss became NaN")  # the static reference, alone
    networks.checkpoint(trainings[2]).unlink()
    with pytest.raises(OfframpError, match="expected the training of"):
        refine_here(run, cache, "--no-test")


def test_members_can_be_named(run: Path, cache: Path) -> None:
    """Also those that are on no front."""
    designs = pd.read_csv(run / "designs.csv", dtype={"design": str, "architecture": str})
    front = pd.read_csv(run / "pareto.csv", dtype={"design": str})
    others = designs[designs["feasible"] & ~designs["design"].isin(front["design"])]
    chosen = others.drop_duplicates("architecture").tail(2)
    _, trainings, _ = networks_of(run, cache, "--members", ",".join(chosen["design"].str[:10]))
    proposed = {t.architecture.key()[:12] for t in trainings if not (t.jointly or t.alone)}
    assert proposed == set(chosen["architecture"])


def test_without_derived_designs_there_are_the_members_alone(run: Path, cache: Path) -> None:
    designs, front = pd.read_csv(run / "designs.csv", dtype={"design": str}), pd.read_csv(run / "pareto.csv")
    networks = set(front[front["headline"]]["architecture"])
    others = designs[designs["architecture"].isin(networks) & ~designs["design"].isin(front["design"])]
    name = others.sort_values("edp_relative")["design"].iloc[-1]  # one that others of its network beat
    options = ("--no-test", "--seeds", "2", "--members", name)
    alone = refine_here(run, cache, *options, "--no-derived")[0].table
    assert alone["role"].tolist() == ["static_reference", "best_static", "member"]
    assert alone["design"].iloc[2] == name
    assert "derived" in set(refine_here(run, cache, *options)[0].table["role"])


def test_more_policy_targets_are_more_designs_of_the_same_trainings(run: Path, cache: Path) -> None:
    """Neither what is trained nor the static designs change, and no design of the front gets worse."""
    options = ("--no-test", "--members", "1", "--set", "refine.policy_targets=[0.1, 0.2, 0.3]")
    before, trainings, _ = networks_of(run, cache, "--no-test", "--members", "1")
    after, same, _ = networks_of(run, cache, *options)
    assert same == trainings
    assert [after.checkpoint(t) for t in same] == [before.checkpoint(t) for t in trainings]
    few = refine_here(run, cache, "--no-test", "--members", "1")[0].table
    more = refine_here(run, cache, *options)[0].table
    assert few[:2].equals(more[:2])
    assert {0.1, 0.2, 0.3} & set(more["policy_target"])
    assert not {0.1, 0.2, 0.3} & set(few["policy_target"])
    for accuracy in few.loc[few["headline"], "accuracy"]:
        cheapest = [t.loc[t["accuracy"] >= accuracy, "mean_edp_pj_cycles"].min() for t in (few, more)]
        assert cheapest[1] <= cheapest[0]


def test_a_name_of_no_design_is_refused(run: Path, cache: Path) -> None:
    with pytest.raises(OfframpError, match=r"'ffffffff', which 0 have; designs.csv"):
        networks_of(run, cache, "--members", "ffffffff")


def test_one_seed_has_no_spread_and_an_interval_of_images(run: Path, cache: Path) -> None:
    result, _ = refine_here(run, cache, "--seeds", "1", "--no-test", "--members", "headline")
    assert result.table["accuracy_std"].isna().all()
    others = result.table[2:]
    assert (others["accuracy_low"] < others["accuracy_high"]).any()
    assert math.isfinite(percentile_interval(np.array([0.1, 0.2]))[0])
