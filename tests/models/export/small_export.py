"""A trained network of three blocks, its folded twin and real images, for the tests of exporting."""

import functools
from pathlib import Path

import numpy as np
import torch

from models.architecture import Architecture
from models.augment import normalize_batch
from models.checkpoint import CheckpointKeys, save_checkpoint
from models.checkpoint_notes import CheckpointNotes
from models.exit_policy import ExitPolicy
from models.fold import fold_network
from models.network import EarlyExitNetwork, architecture_mounts
from models.train import quantized_network
from tests.models.small import MIXED, SPEC, digits, warm_start

LOW = Architecture((0, 1), ("gap", "fc_hidden", "fc"), (2, 3, 4), (3, 2, 8), 2, 2)
POLICY = ExitPolicy(np.array([0.6, 0.15, -np.inf]), "max_softmax", np.array([1.2, 0.9, 1.0]))


@functools.cache
def network(architecture: Architecture = MIXED) -> EarlyExitNetwork:
    mounts = architecture_mounts(architecture, SPEC)
    return quantized_network(SPEC, mounts, architecture.precision(), warm_start()).eval()


@functools.cache
def folded(architecture: Architecture = MIXED) -> EarlyExitNetwork:
    return fold_network(network(architecture), torch.zeros(1, 1, 16, 16))


@functools.cache
def images(n: int = 100) -> np.ndarray:
    data = digits()
    return normalize_batch(data.validation_images[:n], data.mean, data.std).numpy()


def folded_logits(x: np.ndarray, architecture: Architecture = MIXED) -> np.ndarray:
    """(n, n_exits, classes)."""
    twin = folded(architecture)  # made outside of no_grad: the warm start may have to be trained
    with torch.no_grad():
        return torch.stack(twin(torch.from_numpy(x)), dim=1).numpy()


def save(path: Path, policy: ExitPolicy | None = POLICY) -> Path:
    data = digits()
    keys = CheckpointKeys(MIXED, SPEC.name, 10, 16, data.fingerprint, "recipe")
    save_checkpoint(path, network(), keys, CheckpointNotes.of_training(data), policy)
    return path
