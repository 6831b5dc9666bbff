"""The float network with every exit and every head kind, trained once and cached: where all trainings start.

The static reference may have one of its own, without early exits: nothing of it has then been trained for exits.
"""

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hwcost.errors import OfframpError
from models.augment import normalize_batch
from models.backbone import Backbone
from models.calibrate import ActivationRange, measure_ranges, ranges_from_tensors, ranges_to_tensors
from models.device import release_cached
from models.evaluate import exit_predictions
from models.float_weights import FloatWeights
from models.loop import batch_indices, collect_logits, measure_norms, torch_threads
from models.network import EarlyExitNetwork, all_mounts
from models.objective import check_weights
from models.pretraining import Pretraining
from models.recipe import PretrainRecipe
from models.splits import spread
from models.tensor_file import checksum, read_tensors, write_tensors
from models.trained_on import TrainedOn, check_splits, to_values
from models.training_data import TrainingData

_LOGGER = logging.getLogger(__name__)

FORMAT = 2
"""Raised whenever the same inputs would give another warm start."""

FORMAT_APART = 3
"""The same for trainings whose early exits give the backbone no gradient: their heads are clipped apart since 3."""

RANGE_IMAGES = 512
"""Images that activation ranges are measured on."""

NORM_BATCHES = 40
"""Batches that the final BatchNorm statistics are measured on."""

QUICK_SAVING = 0.2
"""Seconds; what is kept as quickly is kept after every epoch."""

SHARE_OF_SAVING = 0.05
"""Of the time of a pre-training that may go into keeping what it has otherwise: heads have many weights, GPUs are
quick."""

Progress = Callable[[str, int, int, float], None]
"""Called with a stage, steps done, steps in all and a figure: the running training accuracy."""

_STATE, _TEACHER = "state.", "teacher"


@dataclasses.dataclass(frozen=True, eq=False)
class WarmStart:
    """A trained float network and what trainings that start from it need.

    Attributes:
        spec: Its backbone.
        head_kinds: Kinds of heads behind every mounting point, if there are early exits, and the last block.
        classes: Number of logits.
        image_size: Side of the images in pixels.
        state: Parameters and BatchNorm statistics by name.
        ranges: Distribution of every activation, by module name.
        teacher_logits: (n_train, classes) mean logits of the final heads on the train split as it is.
        accuracies: Validation accuracy of each head, by `Mount.name`, as fractions of 1.
        checksum: SHA-256 (hex) over all tensors.
        training_samples: Images seen in training, repeats counted.
        seconds: Spent on it, resumed parts included.
    """

    spec: Backbone
    head_kinds: tuple[str, ...]
    classes: int
    image_size: int
    state: Mapping[str, Tensor]
    ranges: Mapping[str, ActivationRange]
    teacher_logits: Tensor
    accuracies: Mapping[str, float]
    checksum: str
    training_samples: int
    seconds: float


