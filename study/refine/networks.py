"""The trainings of a refinement: several seeds of every architecture, each kept as soon as it is done."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from models.architecture import Architecture
from models.recipe import QatRecipe
from models.seeds import derive_seed, training_seed
from study.atomic import write_text
from study.memo import ALONE, JOINTLY, PredictionMemo, TrainedNetwork
from study.setup import head_kinds
from study.trainings import memo_context

if TYPE_CHECKING:
    from models.train import TrainResult
    from study.setup import StudyContext

FOLDER = "refined"


@dataclass(frozen=True)
class Training:
    """One training.

    Attributes:
        architecture: What is trained; of a joint training any of the static networks that come out of it.
        replicate: Index of the seed.
        jointly: The static networks with every kind of head, trained together with all exits.
        alone: The static network, from a float network that never had exits.
    """

    architecture: Architecture
    replicate: int
    jointly: bool = False
    alone: bool = False

    def __str__(self) -> str:
        what = "the static networks, jointly" if self.jointly else self.architecture.key()[:12]
        what += ", never with exits" if self.alone else ""
        return f"{what}, seed {self.replicate}"


@dataclass(frozen=True)
class RefinedNetworks:
    """Trains networks at full budget and finds again what was trained.

    A training's seed derives from (study seed, architecture, rung, replicate); the rung is the one above those of the
    search. A killed process loses at most the training it was at.

    Attributes:
        context: Of the study.
        recipe: How to train.
    """

    context: StudyContext
    recipe: QatRecipe

    @property
    def folder(self) -> Path:
        """Everything that is kept of refinements."""
        return self.context.paths.out / FOLDER

    @property
    def rung(self) -> int:
        """Index of the training budget."""
        return len(self.context.config.search.rungs)

    def joint_architectures(self) -> dict[str, Architecture]:
        """The static networks that come out of a joint training, by kind of final head."""
        n_blocks = self.context.spec.n_blocks
        return {kind: Architecture.static(n_blocks, kind) for kind in head_kinds(self.context.config)}

    def trainings(self, architectures: Sequence[Architecture], seeds: int) -> list[Training]:
        """All trainings of a refinement, those of the static reference first."""
        static = self.context.hardware.static_architecture
        jointly = [Training(static, k, jointly=True) for k in range(seeds)]
        designs = [Training(a, k) for a in architectures for k in range(seeds)]
        return list(dict.fromkeys([*jointly, *self.alone(seeds), *designs]))

    def alone(self, seeds: int) -> tuple[Training, ...]:
        """Those of the static reference without exits; an ordinary design's where `search.pretrain_alone` is off."""
        static = self.context.hardware.static_architecture
        return tuple(
            Training(static, k, alone=self.context.config.search.pretrain_alone) for k in range(seeds)
        )

    def find(self, training: Training) -> TrainedNetwork | None:
        """What a training gave for its architecture; None where it was not done, or its files are damaged."""
        found = self._memo(training).find(training.architecture)
        return found if found is not None and self.checkpoint(training).is_file() else None

    def done(self, training: Training) -> bool:
        """Whether everything that comes out of a training is there, or it is known to diverge."""
        parts = [training]
        if training.jointly:
            parts = [replace(training, architecture=a) for a in self.joint_architectures().values()]
        return self.failure(training) is not None or all(self.find(part) is not None for part in parts)

    def checkpoint(self, training: Training) -> Path:
        """File with the trained weights."""
        way = "-jointly" if training.jointly else "-alone" if training.alone else ""
        name = f"{training.architecture.key()[:12]}{way}-seed{training.replicate}-{self.key(training)[:8]}"
        return self.folder / "checkpoints" / f"{name}.safetensors"

    def key(self, training: Training) -> str:
        """SHA-256 (hex) over everything the result depends on."""
        return self._memo(training).key(training.architecture)

    def train(self, training: Training) -> None:
        """Does one training and keeps it; the checkpoint first, so that predictions say that both are whole.

        Raises:
            models.objective.NonFiniteLoss: It diverged.
        """
        from models.static_reference import train_jointly
        from models.train import train_architecture

        context = self.context
        scaling = context.config.space.temperature_scaling
        seed = context.config.search.seed
        if not training.jointly:
            key = training.architecture.key()
            start = context.pretrained_alone() if training.alone else context.warm
            result = train_architecture(
                training.architecture, context.spec, context.data, start, self.recipe,
                training_seed(seed, key, self.rung, training.replicate), context.device,
                self.checkpoint(training), temperature_scaling=scaling,
            )  # fmt: skip
            self._store(training, result)
            return
        parts = {k: replace(training, architecture=a) for k, a in self.joint_architectures().items()}
        results = train_jointly(
            context.spec, tuple(parts), context.data, context.warm, self.recipe,
            derive_seed("jointly", seed, self.rung, training.replicate), context.device,
            temperature_scaling=scaling, checkpoints={k: self.checkpoint(part) for k, part in parts.items()},
        )  # fmt: skip
        for kind, result in results.items():
            self._store(parts[kind], result)

    def failure(self, training: Training) -> str | None:
        """Why a training diverged; seeds follow from what is trained, so it always would."""
        path = self._failure_path(training)
        return json.loads(path.read_text(encoding="utf-8"))["reason"] if path.exists() else None

    def note_failure(self, training: Training, reason: str) -> None:
        """Keeps why a training diverged."""
        write_text(
            self._failure_path(training), json.dumps({"training": str(training), "reason": reason}) + "\n"
        )

    def _failure_path(self, training: Training) -> Path:
        return self.folder / "failed" / f"{self.key(training)[:32]}.json"

    def _memo(self, training: Training) -> PredictionMemo:
        context = self.context
        values = memo_context(
            context.config, context.data.fingerprint, context.warm.checksum, context.device, self.rung - 1
        )
        values |= {"recipe": self.recipe.key(), "rung": self.rung, "replicate": training.replicate}
        values |= {"training": JOINTLY} if training.jointly else {}
        values |= {"training": ALONE} if training.alone else {}
        return PredictionMemo(self.folder / "predictions", values)

    def _store(self, training: Training, result: TrainResult) -> None:
        network = TrainedNetwork(
            result.calibration,
            result.validation,
            result.training_samples,
            result.seconds,
            self.rung,
            self.recipe.batch_size,
        )
        self._memo(training).store(training.architecture, network)
