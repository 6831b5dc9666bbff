"""How long trainings will take, from a few steps on random data."""

import dataclasses
import time
from collections.abc import Callable

import torch

from hwcost.networks import uniform_precision
from models.augment import normalize_batch
from models.augment_spec import AugmentSpec
from models.backbone import Backbone
from models.image_growth import check_small_images, steps_by_side
from models.integer_network import deploy
from models.loop import collect_logits, torch_threads
from models.network import EarlyExitNetwork, all_mounts
from models.pretraining import Pretraining
from models.recipe import PretrainRecipe, QatRecipe
from models.train import empty_network, train_network
from models.training_data import TrainingData

MOST_TIMED = 64
"""Images of a timed step on a CPU, where time goes with the images: batches of recipes for GPUs might not fit."""

ENOUGH_SECONDS = 3.0
"""Of a step: what a first call takes longer than a later one does not count any more."""


@dataclasses.dataclass(frozen=True)
class StepTimes:
    """Measured on this machine, in this moment.

    Attributes:
        pretrain_step_seconds: One step of the pre-training, on whole images.
        qat_step_seconds: One step of the training of an architecture.
        evaluation_image_seconds: One image through a quantized network.
        image_size: Side of a whole image in pixels.
    """

    pretrain_step_seconds: float
    qat_step_seconds: float
    evaluation_image_seconds: float
    image_size: int

    def pretrain_seconds(self, recipe: PretrainRecipe, n_train: int) -> float:
        """Expected time of a pre-training; that of a step goes with the area of its images and their number."""
        sides = steps_by_side(recipe.steps(n_train), self.image_size, recipe)
        whole_steps = sum(steps * (side / self.image_size) ** 2 for side, steps in sides.items())
        return self.pretrain_step_seconds * whole_steps * min(recipe.batch_size, n_train) / recipe.batch_size

    def training_seconds(self, recipe: QatRecipe, n_train: int, n_evaluated: int) -> float:
        """Expected time of the training of one architecture, evaluation included.

        Args:
            recipe: How to train.
            n_train: Images of the train split.
            n_evaluated: Images of the calibration and the validation split together.
        """
        batch_size = min(recipe.batch_size, n_train)
        n_evaluated += recipe.norm_batches * batch_size
        step_seconds = self.qat_step_seconds * batch_size / recipe.batch_size
        return step_seconds * recipe.steps(n_train) + self.evaluation_image_seconds * n_evaluated


def estimate_step_seconds(
    spec: Backbone,
    head_kinds: tuple[str, ...],
    classes: int,
    image_size: int,
    pretrain: PretrainRecipe,
    qat: QatRecipe,
    device: str = "cpu",
    n_train: int | None = None,
) -> StepTimes:
    """Times steps on random images: of the pre-training, and of the architecture with every exit.

    Args:
        spec: The backbone.
        head_kinds: Kinds of heads of the search space.
        classes: Number of logits.
        image_size: Side of the images in pixels.
        pretrain: Its batch size and threads count.
        qat: Its batch size and threads count.
        device: Of PyTorch.
        n_train: Images of the train split. Where it is given, a backbone that cannot take the small images of the
            pre-training is refused.

    Raises:
        OfframpError: See above.
    """
    n_steps = 0 if n_train is None else pretrain.steps(n_train)
    most = MOST_TIMED if device == "cpu" else max(pretrain.batch_size, qat.batch_size)
    pretrain_times, qat_times = (max(1.0, batch / most) for batch in (pretrain.batch_size, qat.batch_size))
    pretrain = dataclasses.replace(pretrain, batch_size=min(pretrain.batch_size, most))
    qat = dataclasses.replace(qat, batch_size=min(qat.batch_size, most))
    data = _random_data(spec, classes, image_size, max(pretrain.batch_size, qat.batch_size), device)
    with torch.random.fork_rng(devices=[]):
        network = EarlyExitNetwork(spec, all_mounts(spec, head_kinds), classes, image_size)
        quantized = _quantized_twin(spec, head_kinds[:1], classes, image_size, device)
    check_small_images(network, n_steps, pretrain)
    n = len(data.train_images)
    with torch_threads(pretrain.threads):
        one_step = dataclasses.replace(pretrain, epochs=1, start_size=1.0)
        training = Pretraining(network, _first(data, one_step.batch_size), one_step, 0, device)
        pretrain_seconds = _shortest(training.run_epoch)
    step = dataclasses.replace(qat, epochs=qat.batch_size / n, norm_batches=0)
    teacher = torch.zeros(n, classes)
    with torch_threads(qat.threads):
        qat_seconds = _shortest(lambda: train_network(quantized, data, teacher, step, 0))
        example = normalize_batch(data.train_images[:1], data.mean, data.std, channels_last=True)
        deployed = deploy(quantized.eval(), example)
        evaluation_seconds = _shortest(lambda: collect_logits(deployed, data.train_images, data)) / n
    return StepTimes(
        pretrain_seconds * pretrain_times, qat_seconds * qat_times, evaluation_seconds, image_size
    )


def _shortest(action: Callable[[], object], repeats: int = 3) -> float:
    """Seconds of the fastest of some calls after the first, or of the first where that takes long enough."""
    first = _seconds(action)
    return first if first > ENOUGH_SECONDS else min(_seconds(action) for _ in range(repeats))


def _seconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def _quantized_twin(
    spec: Backbone, head_kinds: tuple[str, ...], classes: int, image_size: int, device: str
) -> EarlyExitNetwork:
    mounts = all_mounts(spec, head_kinds)
    network = empty_network(spec, mounts, uniform_precision(spec.n_blocks), classes, image_size)
    network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def _random_data(spec: Backbone, classes: int, image_size: int, n: int, device: str) -> TrainingData:
    generator = torch.Generator().manual_seed(0)
    shape = (n, spec.in_channels, image_size, image_size)
    images = torch.randint(256, shape, dtype=torch.uint8, generator=generator)
    labels = torch.randint(classes, (n,), generator=generator)
    data = TrainingData(
        name="random",
        class_names=tuple(str(index) for index in range(classes)),
        train_images=images,
        train_labels=labels,
        calibration_images=images,
        calibration_labels=labels,
        validation_images=images,
        validation_labels=labels,
        mean=(0.5,) * spec.in_channels,
        std=(0.29,) * spec.in_channels,
        augment=AugmentSpec(flip=True, crop_padding=min(4, image_size - 1)),
        fingerprint="random",
    )
    return data.to(device)


def _first(data: TrainingData, n: int) -> TrainingData:
    return dataclasses.replace(data, train_images=data.train_images[:n], train_labels=data.train_labels[:n])
