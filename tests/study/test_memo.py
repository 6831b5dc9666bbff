from __future__ import annotations

import logging
import multiprocessing
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import study
from models.architecture import Architecture
from models.predictions import ExitPredictions
from study.memo import ALONE, JOINTLY, PredictionMemo, TrainedNetwork, stored_networks
from tests.study.process_targets import train_through_memo

CONTEXT = {"recipe": "r", "rung": 0, "seed": 3, "data": "d", "warm_start": "w", "code": "c", "device": "cpu"}
NETWORK = Architecture((1,), ("fc", "fc"), (8, 4, 2), (8, 8, 8))


def trained(seed: int, n_exits: int = 2) -> TrainedNetwork:
    rng = np.random.default_rng(seed)

    def split(n: int) -> ExitPredictions:
        return ExitPredictions(rng.random((n, n_exits)).astype(np.float32), rng.random((n, n_exits)) < 0.5)

    return TrainedNetwork(split(5), split(7), training_samples=100 + seed, seconds=1.5)


def same(one: TrainedNetwork, two: TrainedNetwork) -> bool:
    return (
        one.calibration.equals(two.calibration)
        and one.validation.equals(two.validation)
        and (one.training_samples, one.seconds) == (two.training_samples, two.seconds)
    )


def never() -> TrainedNetwork:
    raise AssertionError("trained again")


def test_a_network_is_trained_once(tmp_path):
    memo = PredictionMemo(tmp_path / "p", CONTEXT)
    assert memo.find(NETWORK) is None
    first, fresh = memo.get_or_train(NETWORK, lambda: trained(0))
    assert fresh
    second, fresh = memo.get_or_train(NETWORK, never)
    assert not fresh
    assert same(first, second)
    # Also by a process that starts later.
    assert same(PredictionMemo(tmp_path / "p", dict(CONTEXT)).get_or_train(NETWORK, never)[0], first)


def test_architectures_that_train_the_same_network_share_it(tmp_path):
    memo = PredictionMemo(tmp_path, CONTEXT)
    memo.get_or_train(NETWORK, lambda: trained(0))
    assert not memo.get_or_train(replace(NETWORK, head_activation_bits=2), never)[1]  # fc has none inside
    assert memo.get_or_train(replace(NETWORK, head_weight_bits=2), lambda: trained(1))[1]


@pytest.mark.parametrize("key", list(CONTEXT))
def test_anything_a_result_depends_on_makes_another_entry(tmp_path, key):
    PredictionMemo(tmp_path, CONTEXT).get_or_train(NETWORK, lambda: trained(0))
    other = PredictionMemo(tmp_path, {**CONTEXT, key: "changed"})
    assert other.find(NETWORK) is None
    assert other.get_or_train(NETWORK, lambda: trained(1))[1]
    found = PredictionMemo(tmp_path, CONTEXT).find(NETWORK)
    assert found is not None
    assert same(found, trained(0))


@pytest.mark.parametrize("which", ["validation", "calibration"])
@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "gone", "text"])
def test_a_damaged_file_is_trained_again(tmp_path, caplog, which, damage):
    memo = PredictionMemo(tmp_path, CONTEXT)
    memo.get_or_train(NETWORK, lambda: trained(0))
    (path,) = tmp_path.glob(f"*.{which}.npz")
    content = path.read_bytes()
    middle = len(content) // 2
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(
            {
                "cut": content[:middle],
                "flip": content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :],
                "empty": b"",
                "text": b"no archive at all",
            }[damage]
        )
    with caplog.at_level(logging.WARNING):
        again, fresh = memo.get_or_train(NETWORK, lambda: trained(1))
    assert fresh
    assert same(again, trained(1))
    assert same(memo.get_or_train(NETWORK, never)[0], trained(1))
    if not (damage == "gone" and which == "validation"):
        assert "trained again" in caplog.text


def test_a_training_that_fails_leaves_nothing_and_the_next_may_try(tmp_path):
    memo = PredictionMemo(tmp_path, CONTEXT)

    def diverge() -> TrainedNetwork:
        raise FloatingPointError("NaN")

    with pytest.raises(FloatingPointError):
        memo.get_or_train(NETWORK, diverge)
    assert list(tmp_path.glob("*.npz")) == []
    assert memo.get_or_train(NETWORK, lambda: trained(0))[1]


def test_processes_that_want_the_same_network_train_it_once(tmp_path):
    processes = multiprocessing.get_context("spawn")
    started = [
        processes.Process(target=train_through_memo, args=(str(tmp_path), CONTEXT, NETWORK, index))
        for index in range(3)
    ]
    for process in started:
        process.start()
    for process in started:
        process.join(60)
        assert process.exitcode == 0
    trainings = sorted(p.name for p in tmp_path.glob("trained-*"))
    answers = [Path(p).read_text() for p in sorted(tmp_path.glob("answer-*"))]
    assert len(trainings) == 1
    assert len(answers) == 3
    assert len(set(answers)) == 1


def test_code_version_follows_the_training_code(tmp_path):
    root = Path(study.__file__).parent.parent
    for package in ("hwcost", "models", "study"):
        shutil.copytree(root / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))

    def version() -> str:
        code = "from study.memo import training_code_version as version; print(version())"
        command = [sys.executable, "-c", code]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    def change(file: str) -> None:
        path = tmp_path / file
        path.write_text(path.read_text() + "\n# changed\n")

    before = version()
    assert len(before.strip()) == 64
    change("study/tables.py")
    assert version() == before
    for file in ("models/recipe.py", "hwcost/networks/paper.toml"):
        change(file)
        assert version() != before
        before = version()


def test_stored_networks_are_read_without_knowing_their_study(tmp_path):
    assert stored_networks(tmp_path / "none") == []
    memo = PredictionMemo(tmp_path, {**CONTEXT, "rung": 1})
    ways = {way: PredictionMemo(tmp_path, {**CONTEXT, "training": way}) for way in (JOINTLY, ALONE)}
    static = Architecture.static(3)
    kept = {
        (NETWORK.canonical(), ""): trained(1),
        (static, ""): trained(2, 1),
        (static, JOINTLY): trained(3, 1),
        (static, ALONE): trained(4, 1),
    }
    for (architecture, way), network in kept.items():
        ways.get(way, memo).store(architecture, network)
    found = stored_networks(tmp_path)
    assert {(one.architecture, one.training) for one in found} == set(kept)
    for one in found:
        assert same(one.network, kept[one.architecture, one.training])
        assert one.network.rung == (0 if one.training else 1)
    half = next(tmp_path.glob("*.calibration.npz"))  # a process was killed between the two files
    half.unlink()
    assert len(stored_networks(tmp_path)) == 3