def warm_start_key(
    spec: Backbone,
    head_kinds: tuple[str, ...],
    data: TrainingData,
    recipe: PretrainRecipe,
    seed: int,
    start: FloatWeights | None = None,
    early_exits: bool = True,
) -> str:
    """SHA-256 (hex) over everything a warm start depends on but the machine, which decides its last digits.

    So a folder of the cache serves on other machines too: pre-trained on a GPU, searched from on CPUs.
    """
    described = dataclasses.asdict(spec)
    for row in described.get("trunk", {}).get("layers", ()):
        del row["keeps_bits"]  # of the cost of quantized networks alone, and younger than the first caches
    is_apart = early_exits and recipe.exit_gradient == 0
    parts: dict[str, Any] = {
        "format": FORMAT_APART if is_apart else FORMAT,
        "spec": described,
        "head_kinds": head_kinds,
        "data": data.fingerprint,
        "image": [data.channels, data.image_size, data.classes],
        "recipe": recipe.key(),
        "seed": seed,
    }
    if start is not None:
        parts["start"] = [start.checksum, "with heads"] if start.heads else start.checksum
    if not early_exits:
        parts["early_exits"] = False
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def pretrain(
    spec: Backbone,
    head_kinds: tuple[str, ...],
    data: TrainingData,
    recipe: PretrainRecipe,
    cache_dir: Path,
    seed: int,
    device: str = "cpu",
    progress: Progress | None = None,
    start: FloatWeights | None = None,
    early_exits: bool = True,
) -> WarmStart:
    """Trains the float network, or reads it from the cache; with no epochs it is the start as it is, measured.

    BatchNorm statistics are measured on the train split, but for a start as it is that is no mean of networks.

    An interrupted training goes on after the last epoch that was kept (every one, unless that takes long beside
    the training), with the weights an uninterrupted one would have. Processes that ask for the same warm
    start at once wait for the first. A damaged cache is trained again, with a warning.

    Args:
        spec: The backbone; its input channels must be those of the images.
        head_kinds: Kinds of heads of the search space.
        data: Images and splits.
        recipe: How to train.
        cache_dir: Holds one folder a warm start, below `warm`.
        seed: Of weights, batches and augmentation.
        device: Of PyTorch.
        progress: Called after some steps.
        start: Weights that backbone and heads start from instead of fresh ones, where it has them.
        early_exits: Whether there are heads behind the mounting points, and not behind the last block alone.

    Raises:
        NonFiniteLoss: When the loss becomes NaN or infinite.
        OfframpError: When the backbone does not fit the images or the recipe, the start is known to be trained on
            the same images with other splits, or lacks a head and the recipe has no epochs.
    """
    if spec.in_channels != data.channels:
        raise OfframpError(
            f"expected a backbone for {data.channels} input channels, got {spec.in_channels}; "
            "open the backbone for these images"
        )
    if start is not None:
        check_splits(start.trained_on, data)
    key = warm_start_key(spec, head_kinds, data, recipe, seed, start, early_exits)
    folder = cache_dir / "warm" / key[:24]
    with _locked(folder, progress):
        path = folder / "warm.safetensors"
        if path.exists():
            try:
                return _load(path, spec, head_kinds, data)
            except OfframpError as error:
                _LOGGER.warning("the cached warm start is damaged and is trained again: %s", error)
        if start is not None and start.of_warm_start and not start.trained_on:
            _LOGGER.warning(
                "the float weights do not say which images they were trained on, as those of earlier versions: with "
                "other splits of the same images they know most of the calibration and validation images"
            )
        with torch_threads(recipe.threads):
            warm = _train(spec, head_kinds, data, recipe, folder, seed, device, progress, start, early_exits)
        release_cached()
        return warm


def load_warm_weights(network: nn.Module, state: Mapping[str, Tensor], allowed_missing: str) -> None:
    """Copies float weights into a network that may lack heads of the float one and may have scales.

    Args:
        network: Gets the weights.
        state: Of a float network with at least its heads.
        allowed_missing: Ending of the names that the float network does not have.

    Raises:
        OfframpError: When anything else is missing, superfluous or of another shape.
    """
    own = network.state_dict()
    missing = [name for name in own if name not in state and not name.endswith(allowed_missing)]
    superfluous = [name for name in state if name not in own and not name.startswith("heads.")]
    misshapen = [name for name in own if name in state and own[name].shape != state[name].shape]
    if missing or superfluous or misshapen:
        names = (missing + superfluous + misshapen)[:3]
        raise OfframpError(
            f"expected a warm start of this backbone, its heads, classes and image size, but "
            f"{', '.join(names)} is missing, superfluous or of another shape; pre-train for this search space"
        )
    network.load_state_dict({name: state[name] for name in own if name in state}, strict=False)


