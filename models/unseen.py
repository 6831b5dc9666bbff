"""Trained networks on images that no training and no choice has seen."""

from __future__ import annotations

from pathlib import Path

import numpy.typing as npt

from models.augment import normalize_batch
from models.backbone import Backbone
from models.evaluate import exit_predictions
from models.integer_network import deploy
from models.loop import collect_logits, torch_threads
from models.open_checkpoint import open_checkpoint
from models.predictions import ExitPredictions
from models.training_data import TestSplit


def unseen_predictions(
    checkpoint: Path,
    spec: Backbone,
    test: TestSplit,
    temperatures: npt.ArrayLike | None,
    device: str = "cpu",
    threads: int = 1,
) -> ExitPredictions:
    """What every exit of a trained network says about the test images, as the deployed network gives it.

    Args:
        checkpoint: Of the network.
        spec: Its backbone.
        test: The test split.
        temperatures: (n_exits,) fitted on the calibration split; None takes logits as they are.
        device: Of PyTorch.
        threads: CPU threads of PyTorch.

    Raises:
        OfframpError: The checkpoint is missing, damaged or of another backbone.
    """
    network, _ = open_checkpoint(checkpoint, spec)
    with torch_threads(threads):
        network.to(device)
        images = test.images.to(device)
        deployed = deploy(network, normalize_batch(images[:1], test.mean, test.std, channels_last=True))
        return exit_predictions(collect_logits(deployed, images, test), test.labels, temperatures)
