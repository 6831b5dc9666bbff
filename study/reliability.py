"""Confidence against accuracy at each exit of the networks on the front: the data of reliability diagrams."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from models.architecture import Architecture
from models.calibration_error import BINS
from models.predictions import ExitPredictions
from study.leaving_out import network_of
from study.memo import TrainedNetwork
from study.tables import SPLIT, Design

COLUMNS = ("architecture", "exit", "block", "bin", "samples", "confidence", "accuracy", "split", "network")


def reliability(
    members: Sequence[Design], find: Callable[[Architecture], TrainedNetwork | None]
) -> pd.DataFrame:
    """One row a bin of each exit of each network on the front whose predictions are kept.

    Confidences are at the exit's temperature; bins hold equally many samples, as in `models.calibration_error`.

    Args:
        members: Of the front; those that share a network share its rows.
        find: Gives the predictions of a trained network, None where they are lost.
    """
    rows: list[dict[str, Any]] = []
    networks = {(d.record.network.key(), d.record.genome.architecture.key()): d.record for d in members}
    for record in networks.values():
        whole, architecture = find(record.network), record.genome.architecture
        if whole is None:
            continue
        network = network_of(record, whole)
        names = architecture.key()[:12], record.network.key()[:12]
        for exit_index, block in enumerate((*architecture.exits, architecture.n_blocks - 1)):
            for number, values in enumerate(exit_bins(network.validation, exit_index)):
                place = {"architecture": names[0], "exit": exit_index, "block": block, "bin": number}
                rows.append({**place, **values, "split": SPLIT, "network": names[1]})
    return pd.DataFrame(rows, columns=list(COLUMNS))


def exit_bins(predictions: ExitPredictions, exit_index: int, bins: int = BINS) -> list[dict[str, float]]:
    """Samples, mean confidence and accuracy of each bin of one exit, by rising confidence."""
    confidence = predictions.confidence[:, exit_index].astype(np.float64)
    order = np.argsort(confidence, kind="stable")
    correct = predictions.correct[order, exit_index]
    return [
        {"samples": len(part), "confidence": float(confidence[part].mean()), "accuracy": float(right.mean())}
        for part, right in zip(
            np.array_split(order, min(bins, len(order))),
            np.array_split(correct, min(bins, len(order))),
            strict=True,
        )
    ]
