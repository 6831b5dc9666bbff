"""Quantization-aware training of one architecture from the warm start."""

import dataclasses
import time
from pathlib import Path

import torch
from torch import Tensor

from hwcost.errors import OfframpError
from hwcost.networks import Precision
from models import brevitas_adapter
from models.architecture import Architecture
from models.augment import augment_batch, normalize_batch
from models.backbone import Backbone, code_of
from models.calibrate import calibrate
from models.checkpoint import CheckpointKeys, save_checkpoint
from models.checkpoint_notes import CheckpointNotes
from models.device import release_cached
from models.evaluate import calibrated_predictions, exit_predictions
from models.gradients import Gradients
from models.integer_network import deploy
from models.loop import (
    arithmetic,
    batch_indices,
    collect_logits,
    measure_norms,
    torch_threads,
    weight_groups,
)
from models.loss_record import LossRecord
from models.network import EarlyExitNetwork, Mount, architecture_mounts
from models.objective import check_weights, exit_weights, joint_loss, learning_rate_factor
from models.predictions import ExitPredictions
from models.recipe import QatRecipe
from models.seeds import derive_seed
from models.training_data import TrainingData
from models.warm_start import WarmStart, load_warm_weights

SCALE_BETAS = (0.9, 0.99)
"""Of the Adam optimizer of the scales: short memories, as trainings are short."""


@dataclasses.dataclass(frozen=True, eq=False)
class TrainResult:
    """What a training brought.

    Attributes:
        calibration: Predictions on the calibration split.
        validation: Predictions on the validation split.
        training_samples: Images seen in training, repeats counted.
        seconds: Spent, evaluation included.
        final_loss: Mean training loss of the last tenth of the steps.
    """

    calibration: ExitPredictions
    validation: ExitPredictions
    training_samples: int
    seconds: float
    final_loss: float


def train_architecture(
    architecture: Architecture,
    spec: Backbone,
    data: TrainingData,
    warm_start: WarmStart,
    recipe: QatRecipe,
    seed: int,
    device: str = "cpu",
    checkpoint: Path | None = None,
    temperature_scaling: bool = True,
) -> TrainResult:
    """Trains the quantized network of an architecture and evaluates all its exits.

    Equal arguments give equal predictions on one machine, whatever else runs on it.

    Args:
        architecture: What to train.
        spec: The backbone of the warm start.
        data: Of the warm start.
        warm_start: Where the weights, the activation ranges and the teacher come from.
        recipe: How to train.
        seed: Of batches and augmentation, see `models.seeds.training_seed`.
        device: Of PyTorch.
        checkpoint: File to keep the trained weights in.
        temperature_scaling: Whether each exit's logits are divided by a temperature fitted on the calibration split.

    Raises:
        OfframpError: When the architecture does not fit the backbone or the warm start.
        NonFiniteLoss: When the loss or a logit becomes NaN or infinite.
    """
    started = time.perf_counter()
    architecture = architecture.canonical()
    mounts = architecture_mounts(architecture, spec)
    with torch_threads(recipe.threads):
        network = quantized_network(spec, mounts, architecture.precision(), warm_start, device)
        on_device = data.to(device)
        final_loss = train_network(network, on_device, warm_start.teacher_logits, recipe, seed)
        calibration, validation = evaluate_splits(network, on_device, temperature_scaling)
    if checkpoint is not None:
        keys = CheckpointKeys(
            architecture,
            spec.name,
            data.classes,
            data.image_size,
            data.fingerprint,
            recipe.key(),
            code_of(spec),
        )
        save_checkpoint(checkpoint, network, keys, CheckpointNotes.of_training(data, validation))
    return TrainResult(
        calibration=calibration,
        validation=validation,
        training_samples=recipe.training_samples(len(data.train_images)),
        seconds=time.perf_counter() - started,
        final_loss=final_loss,
    )


def quantized_network(
    spec: Backbone,
    mounts: tuple[Mount, ...],
    precision: Precision,
    warm_start: WarmStart,
    device: str = "cpu",
) -> EarlyExitNetwork:
    """A quantized network with the weights of the warm start and calibrated scales.

    Raises:
        OfframpError: When the warm start is of another backbone or lacks a head kind.
    """
    if warm_start.spec != spec:
        raise OfframpError(
            f"expected a warm start of {spec.name}, got one of {warm_start.spec.name}; pre-train this backbone"
        )
    network = empty_network(spec, mounts, precision, warm_start.classes, warm_start.image_size)
    load_warm_weights(network, warm_start.state, brevitas_adapter.SCALE_SUFFIX)
    calibrate(network, warm_start.ranges)
    network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def empty_network(
    spec: Backbone, mounts: tuple[Mount, ...], precision: Precision, classes: int, image_size: int
) -> EarlyExitNetwork:
    """A quantized network whose weights and scales mean nothing yet."""
    with torch.random.fork_rng(devices=[]):  # constructors of PyTorch draw from the global generator
        layers = brevitas_adapter.QuantLayers()
        return EarlyExitNetwork(spec, mounts, classes, image_size, precision, layers)


