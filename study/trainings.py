"""From an architecture to a trained network at each budget of a study; the memo knows what was trained."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from models.architecture import Architecture
from models.recipe import QatRecipe
from models.seeds import training_seed
from study.config import StudyConfig
from study.memo import PredictionMemo, TrainedNetwork, training_code_version
from study.memory import with_smaller_batches
from study.rungs import Rung

if TYPE_CHECKING:
    from models.backbone import Backbone
    from models.training_data import TrainingData
    from models.warm_start import WarmStart
    from study.setup import Paths


def make_rungs(
    config: StudyConfig,
    paths: Paths,
    device: str,
    data: TrainingData,
    spec: Backbone,
    warm: WarmStart,
    halvings: int = 0,
    mark: str = "",
) -> tuple[Rung, ...]:
    """The training budgets of a study, the shortest first.

    Args:
        config: Of the study.
        paths: Of the study.
        device: `cpu` or `cuda`.
        data: The splits.
        spec: The backbone.
        warm: Where every training starts.
        halvings: How often batches are halved before the first try.
        mark: Put behind the names of checkpoints.
    """
    from models.train import train_architecture

    seed = config.search.seed

    def train(rung: int, architecture: Architecture) -> TrainedNetwork:
        training = training_seed(seed, architecture.key(), rung, 0)
        # A longer training takes the place of the shorter one.
        checkpoint = paths.checkpoints / f"{architecture.key()[:32]}{mark}.safetensors"

        def once(recipe: QatRecipe) -> TrainedNetwork:
            result = train_architecture(
                architecture, spec, data, warm, recipe, training, device, checkpoint,
                temperature_scaling=config.space.temperature_scaling,
            )  # fmt: skip
            return TrainedNetwork(
                result.calibration,
                result.validation,
                result.training_samples,
                result.seconds,
                rung,
                recipe.batch_size,
            )

        return with_smaller_batches(once, rung_recipe(config, rung), halvings)

    return tuple(
        Rung(
            PredictionMemo(
                paths.predictions, memo_context(config, data.fingerprint, warm.checksum, device, rung)
            ),
            partial(train, rung),
        )
        for rung in range(len(config.search.rungs))
    )


def rung_recipe(config: StudyConfig, rung: int) -> QatRecipe:
    """How networks are trained at a rung."""
    return replace(config.qat, epochs=config.qat.epochs * config.search.rungs[rung])


def memo_context(config: StudyConfig, data: str, warm: str, device: str, rung: int) -> dict[str, str | int]:
    """What a training result depends on beside the architecture."""
    return {
        "recipe": rung_recipe(config, rung).key(),
        "rung": rung,
        "seed": config.search.seed,
        "data": data,
        "warm_start": warm,
        "code": training_code_version(),
        "device": device,
        "precision": config.qat.precision,
        "temperature_scaling": int(config.space.temperature_scaling),
    }