def _train(
    spec: Backbone,
    head_kinds: tuple[str, ...],
    data: TrainingData,
    recipe: PretrainRecipe,
    folder: Path,
    seed: int,
    device: str,
    progress: Progress | None,
    start: FloatWeights | None,
    early_exits: bool,
) -> WarmStart:
    started = time.perf_counter()
    mounts = all_mounts(spec, head_kinds, early_exits)
    with torch.random.fork_rng(devices=[]):  # constructors of PyTorch draw from the global generator
        network = EarlyExitNetwork(spec, mounts, data.classes, data.image_size)
    training = Pretraining(network, data.to(device), recipe, seed, device, start)
    saved = folder / "progress.safetensors"
    seconds_before = _resume(training, saved)
    since, writing = time.perf_counter(), 0.0
    for _ in range(training.epoch, recipe.epochs):
        training.run_epoch(progress)
        now = time.perf_counter()
        if writing <= QUICK_SAVING or now - since >= writing / SHARE_OF_SAVING:
            so_far = {"epoch": training.epoch, "seconds": seconds_before + now - started}
            write_tensors(saved, training.tensors(), so_far)
            since = time.perf_counter()
            writing = since - now
    training.finish()
    on_device = training.data
    generator = torch.Generator().manual_seed(seed)
    indices = batch_indices(len(data.train_images), max(recipe.batch_size, 256), generator)
    if recipe.epochs > 0 or (start is not None and start.averaged):
        measure_norms(network, on_device, indices, NORM_BATCHES)
    check_weights(network)
    n_final = len(head_kinds)
    teacher = collect_logits(network, on_device.train_images, on_device)[:, -n_final:].mean(1)
    validation = collect_logits(network, on_device.validation_images, on_device)
    accuracies = exit_predictions(validation, data.validation_labels).accuracies
    some = torch.from_numpy(spread(len(data.train_images), RANGE_IMAGES)).to(on_device.train_images.device)
    images = on_device.train_images[some].split(128)
    ranges = measure_ranges(
        network, (normalize_batch(chunk, data.mean, data.std, channels_last=True) for chunk in images)
    )
    tensors = {f"{_STATE}{name}": tensor.detach().cpu() for name, tensor in network.state_dict().items()}
    tensors |= {_TEACHER: teacher} | ranges_to_tensors(ranges)
    trained_now = TrainedOn.of(data) if recipe.epochs > 0 else None
    seen = [*(start.trained_on if start is not None else ()), trained_now]
    meta: dict[str, Any] = {
        "accuracies": {m.name: float(a) for m, a in zip(mounts, accuracies, strict=True)},
        "training_samples": training.samples,
        "seconds": seconds_before + time.perf_counter() - started,
        **to_values(one for one in seen if one is not None),
    }
    path = folder / "warm.safetensors"
    write_tensors(path, tensors, meta)
    saved.unlink(missing_ok=True)
    return _load(path, spec, head_kinds, data)


def _resume(training: Pretraining, saved: Path) -> float:
    """Goes on where an earlier process stopped; returns the seconds it had spent."""
    if not saved.exists():
        return 0.0
    try:
        tensors, meta = read_tensors(saved)
        training.restore(tensors, int(meta["epoch"]))
    except (OfframpError, KeyError, RuntimeError) as error:
        _LOGGER.warning("an interrupted pre-training cannot be read and starts again: %s", error)
        return 0.0
    return float(meta["seconds"])


def _load(path: Path, spec: Backbone, head_kinds: tuple[str, ...], data: TrainingData) -> WarmStart:
    tensors, meta = read_tensors(path)
    state = {name.removeprefix(_STATE): tensor for name, tensor in tensors.items() if name.startswith(_STATE)}
    return WarmStart(
        spec=spec,
        head_kinds=head_kinds,
        classes=data.classes,
        image_size=data.image_size,
        state=state,
        ranges=ranges_from_tensors(tensors),
        teacher_logits=tensors[_TEACHER],
        accuracies=meta["accuracies"],
        checksum=checksum(tensors),
        training_samples=int(meta["training_samples"]),
        seconds=float(meta["seconds"]),
    )


@contextlib.contextmanager
def _locked(folder: Path, progress: Progress | None) -> Iterator[None]:
    """Lets one process at a time into a folder; the lock is gone with its process."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if progress is not None:
                progress("waiting for the warm start of another process", 0, 1, 0.0)
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield
