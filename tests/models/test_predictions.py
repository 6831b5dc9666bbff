from pathlib import Path

import numpy as np
import pytest

from hwcost.errors import OfframpError
from models.predictions import ExitPredictions


def make(n_samples: int = 20, n_exits: int = 3) -> ExitPredictions:
    random = np.random.default_rng(0)
    return ExitPredictions(
        random.random((n_samples, n_exits)).astype(np.float32),
        random.random((n_samples, n_exits)) < 0.5,
        entropy=random.random((n_samples, n_exits)),
        predicted=random.integers(0, 4, (n_samples, n_exits)),
        temperatures=random.random(n_exits) + 0.5,
        raw_calibration_errors=random.random(n_exits),
    )


def test_round_trip_is_exact(tmp_path: Path) -> None:
    predictions = make()
    path = tmp_path / "folder" / "predictions.npz"
    predictions.save(path, {"split": "validation", "samples": 20})
    assert ExitPredictions.load(path).equals(predictions)
    assert ExitPredictions.read_meta(path) == {"split": "validation", "samples": 20}
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    "damage", ["truncated", "flipped", "password", "compression", "text", "pickle", "missing"]
)
def test_damaged_files_are_refused(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "predictions.npz"
    make().save(path)
    content = bytearray(path.read_bytes())
    if damage == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        content[len(content) // 3] ^= 0xFF
        path.write_bytes(content)
    elif damage in ("password", "compression"):  # one bit of a field of the archive's directory
        entry = content.index(b"PK\x01\x02")
        content[entry + {"password": 8, "compression": 10}[damage]] ^= 1
        path.write_bytes(content)
    elif damage == "text":
        path.write_text("hello")
    elif damage == "pickle":
        np.savez(path, confidence=np.array([{}], dtype=object), correct=np.array([True]), meta=np.zeros(1))
    else:
        path.unlink()
    with pytest.raises(OfframpError, match=r"predictions\.npz"):
        ExitPredictions.load(path)


def test_others_may_read_what_was_saved(tmp_path: Path) -> None:
    make().save(tmp_path / "predictions.npz")
    assert (tmp_path / "predictions.npz").stat().st_mode & 0o777 == 0o644


def test_a_failing_save_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "predictions.npz"
    make().save(path)
    before = path.read_bytes()
    with pytest.raises(TypeError):
        make().save(path, {"bad": object()})
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_arrays_are_copied_and_read_only() -> None:
    confidence = np.full((4, 2), 0.5, dtype=np.float32)
    predictions = ExitPredictions(confidence, np.ones((4, 2), dtype=bool))
    confidence[0, 0] = 0.0
    assert predictions.confidence[0, 0] == 0.5
    with pytest.raises(ValueError, match="read-only"):
        predictions.confidence[0, 0] = 1.0


def test_shapes_and_values_are_checked() -> None:
    good = np.full((4, 2), 0.5)
    with pytest.raises(OfframpError, match="shape"):
        ExitPredictions(good, np.ones((4, 3), dtype=bool))
    with pytest.raises(OfframpError, match="bool"):
        ExitPredictions(good, np.ones((4, 2)))
    with pytest.raises(OfframpError, match="finite"):
        ExitPredictions(np.full((4, 2), np.nan), np.ones((4, 2), dtype=bool))
    with pytest.raises(OfframpError, match="n_samples, n_exits"):
        ExitPredictions(np.zeros(4), np.ones(4, dtype=bool))


def test_select_and_accuracies() -> None:
    predictions = make()
    picked = predictions.select([2, 0])
    np.testing.assert_array_equal(picked.confidence[:, 1], predictions.confidence[:, 0])
    np.testing.assert_allclose(picked.accuracies, predictions.correct.mean(axis=0)[[2, 0]])
    assert picked.margin is None
    assert predictions.temperatures is not None
    assert picked.temperatures.tolist() == predictions.temperatures[[2, 0]].tolist()
    assert picked.predicted.shape == (20, 2)


def test_a_file_without_classes_and_temperatures_loads(tmp_path: Path) -> None:
    bare = ExitPredictions(np.full((4, 2), 0.5), np.ones((4, 2), dtype=bool))
    bare.save(tmp_path / "predictions.npz")
    assert ExitPredictions.load(tmp_path / "predictions.npz").equals(bare)


def test_scores_are_larger_where_samples_should_leave() -> None:
    predictions = make()
    np.testing.assert_array_equal(predictions.scores("max_softmax"), predictions.confidence)
    np.testing.assert_array_equal(predictions.scores("entropy"), -predictions.entropy.astype(float))
    chain = ExitPredictions(
        np.full((2, 3), 0.5), np.ones((2, 3), dtype=bool), predicted=np.array([[1, 1, 2], [4, 4, 4]])
    )
    assert chain.scores("patience").tolist() == [[0, 1, 0], [0, 1, 2]]
    # Dropping an exit changes which exits are neighbours.
    assert chain.select([0, 2]).scores("patience").tolist() == [[0, 0], [0, 1]]


def test_a_score_that_was_not_measured_is_refused() -> None:
    bare = ExitPredictions(np.full((4, 2), 0.5), np.ones((4, 2), dtype=bool))
    for name in ("entropy", "margin", "patience"):
        with pytest.raises(OfframpError, match=name):
            bare.scores(name)
    with pytest.raises(OfframpError, match="score out of"):
        bare.scores("loudness")  # type: ignore[arg-type]


def test_values_of_exits_are_checked() -> None:
    good = (np.full((4, 2), 0.5), np.ones((4, 2), dtype=bool))
    with pytest.raises(OfframpError, match=r"temperatures of shape \(2,\)"):
        ExitPredictions(*good, temperatures=np.ones(3))
    with pytest.raises(OfframpError, match="above 0"):
        ExitPredictions(*good, temperatures=np.zeros(2))
