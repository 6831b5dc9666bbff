"""Recorded predictions as one small file: numbers only, read without unpickling.

Confidences are kept as log-odds on 256 levels, 0.06 apart. Thresholds act on the order of the confidences of one
exit, which that keeps but for ties; the probabilities near 1, where most samples of a good exit are, stay apart.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hwcost.errors import OfframpError
from models.architecture import Architecture
from models.predictions import ExitPredictions
from study.memo import TrainedNetwork

Role = Literal["candidate", "alone", "jointly"]

_LOWEST, _HIGHEST = -3.0, 12.3  # log-odds: 0.047, below the chance of 20 classes, to 1 - 4.6e-6
_LEVELS = 255
_SPLITS = ("calibration", "validation")
_FORMAT = 1


@dataclass(frozen=True)
class Recorded:
    """One trained network.

    Attributes:
        architecture: What was trained.
        role: `candidate` of the search, or how the static reference was trained.
        network: What it said.
    """

    architecture: Architecture
    role: Role
    network: TrainedNetwork


@dataclass(frozen=True)
class TableFile:
    """A recorded table.

    Attributes:
        about: JSON values: configuration, data, versions.
        rows: The networks.
    """

    about: Mapping[str, Any]
    rows: Sequence[Recorded]

    def save(self, path: Path) -> None:
        """Writes the file at once."""
        arrays: dict[str, np.ndarray] = {}
        for split in _SPLITS:
            predictions: list[ExitPredictions] = [getattr(row.network, split) for row in self.rows]
            # (exits of all networks, samples)
            confidence = np.concatenate([p.confidence.T for p in predictions])
            correct = np.concatenate([p.correct.T for p in predictions])
            arrays[f"{split}_confidence"] = to_levels(confidence)
            arrays[f"{split}_correct"] = np.packbits(correct, axis=1)
            arrays[f"{split}_samples"] = np.array(correct.shape[1])
        about = {**self.about, "format": _FORMAT, "rows": [_described(row) for row in self.rows]}
        arrays["about"] = np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.tmp")
        with temporary.open("wb") as stream:
            np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]  # no array has the name of an option
        temporary.replace(path)

    @classmethod
    def load(cls, path: Path) -> TableFile:
        """Reads what `save` wrote.

        Raises:
            OfframpError: The file is missing, damaged or of another kind.
        """
        try:
            with np.load(path, allow_pickle=False) as archive:
                content = {name: archive[name] for name in archive.files}
            about = json.loads(content["about"].tobytes())
            if about["format"] != _FORMAT:
                raise ValueError(f"format {about['format']}")
            return cls(about, _rows(about.pop("rows"), content))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise OfframpError(
                f"expected a table of `python -m benchmarks.recorded_table record` in {path.name}, got {error}"
            ) from error


def to_levels(confidence: np.ndarray) -> np.ndarray:
    """Confidences of any shape as levels 0..255 of their log-odds."""
    exact = np.clip(confidence.astype(np.float64), 1e-12, 1 - 1e-12)
    log_odds = np.log(exact) - np.log1p(-exact)
    share = (np.clip(log_odds, _LOWEST, _HIGHEST) - _LOWEST) / (_HIGHEST - _LOWEST)
    return np.rint(share * _LEVELS).astype(np.uint8)


def from_levels(levels: np.ndarray) -> np.ndarray:
    """The confidence that each level stands for."""
    log_odds = _LOWEST + levels / _LEVELS * (_HIGHEST - _LOWEST)
    return 1.0 / (1.0 + np.exp(-log_odds))


def _described(row: Recorded) -> dict[str, Any]:
    temperatures = row.network.validation.temperatures
    return {
        "architecture": row.architecture.to_dict(),
        "role": row.role,
        "temperatures": None if temperatures is None else temperatures.tolist(),
        "training_samples": row.network.training_samples,
        "seconds": row.network.seconds,
    }


def _rows(described: Sequence[Mapping[str, Any]], content: Mapping[str, np.ndarray]) -> list[Recorded]:
    rows, start = [], 0
    for values in described:
        architecture = Architecture.from_dict(values["architecture"])
        # A row of joint training is the final exit alone.
        part = slice(start, start + architecture.n_exits)
        start += architecture.n_exits
        calibration, validation = (
            ExitPredictions(
                confidence=from_levels(content[f"{split}_confidence"][part]).T,
                correct=_unpacked(content[f"{split}_correct"][part], int(content[f"{split}_samples"])),
                temperatures=values["temperatures"],
            )
            for split in _SPLITS
        )
        network = TrainedNetwork(calibration, validation, values["training_samples"], values["seconds"])
        rows.append(Recorded(architecture, values["role"], network))
    return rows


def _unpacked(bits: np.ndarray, samples: int) -> np.ndarray:
    return np.unpackbits(bits, axis=1, count=samples).T.astype(bool)
