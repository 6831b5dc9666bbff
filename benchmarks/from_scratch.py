"""The baseline of other schemes: a sampled network trained quantized from drawn weights, its recipe fixed beforehand.

There is no teacher; peak learning rate, warm-up, weight decay and label smoothing are those of the float
pre-training, everything else is that of a trial. Its samples are a multiple of a trial's.
"""

from __future__ import annotations

import dataclasses
import time

import torch

from hwcost.networks import Precision
from models.architecture import Architecture
from models.augment import normalize_batch
from models.backbone import Backbone
from models.calibrate import calibrate, measure_ranges
from models.loop import torch_threads
from models.network import EarlyExitNetwork, architecture_mounts, initialize
from models.recipe import PretrainRecipe, QatRecipe
from models.splits import spread
from models.train import empty_network, evaluate_splits, train_network
from models.training_data import TrainingData
from study.memo import TrainedNetwork


def scratch_recipe(qat: QatRecipe, pre: PretrainRecipe, multiple: int) -> QatRecipe:
    """The baseline's recipe.

    Args:
        qat: Of a trial from the warm start.
        pre: Of the pre-training.
        multiple: Training samples over those of such a trial.
    """
    return dataclasses.replace(
        qat,
        epochs=qat.epochs * multiple,
        learning_rate=pre.learning_rate,
        warmup=pre.warmup,
        weight_decay=pre.weight_decay,
        label_smoothing=pre.label_smoothing,
        distillation_weight=0.0,
    )


def scratch_network(
    spec: Backbone, architecture: Architecture, precision: Precision, data: TrainingData, seed: int
) -> EarlyExitNetwork:
    """A quantized network of drawn weights, its scales calibrated on training images."""
    mounts = architecture_mounts(architecture, spec)
    twin = EarlyExitNetwork(spec, mounts, data.classes, data.image_size)
    initialize(twin, torch.Generator().manual_seed(seed))
    some = torch.from_numpy(spread(len(data.train_images), 256))
    images = normalize_batch(data.train_images[some], data.mean, data.std, channels_last=True)
    twin.train()
    with torch.no_grad():
        twin(images)  # one batch through the BatchNorms, or activations would have no scale to measure
    network = empty_network(spec, mounts, precision, data.classes, data.image_size)
    network.load_state_dict(twin.state_dict(), strict=False)
    calibrate(network, measure_ranges(twin.eval(), [images]))
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def train_from_scratch(
    spec: Backbone, architecture: Architecture, data: TrainingData, recipe: QatRecipe, seed: int
) -> TrainedNetwork:
    """Trains and evaluates one network on the CPU.

    Raises:
        models.objective.NonFiniteLoss: Its training diverged.
    """
    started = time.perf_counter()
    with torch_threads(recipe.threads):
        network = scratch_network(spec, architecture, architecture.precision(), data, seed)
        train_network(network, data, torch.zeros(len(data.train_labels), data.classes), recipe, seed)
        calibration, validation = evaluate_splits(network, data)
    samples = recipe.training_samples(len(data.train_images))
    return TrainedNetwork(calibration, validation, samples, time.perf_counter() - started)
