"""Predicts what share of inputs leaves at each exit, and what follows for means over inputs.

A mean latency is not like its neighbours': one bit more in a block can move a layer to another array, one exit more
changes what all later ones cost. The shares are, and the costs need no prediction. On recorded networks the rank
correlation of predicted and measured mean latency rises from 0.5 to 0.9 that way (`benchmarks/predictor.py`).
"""

from __future__ import annotations

import numpy as np

from study.surrogate import Kernel, ValueModel

_LEAST = 5  # designs with an exit at a slot before a model is made of it
_UNKNOWN = 0.2  # deviation of a share that nothing is known of
_SMALLEST = 1e-6  # share that an exit has at least, so that they can be made to sum to 1


class LeavingModels:
    """Gaussian processes of the share of inputs that leaves at each slot.

    Args:
        features: Of the measured designs, (n, n_features).
        leaving: Measured shares, (n, n_slots); NaN where a design has no exit.
        n_genes: Genes with more than one choice.
        kernels: By slot; those that are missing are chosen and put in.
    """

    def __init__(
        self, features: np.ndarray, leaving: np.ndarray, n_genes: int, kernels: dict[int, Kernel]
    ) -> None:
        there = ~np.isnan(leaving)
        count = there.sum(axis=0)
        self._mean = np.where(there, leaving, 0.0).sum(axis=0) / np.maximum(count, 1)
        self._slots: dict[int, ValueModel] = {}
        for slot in np.flatnonzero(count >= _LEAST).tolist():
            known, shares = features[there[:, slot]], leaving[there[:, slot], slot]
            if slot not in kernels:
                kernels[slot] = ValueModel.kernel(known, shares, n_genes)
            self._slots[slot] = ValueModel.of(known, shares, n_genes, kernels[slot])

    def shares(self, features: np.ndarray, there: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Predicted shares, which sum to 1, and the standard deviation of each, both (m, n_slots).

        Args:
            features: Of designs, (m, n_features).
            there: Where they have exits, (m, n_slots) bool.
        """
        mean = np.tile(self._mean, (len(features), 1))
        deviation = np.full(mean.shape, _UNKNOWN)
        for slot, model in self._slots.items():
            mean[:, slot], deviation[:, slot] = model.predict(features)
        mean = np.where(there, np.clip(mean, _SMALLEST, 1.0), 0.0)
        return mean / mean.sum(axis=1, keepdims=True), np.where(there, deviation, 0.0)

    def means(self, features: np.ndarray, at_exits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Predicted means over inputs and their standard deviations, both (m, n_quantities).

        Args:
            features: Of designs, (m, n_features).
            at_exits: What an input adds that leaves at a slot, (m, n_slots, n_quantities); NaN where there is none.
        """
        there = ~np.isnan(at_exits[:, :, 0])
        shares, deviation = self.shares(features, there)
        costs = np.nan_to_num(at_exits)
        mean = np.einsum("ds,dsq->dq", shares, costs)
        # Shares sum to 1: what one exit gains the others lose, so a cost counts as far as it is from the mean.
        away = np.where(there[:, :, None], costs - mean[:, None, :], 0.0)
        return mean, np.sqrt(np.einsum("ds,dsq->dq", deviation**2, away**2))
