"""What the exits of a trained network said about a split: all that exit policies need."""

import contextlib
import dataclasses
import json
import os
import tempfile
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hwcost.errors import OfframpError
from models.calibration_error import calibration_errors
from models.scores import ScoreName, agreements, check_score, readings_score

_SAMPLE_ARRAYS = {
    "confidence": np.float32,
    "correct": np.bool_,
    "entropy": np.float32,
    "margin": np.float32,
    "predicted": np.int32,
}
_EXIT_ARRAYS = ("temperatures", "raw_calibration_errors")
_ARRAYS = (*_SAMPLE_ARRAYS, *_EXIT_ARRAYS)


@dataclasses.dataclass(frozen=True, eq=False)
class ExitPredictions:
    """One row a sample, one column an exit, the final exit last.

    The arrays are copied and made read-only. Logits are not kept: with many classes they would be most of what a
    study stores, and policies need no more than this.

    Attributes:
        confidence: (n_samples, n_exits) float32, highest softmax probability at the exit's temperature.
        correct: (n_samples, n_exits) bool, whether the most probable class is the label.
        entropy: (n_samples, n_exits) float32, of the softmax in nats; None when not measured.
        margin: (n_samples, n_exits) float32, highest minus second highest probability; None likewise.
        predicted: (n_samples, n_exits) int32, the most probable class; None likewise.
        temperatures: (n_exits,) float64, what the logits were divided by, fitted on the calibration split; None when
            they were taken as they are.
        raw_calibration_errors: (n_exits,) float64, expected calibration error at temperature 1; None likewise.
    """

    confidence: np.ndarray
    correct: np.ndarray
    entropy: np.ndarray | None = None
    margin: np.ndarray | None = None
    predicted: np.ndarray | None = None
    temperatures: np.ndarray | None = None
    raw_calibration_errors: np.ndarray | None = None

    def __post_init__(self) -> None:
        shape = np.shape(self.confidence)
        if len(shape) != 2 or shape[1] < 1:
            raise OfframpError(
                f"expected confidence of shape (n_samples, n_exits), got {shape}; give one column per exit"
            )
        if np.asarray(self.correct).dtype != np.bool_:
            raise OfframpError(
                f"expected correct as bool, got {np.asarray(self.correct).dtype}; compare with the labels"
            )
        for name in _ARRAYS:
            value = getattr(self, name)
            if value is None:
                continue
            wanted = shape if name in _SAMPLE_ARRAYS else shape[1:]
            array: np.ndarray = np.array(value, dtype=_SAMPLE_ARRAYS.get(name, np.float64))
            if array.shape != wanted:
                raise OfframpError(
                    f"expected {name} of shape {wanted} like confidence, got {array.shape}; use one split"
                )
            if not np.isfinite(array).all():
                raise OfframpError(f"expected finite {name}, got NaN or infinity; the network diverged")
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        if self.temperatures is not None and (self.temperatures <= 0).any():
            raise OfframpError(f"expected temperatures above 0, got {self.temperatures.tolist()}")

    @property
    def n_samples(self) -> int:
        """Rows."""
        return int(self.confidence.shape[0])

    @property
    def n_exits(self) -> int:
        """Columns, the final exit included."""
        return int(self.confidence.shape[1])

    @property
    def accuracies(self) -> np.ndarray:
        """(n_exits,) accuracy of each exit over all samples, as fractions of 1."""
        return self.correct.mean(axis=0)

    @property
    def calibration_errors(self) -> np.ndarray:
        """(n_exits,) expected calibration error of each exit at its temperature, as fractions of 1."""
        return calibration_errors(self.confidence, self.correct)

    def scores(self, name: ScoreName) -> np.ndarray:
        """(n_samples, n_exits) float64 of a score of `models.scores`; larger leaves.

        Raises:
            OfframpError: What the score needs was not measured.
        """
        if check_score(name) != "patience":
            return readings_score(name, self.confidence, self.entropy, self.margin)
        if self.predicted is None:
            raise OfframpError(
                "expected predictions with classes for the score 'patience', got none; evaluate the network "
                "again or use max_softmax"
            )
        return agreements(self.predicted).astype(np.float64)

    def select(self, columns: Sequence[int]) -> "ExitPredictions":
        """The predictions of some exits only, in the order given."""
        chosen = list(columns)
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        picked = {name: array[..., chosen] for name, array in arrays.items() if array is not None}
        return ExitPredictions(**picked)

    def equals(self, other: "ExitPredictions") -> bool:
        """Whether every array is equal bit by bit."""
        for name in _ARRAYS:
            mine, theirs = getattr(self, name), getattr(other, name)
            if (mine is None) != (theirs is None):
                return False
            if mine is not None and not np.array_equal(mine, theirs):
                return False
        return True

    def save(self, path: Path, meta: Mapping[str, Any] | None = None) -> None:
        """Writes an .npz at once: a reader sees the old file or the whole new one.

        Args:
            path: File to write; its folder is made.
            meta: JSON values that `read_meta` gives back.
        """
        arrays = {name: getattr(self, name) for name in _ARRAYS if getattr(self, name) is not None}
        text = np.frombuffer(json.dumps(dict(meta or {}), sort_keys=True).encode(), dtype=np.uint8)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as stream:
                np.savez_compressed(stream, meta=text, **arrays)
            Path(temporary).chmod(0o644)  # mkstemp gives 0600, which others could not read
            Path(temporary).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
            raise

    @classmethod
    def load(cls, path: Path) -> "ExitPredictions":
        """Reads what `save` wrote.

        Raises:
            OfframpError: When the file is missing, damaged or something else.
        """
        content = _read(path)
        content.pop("meta")
        return cls(**content)

    @staticmethod
    def read_meta(path: Path) -> dict[str, Any]:
        """The JSON values stored beside the predictions.

        Raises:
            OfframpError: When the file is missing, damaged or something else.
        """
        meta: dict[str, Any] = json.loads(_read(path)["meta"].tobytes())
        return meta


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            content = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        # RuntimeError and its NotImplementedError: a flipped bit can look like a password or another compression.
        raise OfframpError(
            f"expected exit predictions in {path.name}, got {error}; delete the file"
        ) from error
    expected = {"confidence", "correct", "meta"}
    if not expected <= set(content) <= expected | set(_ARRAYS):
        raise OfframpError(
            f"expected the arrays {sorted(expected)} in {path.name}, got {sorted(content)}; delete the file"
        )
    return content
