"""Predictions and costs to compare exit policies on: drawn, trained in seconds, or of a finished study."""

from __future__ import annotations

import dataclasses
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hwcost.chip.accelerator_file import load_accelerator
from hwcost.errors import OfframpError
from hwcost.evaluate import CostModel
from hwcost.networks import BackboneSpec, BlockSpec, early_exit_workload, load_backbone
from models.architecture import Architecture
from models.augment_spec import AugmentSpec
from models.data import load_dataset
from models.evaluate import calibrated_predictions, exit_predictions
from models.loop import collect_logits, torch_threads
from models.network import architecture_mounts
from models.predictions import ExitPredictions
from models.recipe import PretrainRecipe, QatRecipe
from models.splits import SplitSpec
from models.train import quantized_network, train_network
from models.training_data import prepare
from models.warm_start import pretrain
from study.memo import stored_networks

LADDER = BackboneSpec(
    name="ladder",
    in_channels=1,
    stem_channels=8,
    blocks=(
        BlockSpec(8, 4, 24, 3, 2),
        BlockSpec(24, 2, 24, 3, 1),
        BlockSpec(24, 2, 32, 3, 2),
        BlockSpec(32, 2, 32, 3, 1),
        BlockSpec(32, 4, 40, 3, 1),
    ),
    mounting_points=(0, 1, 2, 3),
)
"""Five small blocks, an exit behind each."""


@dataclass(frozen=True)
class Case:
    """One network on two splits, and its cost.

    Attributes:
        calibration: Thresholds are chosen on these.
        validation: And measured on these.
        latency_cycles: (n_exits,) cumulative.
        energy_pj: (n_exits,) cumulative.
        raw: Both splits at temperature 1; None where no logits are at hand.
    """

    calibration: ExitPredictions
    validation: ExitPredictions
    latency_cycles: np.ndarray
    energy_pj: np.ndarray
    raw: tuple[ExitPredictions, ExitPredictions] | None = None

    @property
    def n_calibration(self) -> int:
        """Samples of the calibration split."""
        return self.calibration.n_samples

    @property
    def edp(self) -> np.ndarray:
        """(n_exits,) energy-latency product of leaving at each exit, pJ x cycles."""
        return self.latency_cycles * self.energy_pj


def drawn(seed: int, n_samples: int = 5000, n_exits: int = 6, classes: int = 10) -> Case:
    """Samples of differing ease; logits grow clearer from exit to exit and are surer than they should be."""
    rng = np.random.default_rng(seed)

    def split() -> tuple[Tensor, Tensor]:
        labels = rng.integers(classes, size=n_samples)
        logits = 0.6 * rng.normal(size=(n_samples, n_exits, classes)).cumsum(axis=1)
        logits += rng.normal(size=(n_samples, 1, classes))
        clarity = np.linspace(1.0, 5.0, n_exits) + 1.2 * rng.normal(size=(n_samples, 1))
        logits[np.arange(n_samples), :, labels] += clarity
        logits *= overconfidence
        return torch.from_numpy(logits.astype(np.float32)), torch.from_numpy(labels)

    overconfidence = rng.uniform(1.0, 3.0, size=(n_exits, 1))
    segments = rng.random((2, n_exits)) + 0.3
    return _case((*split(), *split()), 1e5 * segments[0].cumsum(), 1e8 * segments[1].cumsum())


def trained(seed: int, bits: int = 4, epochs: int = 6) -> Case:
    """A network with four early exits on scikit-learn's digits, quantized after a short pre-training."""
    splits = SplitSpec(calibration=400, validation=400, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        image_set = load_dataset("digits", 16, Path(folder))
        data = prepare(image_set, splits, AugmentSpec(flip=False, crop_padding=1))
        short = PretrainRecipe(epochs=epochs, batch_size=32, learning_rate=0.1, ema_decay=0.9, threads=1)
        warm = pretrain(LADDER, ("gap",), data, short, Path(folder), seed=seed)
    n = LADDER.n_blocks
    architecture = Architecture(
        LADDER.mounting_points, ("gap",) * n, (bits,) * n, (bits,) * n, bits, bits
    ).canonical()
    recipe = QatRecipe(epochs=1.0, batch_size=32, learning_rate=0.02, norm_batches=4, threads=1)
    with torch_threads(1):
        mounts = architecture_mounts(architecture, LADDER)
        network = quantized_network(LADDER, mounts, architecture.precision(), warm)
        train_network(network, data, warm.teacher_logits, recipe, seed)
        calibration = collect_logits(network, data.calibration_images, data)
        validation = collect_logits(network, data.validation_images, data)
    splits_of_logits = (calibration, data.calibration_labels, validation, data.validation_labels)
    return _case(splits_of_logits, *simulated(architecture, LADDER, 16, 10))


def stored(folder: Path, width: float, image_size: int, classes: int) -> list[Case]:
    """The trained networks of a study on the paper's backbone, from the `predictions` folder of its run.

    Raises:
        OfframpError: There is none with early exits.
    """
    spec = load_backbone("paper").scaled(width)
    cases = []
    for found in stored_networks(folder):
        if found.architecture.exits:
            costs = simulated(found.architecture, spec, image_size, classes)
            cases.append(Case(found.network.calibration, found.network.validation, *costs))
    if not cases:
        raise OfframpError(
            f"expected predictions of networks with early exits in {folder.name}, got none; give the folder "
            "'predictions' of a run"
        )
    return cases


def simulated(
    architecture: Architecture, spec: BackboneSpec, image_size: int, classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Latency (n_exits,) in cycles and energy (n_exits,) in pJ on the default accelerator."""
    accelerator = load_accelerator("edge_tpu_quad")
    workload = early_exit_workload(
        spec, architecture.exits, architecture.heads, architecture.precision(), image_size, classes
    )
    costs = CostModel(accelerator).evaluate(workload, np.array([accelerator.default_allocation]))
    return costs.latency_cycles[0], costs.energy_pj[0]


def _case(
    splits: tuple[Tensor, Tensor, Tensor, Tensor], latency_cycles: np.ndarray, energy_pj: np.ndarray
) -> Case:
    """Predictions with and without temperatures from logits and labels of both splits."""
    raw = (exit_predictions(*splits[:2]), exit_predictions(*splits[2:]))
    return Case(*calibrated_predictions(*splits), latency_cycles, energy_pj, raw)


def without_temperature(case: Case) -> Case:
    """The same network with its logits as they are.

    Raises:
        OfframpError: Its logits are not at hand.
    """
    if case.raw is None:
        raise OfframpError("expected a case with logits, got stored predictions; use drawn or trained ones")
    return dataclasses.replace(case, calibration=case.raw[0], validation=case.raw[1], raw=None)
