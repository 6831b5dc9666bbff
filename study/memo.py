"""Predictions of trained networks, kept so that a network that was trained once is never trained again."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from filelock import FileLock

from hwcost.errors import OfframpError
from models.architecture import Architecture
from models.predictions import ExitPredictions

_log = logging.getLogger(__name__)
_VALIDATION = ".validation.npz"
JOINTLY, ALONE = "jointly", "alone"
"""What the context of a static network says that is the final exit of a training with all exits, or that has never
been trained with one, not even before quantization."""


@dataclass(frozen=True)
class TrainedNetwork:
    """What a trained network says on the two splits the search may look at.

    Attributes:
        calibration: For choosing thresholds.
        validation: For the objectives.
        training_samples: Images it was trained on, repeats counted.
        seconds: Wall-clock time of the training.
        rung: Index of the training budget, see `study.rungs`.
        batch_size: Images a step; fewer than the recipe's where memory was short. None: it was not noted.
    """

    calibration: ExitPredictions
    validation: ExitPredictions
    training_samples: int
    seconds: float
    rung: int = 0
    batch_size: int | None = None


@cache
def training_code_version() -> str:
    """SHA-256 over the source of everything that decides how a network is trained."""
    digest = hashlib.sha256()
    for package in ("models", "models.backbones", "hwcost.networks"):
        folder = resources.files(package)
        for item in sorted(folder.iterdir(), key=lambda entry: entry.name):
            if item.name.endswith((".py", ".toml")):
                digest.update(item.name.encode())
                digest.update(item.read_bytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class PredictionMemo:
    """A folder of predictions, safe for several processes.

    Attributes:
        folder: Where the files are.
        context: Everything beside the architecture that a result depends on: recipe, rung, seed, data and split
            fingerprint, checksum of the warm start, code version, device. A file of another context is not used.
    """

    folder: Path
    context: dict[str, str | int]

    def key(self, architecture: Architecture) -> str:
        """SHA-256 (hex) over the architecture's canonical form and the context."""
        values = {"architecture": architecture.key(), **self.context}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()

    def find(self, architecture: Architecture) -> TrainedNetwork | None:
        """The predictions of this network, None when it was not trained or its file is damaged."""
        path = self._path(architecture)
        if not path.exists():
            return None
        try:
            return _read(path)
        except OfframpError as error:
            _log.warning("%s; the network is trained again", error)
            return None

    def get_or_train(
        self, architecture: Architecture, train: Callable[[], TrainedNetwork]
    ) -> tuple[TrainedNetwork, bool]:
        """The network's predictions, and whether it had to be trained for them.

        Of two processes that ask for the same network at once, one trains and the other waits for it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self._path(architecture).with_suffix(".lock")):
            known = self.find(architecture)
            if known is not None:
                return known, False
            trained = train()
            self.store(architecture, trained)
        return trained, True

    def store(self, architecture: Architecture, trained: TrainedNetwork) -> None:
        """Keeps what a training gave.

        Raises:
            OSError: The files cannot be written; there is then no entry.
        """
        meta = {
            "architecture": architecture.canonical().to_dict(),
            "context": self.context,
            "training_samples": trained.training_samples,
            "seconds": trained.seconds,
            "batch_size": trained.batch_size,
        }
        # The validation file is written last: its presence says that both are whole.
        trained.calibration.save(_calibration_of(self._path(architecture)), meta)
        trained.validation.save(self._path(architecture), meta)

    def _path(self, architecture: Architecture) -> Path:
        return self.folder / f"{self.key(architecture)[:32]}{_VALIDATION}"


@dataclass(frozen=True)
class LongestKnown:
    """Finds a network in several memos; can be handed to other processes.

    Attributes:
        memos: The first one that has it counts.
    """

    memos: tuple[PredictionMemo, ...]

    def __call__(self, architecture: Architecture) -> TrainedNetwork | None:
        """Its predictions; None where nobody has them."""
        found = (memo.find(architecture) for memo in self.memos)
        return next((network for network in found if network is not None), None)


@dataclass(frozen=True)
class StoredNetwork:
    """A network as its files tell it, whatever study looks.

    Attributes:
        architecture: In canonical form.
        network: Its predictions.
        training: `JOINTLY` or `ALONE`; empty for the training that every design gets.
    """

    architecture: Architecture
    network: TrainedNetwork
    training: str


def stored_networks(folder: Path) -> list[StoredNetwork]:
    """Every network in a folder of predictions, in the order of their files; half of a pair is left out.

    Raises:
        OfframpError: A file is damaged.
    """
    found = []
    for path in sorted(folder.glob(f"*{_VALIDATION}")):
        if _calibration_of(path).exists():
            meta = ExitPredictions.read_meta(path)
            training = meta["context"].get("training", "")
            found.append(StoredNetwork(Architecture.from_dict(meta["architecture"]), _read(path), training))
    return found


def _read(path: Path) -> TrainedNetwork:
    """The pair of files of a network, by that of validation.

    Raises:
        OfframpError: One is missing or damaged.
    """
    meta = ExitPredictions.read_meta(path)
    return TrainedNetwork(
        calibration=ExitPredictions.load(_calibration_of(path)),
        validation=ExitPredictions.load(path),
        training_samples=int(meta["training_samples"]),
        seconds=float(meta["seconds"]),
        rung=int(meta["context"].get("rung", 0)),
        batch_size=meta.get("batch_size"),
    )


def _calibration_of(validation: Path) -> Path:
    return validation.with_name(f"{validation.name.removesuffix(_VALIDATION)}.calibration.npz")
