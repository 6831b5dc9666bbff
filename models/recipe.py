"""How networks are trained: the numbers, nothing else."""

import dataclasses
import hashlib
import json
import math
from typing import Any, ClassVar, Literal, get_args

from hwcost.errors import OfframpError

Arithmetic = Literal["float32", "bfloat16"]
"""Of convolutions and linear layers in training; weights, sums of gradients and evaluation are always float32."""

LATER_FIELDS = {
    "precision": "float32",
    "final_learning_rate": 0.0,
    "start_size": 1.0,
    "full_size_from": 0.6,
    "cutmix": 0.0,
    "exit_gradient": 1.0,
}
"""Fields that came after the first caches, with the value under which nothing changed: at it they are left out of
keys and identities, so that a pre-training of hours is found again and studies go on."""


@dataclasses.dataclass(frozen=True)
class PretrainRecipe:
    """Float pre-training of the network with every exit and every head kind.

    Attributes:
        epochs: Passes over the training split; 0: the weights of a warm start that is given are taken as they are.
        batch_size: Images a step.
        learning_rate: Peak of the one-cycle schedule (SGD with Nesterov momentum).
        momentum: Of SGD.
        weight_decay: On convolution and linear weights only.
        warmup: Share of the steps in which the learning rate rises to its peak.
        final_learning_rate: Share of the peak at which the schedule ends; 1 keeps the peak to the end.
        label_smoothing: Probability mass spread over all classes, in the hard-label loss.
        exit_weight: Weight of all early exits together against the final exit's 1.
        distillation_weight: Share of an exit's loss that imitates the final exit, in [0, 1].
        distillation_temperature: Softens both sides of the distillation loss.
        ema_decay: Of the running mean of the weights over steps, which is what gets kept; 0 switches it off.
        gradient_clip: Largest norm of the gradient.
        start_size: Share of the images' side in the first steps, see `models.image_growth`; 1: all of it always.
        full_size_from: Share of the steps after which images have their full size.
        cutmix: Probability that an image has a part of another one, see `models.cutmix`; 0 switches it off.
        exit_gradient: Share of the early exits' gradient that reaches the backbone, in [0, 1]; their heads get all
            of it.
        threads: CPU threads of PyTorch; part of the recipe, as sums depend on it in their last digits.
        precision: Of the arithmetic, see `Arithmetic`.
    """

    epochs: int = 30
    batch_size: int = 128
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    warmup: float = 0.2
    final_learning_rate: float = 0.0
    label_smoothing: float = 0.1
    exit_weight: float = 1.0
    distillation_weight: float = 0.3
    distillation_temperature: float = 2.0
    ema_decay: float = 0.99
    gradient_clip: float = 5.0
    start_size: float = 1.0
    full_size_from: float = 0.6
    cutmix: float = 0.0
    exit_gradient: float = 1.0
    threads: int = 2
    precision: Arithmetic = "float32"
    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        _at_least("epochs", self.epochs, 0)
        _check_common(self)
        _in_range("ema_decay", self.ema_decay, 0.0, 1.0, upper_open=True)
        _in_range("final_learning_rate", self.final_learning_rate, 0.0, 1.0)
        _at_least("exit_weight", self.exit_weight, 0.0)
        _in_range("start_size", self.start_size, 0.25, 1.0)
        _in_range("full_size_from", self.full_size_from, 0.0, 1.0)
        _in_range("cutmix", self.cutmix, 0.0, 1.0)
        _in_range("exit_gradient", self.exit_gradient, 0.0, 1.0)

    def key(self) -> str:
        """SHA-256 (hex) over all fields."""
        return _key(self)

    def steps(self, n_train: int) -> int:
        """Optimizer steps on a training split of `n_train` images; a batch is at most the split."""
        return self.epochs * (n_train // min(self.batch_size, n_train))


@dataclasses.dataclass(frozen=True)
class QatRecipe:
    """Quantization-aware training of one architecture from the warm start.

    Attributes:
        epochs: Passes over the training split; fractions are legal.
        batch_size: Images a step.
        learning_rate: Peak of the schedule, for weights.
        scale_learning_rate: Peak of the schedule, for the base-2 logarithms of the quantizers' scales (Adam).
        momentum: Of SGD.
        weight_decay: On convolution and linear weights only.
        warmup: Share of the steps in which the learning rate rises to its peak.
        label_smoothing: Probability mass spread over all classes, in the hard-label loss.
        exit_weight: Weight of all early exits together against the final exit's 1.
        distillation_weight: Share of an exit's loss that imitates the float network's final exit, in [0, 1].
        distillation_temperature: Softens both sides of the distillation loss.
        gradient_clip: Largest norm of the gradient.
        norm_batches: Training batches from which BatchNorm statistics are measured again at the end;
            0 keeps the running ones.
        threads: CPU threads of PyTorch; part of the recipe, as sums depend on it in their last digits.
        precision: Of the arithmetic, see `Arithmetic`.
    """

    epochs: float = 2.0
    batch_size: int = 128
    learning_rate: float = 0.02
    scale_learning_rate: float = 0.005
    momentum: float = 0.9
    weight_decay: float = 1e-4
    warmup: float = 0.1
    label_smoothing: float = 0.0
    exit_weight: float = 1.0
    distillation_weight: float = 0.5
    distillation_temperature: float = 2.0
    gradient_clip: float = 5.0
    norm_batches: int = 20
    threads: int = 1
    precision: Arithmetic = "float32"
    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        if not (self.epochs > 0 and math.isfinite(self.epochs)):
            raise OfframpError(f"expected epochs above 0, got {self.epochs}; give a positive number")
        _check_common(self)
        _at_least("norm_batches", self.norm_batches, 0)
        _at_least("scale_learning_rate", self.scale_learning_rate, 0.0)
        _at_least("exit_weight", self.exit_weight, 0.0)

    def key(self) -> str:
        """SHA-256 (hex) over all fields."""
        return _key(self)

    def steps(self, n_train: int) -> int:
        """Optimizer steps on a training split of `n_train` images, at least one; a batch is at most the split."""
        return max(1, round(self.epochs * n_train / min(self.batch_size, n_train)))

    def training_samples(self, n_train: int) -> int:
        """Images seen in training, repeats counted."""
        return self.steps(n_train) * min(self.batch_size, n_train)


def _check_common(recipe: PretrainRecipe | QatRecipe) -> None:
    _at_least("batch_size", recipe.batch_size, 2)  # BatchNorm needs two
    _at_least("threads", recipe.threads, 1)
    if math.isnan(recipe.learning_rate) or recipe.learning_rate <= 0:
        raise OfframpError(
            f"expected learning_rate above 0, got {recipe.learning_rate}; give a positive number"
        )
    _at_least("weight_decay", recipe.weight_decay, 0.0)
    if not recipe.gradient_clip > 0:
        raise OfframpError(
            f"expected gradient_clip above 0, got {recipe.gradient_clip}; a large number switches it off"
        )
    if not recipe.distillation_temperature > 0:
        raise OfframpError(
            f"expected distillation_temperature above 0, got {recipe.distillation_temperature}; "
            "give a positive number"
        )
    _in_range("momentum", recipe.momentum, 0.0, 1.0, upper_open=True)
    _in_range("warmup", recipe.warmup, 0.0, 1.0, upper_open=True)
    _in_range("label_smoothing", recipe.label_smoothing, 0.0, 1.0, upper_open=True)
    _in_range("distillation_weight", recipe.distillation_weight, 0.0, 1.0)
    if recipe.precision not in get_args(Arithmetic):
        raise OfframpError(
            f"expected precision float32 or bfloat16, got {recipe.precision!r}; choose one of them"
        )


def _at_least(name: str, value: float, low: float) -> None:
    if not value >= low:
        raise OfframpError(f"expected {name} of at least {low:g}, got {value}; raise it")


def _in_range(name: str, value: float, low: float, high: float, *, upper_open: bool = False) -> None:
    if not (low <= value < high if upper_open else low <= value <= high):
        bracket = ")" if upper_open else "]"
        raise OfframpError(
            f"expected {name} in [{low:g}, {high:g}{bracket}, got {value}; choose a value inside"
        )


def _key(recipe: PretrainRecipe | QatRecipe) -> str:
    values = dataclasses.asdict(recipe)
    told = {
        name: value
        for name, value in values.items()
        if name not in LATER_FIELDS or value != LATER_FIELDS[name]
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
