"""The static 8-bit network that everything is measured against, trained alone and jointly with all exits."""

import dataclasses
import time
from collections.abc import Mapping

from hwcost.networks import BackboneSpec, uniform_precision
from models.architecture import REFERENCE_BITS, Architecture
from models.loop import torch_threads
from models.network import Mount
from models.predictions import ExitPredictions
from models.recipe import QatRecipe
from models.seeds import derive_seed
from models.train import TrainResult, evaluate, quantized_network, train_architecture, train_network
from models.training_data import TrainingData
from models.warm_start import WarmStart

REFERENCE_HEAD = "fc"


@dataclasses.dataclass(frozen=True, eq=False)
class StaticReference:
    """Both trainings of the static network; every prediction has one exit, the final one.

    Attributes:
        alone: The network with the `fc` head and nothing else.
        jointly: By kind of the final head: trained together with exits behind all mounting points. Samples,
            seconds and loss of each are those of the one training they share.
    """

    alone: TrainResult
    jointly: Mapping[str, TrainResult]

    @property
    def accuracy_alone(self) -> float:
        """Validation accuracy of the `fc` head trained alone, as a fraction of 1."""
        return float(self.alone.validation.accuracies[-1])

    @property
    def accuracy_jointly(self) -> float:
        """Validation accuracy of the `fc` head trained jointly, as a fraction of 1."""
        return float(self.jointly[REFERENCE_HEAD].validation.accuracies[-1])

    @property
    def trained(self) -> str:
        """Which of both counts: `alone` or `jointly`."""
        return "alone" if self.accuracy_alone >= self.accuracy_jointly else "jointly"

    @property
    def reference(self) -> TrainResult:
        """The better of both."""
        return self.alone if self.trained == "alone" else self.jointly[REFERENCE_HEAD]

    def best(self, head: str) -> TrainResult:
        """The best static network with a kind of final head."""
        return self.reference if head == REFERENCE_HEAD else self.jointly[head]


def train_static_reference(
    spec: BackboneSpec,
    head_kinds: tuple[str, ...],
    data: TrainingData,
    warm_start: WarmStart,
    recipe: QatRecipe,
    seed: int,
    device: str = "cpu",
) -> StaticReference:
    """Trains the static 8-bit network both ways, with the budget and the distillation of any architecture.

    The joint training has an `fc` exit behind every mounting point and all kinds of final heads at once.

    Args:
        spec: The backbone.
        head_kinds: Kinds of the search space; `fc` is among them.
        data: Of the warm start.
        warm_start: Where weights, ranges and teacher come from.
        recipe: How to train.
        seed: Of batches and augmentation.
        device: Of PyTorch.

    Raises:
        NonFiniteLoss: When a loss becomes NaN or infinite.
    """
    architecture = Architecture.static(spec.n_blocks, REFERENCE_HEAD)
    alone = train_architecture(
        architecture, spec, data, warm_start, recipe, derive_seed("alone", seed), device
    )
    jointly = train_jointly(spec, head_kinds, data, warm_start, recipe, derive_seed("jointly", seed), device)
    return StaticReference(alone, jointly)


def train_jointly(
    spec: BackboneSpec,
    head_kinds: tuple[str, ...],
    data: TrainingData,
    warm_start: WarmStart,
    recipe: QatRecipe,
    seed: int,
    device: str,
) -> dict[str, TrainResult]:
    """The joint training alone, see `train_static_reference`.

    Returns:
        By kind of the final head; samples, seconds and loss of each are those of the one training they share.

    Raises:
        NonFiniteLoss: When the loss becomes NaN or infinite.
    """
    started = time.perf_counter()
    last = spec.n_blocks - 1
    early = tuple(Mount(block, REFERENCE_HEAD) for block in spec.mounting_points)
    mounts = (*early, *(Mount(last, kind) for kind in head_kinds))
    precision = uniform_precision(spec.n_blocks, REFERENCE_BITS, REFERENCE_BITS)
    with torch_threads(recipe.threads):
        network = quantized_network(spec, mounts, precision, warm_start, device)
        on_device = data.to(device)
        final_loss = train_network(network, on_device, warm_start.teacher_logits, recipe, seed)
        calibration = evaluate(network, data.calibration_images, data.calibration_labels, on_device)
        validation = evaluate(network, data.validation_images, data.validation_labels, on_device)
    seconds = time.perf_counter() - started
    samples = recipe.training_samples(len(data.train_images))
    results = {}
    for column, kind in enumerate(head_kinds, start=len(early)):
        pair: list[ExitPredictions] = [split.select([column]) for split in (calibration, validation)]
        results[kind] = TrainResult(pair[0], pair[1], samples, seconds, final_loss)
    return results
