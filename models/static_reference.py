"""The static 8-bit networks that are trained jointly with all exits.

Joint training may make the final exit better or worse than training it alone, which is an ordinary training of the
static architecture; the study compares both and takes the better one as its reference.
"""

import time
from collections.abc import Mapping
from pathlib import Path

from hwcost.networks import uniform_precision
from models.architecture import REFERENCE_BITS, Architecture
from models.backbone import Backbone, code_of
from models.checkpoint import Checkpoint, CheckpointKeys
from models.checkpoint_notes import CheckpointNotes
from models.loop import torch_threads
from models.network import EarlyExitNetwork, Mount, architecture_mounts
from models.predictions import ExitPredictions
from models.recipe import QatRecipe
from models.train import TrainResult, empty_network, evaluate_splits, quantized_network, train_network
from models.training_data import TrainingData
from models.warm_start import WarmStart

EARLY_HEAD = "fc"


def train_jointly(
    spec: Backbone,
    head_kinds: tuple[str, ...],
    data: TrainingData,
    warm_start: WarmStart,
    recipe: QatRecipe,
    seed: int,
    device: str = "cpu",
    temperature_scaling: bool = True,
    checkpoints: Mapping[str, Path] | None = None,
) -> dict[str, TrainResult]:
    """Trains all exits together with every kind of final head, with the budget of any architecture.

    Args:
        spec: The backbone.
        head_kinds: Kinds of final heads; the exit behind every mounting point is `fc`.
        data: Of the warm start.
        warm_start: Where weights, ranges and teacher come from.
        recipe: How to train.
        seed: Of batches and augmentation.
        device: Of PyTorch.
        temperature_scaling: As for `models.train.train_architecture`.
        checkpoints: By kind of final head the file to keep the static network with that head in; None keeps none.

    Returns:
        By kind of final head its predictions, one exit each. Samples, seconds and loss of each are those of the one
        training they share.

    Raises:
        NonFiniteLoss: When a loss becomes NaN or infinite.
    """
    started = time.perf_counter()
    last = spec.n_blocks - 1
    early = tuple(Mount(block, EARLY_HEAD) for block in spec.mounting_points)
    mounts = (*early, *(Mount(last, kind) for kind in head_kinds))
    precision = uniform_precision(spec.n_blocks, REFERENCE_BITS, REFERENCE_BITS)
    with torch_threads(recipe.threads):
        network = quantized_network(spec, mounts, precision, warm_start, device)
        on_device = data.to(device)
        final_loss = train_network(network, on_device, warm_start.teacher_logits, recipe, seed)
        calibration, validation = evaluate_splits(network, on_device, temperature_scaling)
    for kind, path in (checkpoints or {}).items():
        column = len(early) + head_kinds.index(kind)
        _save_static(path, network, kind, data, recipe, validation.select([column]))
    seconds = time.perf_counter() - started
    samples = recipe.training_samples(len(data.train_images))
    results = {}
    for column, kind in enumerate(head_kinds, start=len(early)):
        results[kind] = TrainResult(
            calibration.select([column]), validation.select([column]), samples, seconds, final_loss
        )
    return results


def _save_static(
    path: Path,
    network: EarlyExitNetwork,
    kind: str,
    data: TrainingData,
    recipe: QatRecipe,
    validation: ExitPredictions,
) -> None:
    """Keeps the part of a jointly trained network that runs when nobody leaves early."""
    spec = network.spec
    architecture = Architecture.static(spec.n_blocks, kind)
    mounts, precision = architecture_mounts(architecture, spec), architecture.precision()
    part = empty_network(spec, mounts, precision, network.classes, network.image_size)
    everything = network.state_dict()
    keys = CheckpointKeys(
        architecture, spec.name, data.classes, data.image_size, data.fingerprint, recipe.key(), code_of(spec)
    )
    tensors = {name: everything[name] for name in part.state_dict()}
    Checkpoint(keys, tensors, CheckpointNotes.of_training(data, validation)).save(path)
