"""torchvision's backbones the whole way: quantization-aware training, folding, files in their runtimes.

Narrow, small and hardly trained: what is compared is not what a network knows but what it computes.
"""

import dataclasses
import functools
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

from models.architecture import Architecture
from models.augment import normalize_batch
from models.backbones.open import open_backbone
from models.exit_policy import ExitPolicy
from models.export.agreement import Agreement, compare_logits
from models.export.onnx_files import write_onnx
from models.export.part_check import PartAgreement, compare_parts
from models.export.runtimes import OnnxPart, Runner, TorchPart, qonnx_to_qcdq
from models.export.torch_files import write_torch
from models.fold import fold_network
from models.network import EarlyExitNetwork
from models.open_checkpoint import open_checkpoint
from models.scores import read_logits
from models.train import train_architecture
from models.training_data import TrainingData
from models.warm_start import pretrain
from tests.models.small import PRETRAIN, QAT, digits

SIZE, WIDTH, N_IMAGES = 16, 0.25, 100
NAMES = ("mobilenet_v2", "resnet18", "efficientnet_b0")


@functools.cache
def few() -> TrainingData:
    """128 images to train on, 100 of the other splits."""
    data = digits()
    parts = {"train": 128, "calibration": N_IMAGES, "validation": N_IMAGES}
    shorter = {
        f"{part}_{what}": getattr(data, f"{part}_{what}")[:n]
        for part, n in parts.items()
        for what in ("images", "labels")
    }
    return dataclasses.replace(data, **shorter)


@functools.cache
def images() -> np.ndarray:
    data = few()
    return normalize_batch(data.validation_images[:N_IMAGES], data.mean, data.std).numpy()


@functools.cache
def networks(name: str) -> tuple[EarlyExitNetwork, EarlyExitNetwork]:
    """A network with one early exit, after four steps of float training and two of QAT, and its folded twin."""
    spec = open_backbone(name, WIDTH, 1, SIZE)
    n, points = spec.n_blocks, spec.mounting_points
    bits = (8, 4) * n
    architecture = Architecture((points[len(points) // 2],), ("fc", "fc"), bits[:n], bits[1 : n + 1], 8, 8)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "network.safetensors"
        warm = pretrain(spec, ("fc",), few(), dataclasses.replace(PRETRAIN, epochs=2), Path(folder), seed=0)
        train_architecture(
            architecture,
            spec,
            few(),
            warm,
            dataclasses.replace(QAT, norm_batches=2),
            1,
            checkpoint=checkpoint,
        )
        network, _ = open_checkpoint(checkpoint)
    return network, fold_network(network, torch.from_numpy(images()[:1]))


def logits(network: EarlyExitNetwork) -> np.ndarray:
    """(n, n_exits, classes)."""
    with torch.no_grad():
        return torch.stack(network(torch.from_numpy(images())), dim=1).numpy()


def policy(reference: np.ndarray) -> ExitPolicy:
    """Half of the images leave early."""
    return ExitPolicy(np.array([np.median(read_logits(reference[:, 0]).confidence), -np.inf]))


def written(name: str, kind: str, folder: Path) -> tuple[list[str], list[Runner]]:
    """Names of the files and the files in their runtime."""
    folded = networks(name)[1]
    if kind == "torch":
        paths = write_torch(folded, folder)
        return [path.name for path in paths], [TorchPart(path) for path in paths]
    paths = write_onnx(folded, "qonnx" if kind == "qonnx" else "qcdq", folder, {})
    if kind == "qonnx":
        for path in paths:
            qonnx_to_qcdq(path, path)
    return [path.name for path in paths], [OnnxPart(path, converted=kind == "qonnx") for path in paths]


def compared(name: str, kind: str, folder: Path) -> tuple[Agreement, tuple[PartAgreement, ...]]:
    """The whole network, and every segment and head, with the folded network."""
    files, (whole, *parts) = written(name, kind, folder)
    folded = networks(name)[1]
    reference = logits(folded)
    assert reference.std(axis=0).min() > 1e-3  # images differ, so that equal logits say something
    found = compare_logits(reference, np.stack(whole(images()), axis=1), policy(reference))
    return found, compare_parts(files[1:], parts, folded, images())


@pytest.mark.parametrize(
    "name", [name if name == "resnet18" else pytest.param(name, marks=pytest.mark.slow) for name in NAMES]
)
def test_folding(name: str) -> None:
    """Not bit by bit: in training the scales are inside of the sums, see `models.plain_layers`.

    What tells a wrong fold is how many images have equal logits: none once a single factor or bias in the middle is
    5 % off. A right one has 75 to 98 of 100 (six trainings of each network); the others have values that rounding
    carries over the border of a quantizer, which is why 94 to 100 get the same class.
    """
    network, folded = networks(name)
    reference = logits(network)
    found = compare_logits(reference, logits(folded), policy(reference))
    assert found.close_images >= 0.5
    assert found.same_exit >= 0.9
    assert found.same_class >= 0.85
    assert found.mean_logit_difference < 0.05 * reference.std()


@pytest.mark.parametrize("name", [*NAMES[:-1], pytest.param(NAMES[-1], marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "kind", ["qcdq", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("torch", "qonnx"))]
)
def test_files_are_equal_bit_by_bit(name: str, kind: str, tmp_path: Path) -> None:
    """Sums are of integers, other functions are rounded from float64: every runtime gives the same."""
    found, parts = compared(name, kind, tmp_path)
    assert found.largest_logit_difference == 0.0
    assert [part.largest_logit_difference for part in parts] == [0.0] * 4