def train_network(
    network: EarlyExitNetwork, data: TrainingData, teacher_logits: Tensor, recipe: QatRecipe, seed: int
) -> float:
    """The training loop: joint loss over the exits, distilled from the float network's final exit.

    Teacher logits are of the images as they are, computed once for all trainings: running the teacher on each
    augmented batch would cost a fifth of every step.

    Args:
        network: Quantized, trained in place; left with BatchNorm statistics measured anew.
        data: On the network's device.
        teacher_logits: (n_train, classes).
        recipe: How to train.
        seed: Of batches and augmentation.

    Returns:
        Mean loss of the last tenth of the steps.

    Raises:
        NonFiniteLoss: When the loss becomes NaN or infinite, or a weight is in the end.
    """
    n_train = len(data.train_images)
    n_steps = recipe.steps(n_train)
    device = data.train_images.device
    generator = torch.Generator().manual_seed(derive_seed("qat", seed))
    indices = batch_indices(n_train, recipe.batch_size, generator)
    teacher = teacher_logits.to(device)
    is_final = [mount.block == network.spec.n_blocks - 1 for mount in network.mounts]
    weights = exit_weights(is_final, recipe.exit_weight).to(device)
    distilled = torch.full_like(weights, recipe.distillation_weight)
    optimizer = QatOptimizer(network, recipe)
    losses = LossRecord(n_steps, recipe.learning_rate)

    def compute(images: Tensor, labels: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
        with arithmetic(recipe.precision, device):
            logits = network(images)
        loss = joint_loss(
            logits, labels, teacher, weights, distilled, recipe.distillation_temperature, recipe.label_smoothing
        )  # fmt: skip
        return loss, loss.detach()

    gradients = Gradients(compute, list(network.parameters()))
    network.train()
    for step in range(n_steps):
        batch = next(indices)
        images = augment_batch(
            data.train_images[batch], data.augment, data.mean, data.std, generator, channels_last=True
        )
        loss, _ = gradients(images, data.train_labels[batch], teacher[batch])
        losses.add(loss)
        optimizer.step(learning_rate_factor(step, n_steps, recipe.warmup))
    del gradients
    release_cached()  # of the recorded step: other processes train on the same GPU
    measure_norms(network, data, indices, recipe.norm_batches)
    check_weights(network)
    return losses.last(0.1)


class QatOptimizer:
    """SGD with momentum for weights, Adam for the scales.

    A scale's gradient is a sum over a whole activation: its size says little, its sign much, which is what
    Adam uses. As scales are logarithms, one learning rate suits all (Jain et al. 2020, section 5.2).
    """

    def __init__(self, network: EarlyExitNetwork, recipe: QatRecipe) -> None:
        self.recipe = recipe
        scales = brevitas_adapter.scale_parameters(network)
        ids = {id(scale) for scale in scales}
        self.weights = [p for p in network.parameters() if id(p) not in ids]
        self.sgd = torch.optim.SGD(
            weight_groups(network, recipe.weight_decay, scales),
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            nesterov=recipe.momentum > 0,
        )
        self.adam = torch.optim.Adam(scales, lr=recipe.scale_learning_rate, betas=SCALE_BETAS, foreach=True)

    def step(self, factor: float) -> None:
        """Follows the gradients that the parameters have at `factor` times the learning rates."""
        for group in self.sgd.param_groups:
            group["lr"] = self.recipe.learning_rate * factor
        for group in self.adam.param_groups:
            group["lr"] = self.recipe.scale_learning_rate * factor
        torch.nn.utils.clip_grad_norm_(self.weights, self.recipe.gradient_clip)
        self.sgd.step()
        self.adam.step()


def evaluate_splits(
    network: EarlyExitNetwork, data: TrainingData, temperature_scaling: bool = True
) -> tuple[ExitPredictions, ExitPredictions]:
    """Predictions of every exit on the calibration and the validation split, as the deployed network gives them.

    The network is folded first: rounding in a training's arithmetic moves single values over the border between two
    levels, the folded network's integers are the same everywhere.

    Args:
        network: Quantized; put into evaluation mode.
        data: On the network's device.
        temperature_scaling: Whether temperatures are fitted, on the calibration split alone.
    """
    example = normalize_batch(data.validation_images[:1], data.mean, data.std, channels_last=True)
    deployed = deploy(network.eval(), example)
    calibration = collect_logits(deployed, data.calibration_images, data)
    validation = collect_logits(deployed, data.validation_images, data)
    if temperature_scaling:
        return calibrated_predictions(
            calibration, data.calibration_labels, validation, data.validation_labels
        )
    return (
        exit_predictions(calibration, data.calibration_labels),
        exit_predictions(validation, data.validation_labels),
    )
