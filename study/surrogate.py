"""Gaussian processes over genes: one an objective, cheap enough to be fitted again while a study runs.

The likeness of two designs is the share of genes in which they agree; for genes whose choices are ordered, such as
bit widths, close choices agree in part. A kernel mixes a part that is linear in the genes, which latency and memory
nearly are, with one that decays with every gene that differs, which catches how genes act together. Objectives with
outliers (networks that learn nothing) are ranked first and made normal, the others are taken as they are.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist
from typing import Literal

import numpy as np

_MIXES = (0.02, 0.1, 0.3, 0.7, 0.95)
_REACHES = (0.05, 0.15, 0.4, 1.0)
_NOISES = (1e-4, 1e-3, 1e-2, 5e-2, 2e-1)
_TUNED_ON = 160  # designs: eigenvalues of 20 kernels, some 0.1 s on one core
_EDGE = 5  # ranked values from the best one over which the scale beyond it is taken

Scale = Literal["as_is", "ranked"]


@dataclass(frozen=True)
class GeneEncoding:
    """Turns genes into vectors whose inner product is the share of genes in which two designs agree.

    Attributes:
        counts: Choices of each gene, by name.
        ordered: Genes whose choices are ordered.
    """

    counts: Mapping[str, int]
    ordered: frozenset[str]

    def matrix(self, designs: Iterable[Mapping[str, int]]) -> np.ndarray:
        """Indices as an array, (n_designs, n_genes)."""
        rows = [[design[name] for name in self.counts] for design in designs]
        return np.array(rows, dtype=np.intp).reshape(-1, len(self.counts))

    def features(self, indices: np.ndarray) -> np.ndarray:
        """Vectors of designs, (n_designs, n_features) of float32; a vector's inner product with itself is 1.

        Args:
            indices: (n_designs, n_genes).
        """
        parts = [np.zeros((len(indices), 0), dtype=np.float32)]
        parts += [code[indices[:, column]] for column, code in self._codes]
        return np.hstack(parts)

    @cached_property
    def _codes(self) -> list[tuple[int, np.ndarray]]:
        """Column of each gene that has a choice, and the vector of each of its choices."""
        free = [(column, name) for column, name in enumerate(self.counts) if self.counts[name] > 1]
        codes = []
        for column, name in free:
            choices = np.arange(self.counts[name])
            if name in self.ordered:
                # 1 - |i - j| / (n - 1): the share of the n - 1 steps that both are above or both below.
                above = choices[:, None] > choices[:-1]
                code = np.hstack([above, ~above]) / np.sqrt(len(choices) - 1)
            else:
                code = np.eye(len(choices))
            codes.append((column, (code / np.sqrt(len(free))).astype(np.float32)))
        return codes


@dataclass(frozen=True)
class Kernel:
    """Covariance of two designs from the share of genes in which they agree.

    Attributes:
        mix: Weight of the part that decays; the rest is linear in the agreement.
        reach: How fast it decays with every gene that differs.
        noise: Variance of the measurement, relative to that of the function.
    """

    mix: float
    reach: float
    noise: float

    def of(self, agreement: np.ndarray, n_genes: int) -> np.ndarray:
        """Values for agreements of any shape."""
        return (1.0 - self.mix) * agreement + self.mix * np.exp(-self.reach * n_genes * (1.0 - agreement))


@dataclass(frozen=True)
class Choice:
    """How one objective is modelled.

    Attributes:
        kernel: Of the genes.
        scale: Of the values.
    """

    kernel: Kernel
    scale: Scale


def choose(agreement: np.ndarray, values: np.ndarray, n_genes: int) -> list[Choice]:
    """The kernel of the largest marginal likelihood and the scale that ranks best, for each objective.

    All kernels of a grid are tried: the eigenvalues of one serve every noise, scale and objective. Scales cannot be
    compared by likelihood, so the one is taken whose predictions, each without the design itself, order the designs
    best.

    Args:
        agreement: (n, n).
        values: (n, n_objectives), measured.
        n_genes: Genes with more than one choice.
    """
    rows = np.linspace(0, len(values) - 1, min(len(values), _TUNED_ON)).astype(int)
    agreement, values = agreement[np.ix_(rows, rows)].astype(float), values[rows]
    scales: tuple[Scale, Scale] = ("as_is", "ranked")
    targets = np.stack(
        [_standardized(_scaled(column, scale)) for column in values.T for scale in scales], axis=1
    )
    best = np.full(targets.shape[1], np.inf)
    kernels = [Kernel(0.3, 0.4, 1e-2)] * targets.shape[1]
    left_out = np.zeros_like(targets)
    for mix, reach in itertools.product(_MIXES, _REACHES):
        eigenvalues, vectors = np.linalg.eigh(Kernel(mix, reach, 0.0).of(agreement, n_genes))
        rotated = vectors.T @ targets
        for noise in _NOISES:
            spread = np.maximum(eigenvalues, 0.0) + noise
            variance = np.maximum((rotated**2 / spread[:, None]).mean(axis=0), 1e-12)
            # Much noise and hardly any are both improbable: three decades around one percent.
            loss = 0.5 * (
                len(rows) * np.log(variance) + np.log(spread).sum() + (np.log(noise / 1e-2) / 3.0) ** 2
            )
            for index in np.flatnonzero(loss < best).tolist():
                best[index], kernels[index] = loss[index], Kernel(mix, reach, noise)
                weights = vectors @ (rotated[:, index] / spread)
                left_out[:, index] = targets[:, index] - weights / ((vectors**2 / spread).sum(axis=1))
    order = [rank_correlation(left_out[:, i], targets[:, i]) for i in range(targets.shape[1])]
    chosen = []
    for objective in range(values.shape[1]):
        index = 2 * objective + int(order[2 * objective + 1] > order[2 * objective])
        chosen.append(Choice(kernels[index], scales[index % 2]))
    return chosen


class ObjectiveModel:
    """Posterior of one objective after measured designs, in a scale of its own; less is better in both.

    Args:
        choice: Kernel and scale.
        agreement: Of the measured designs, (n, n).
        values: Measured, (n,).
        n_genes: Genes with more than one choice.
    """

    def __init__(self, choice: Choice, agreement: np.ndarray, values: np.ndarray, n_genes: int) -> None:
        self._choice, self._n_genes = choice, n_genes
        self._sorted = np.sort(values)
        self._normal = _normal_scores(len(values))
        scaled = _scaled(values, choice.scale)
        self._mean, self._spread = float(scaled.mean()), float(scaled.std()) or 1.0
        target = (scaled - self._mean) / self._spread
        kernel = choice.kernel.of(agreement, n_genes).astype(float)
        kernel[np.diag_indices(len(values))] += choice.kernel.noise + 1e-8
        inverse = np.linalg.inv(kernel)
        self._weights = inverse @ target
        self._inverse = inverse.astype(np.float32)  # half the time, and only the deviation is less exact
        self._variance = max(float(target @ self._weights) / len(values), 1e-6)

    def predict(self, agreement: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of designs in the model's scale.

        Args:
            agreement: With the measured designs, (m, n).

        Returns:
            Two arrays of (m,).
        """
        cross = self._choice.kernel.of(agreement, self._n_genes)
        explained = np.einsum("ij,ij->i", cross @ self._inverse, cross)
        deviation = np.sqrt(self._variance * np.maximum(1.0 - explained, 1e-5))
        return cross.astype(float) @ self._weights, deviation

    @property
    def noise_deviation(self) -> float:
        """Standard deviation of a measurement around the function, in the model's scale."""
        return float(np.sqrt(self._variance * self._choice.kernel.noise))

    def scale(self, values: np.ndarray) -> np.ndarray:
        """Measured values in the model's scale; a monotone function."""
        scaled = values
        if self._choice.scale == "ranked":
            scaled = np.interp(values, self._sorted, self._normal)
            # Beyond the best value that was measured the scale goes on as steeply as near it.
            edge = min(_EDGE, len(self._sorted) - 1)
            rise = self._normal[edge] - self._normal[0]
            slope = rise / max(self._sorted[edge] - self._sorted[0], 1e-12)
            beyond = self._normal[0] + (values - self._sorted[0]) * slope
            scaled = np.where(values < self._sorted[0], beyond, scaled)
        return (scaled - self._mean) / self._spread


@dataclass(frozen=True, eq=False)
class ValueModel:
    """Posterior of a quantity as it is, in its own unit: for what is added up, which ranks cannot be.

    Attributes:
        features: Of the measured designs, (n, n_features).
        model: Of their values.
    """

    features: np.ndarray
    model: ObjectiveModel

    @staticmethod
    def kernel(features: np.ndarray, values: np.ndarray, n_genes: int) -> Kernel:
        """The kernel that fits measured values, (n,), best; takes far longer than a fit."""
        return choose(features @ features.T, values[:, None], n_genes)[0].kernel

    @classmethod
    def of(cls, features: np.ndarray, values: np.ndarray, n_genes: int, kernel: Kernel) -> ValueModel:
        """Fits to measured values, (n,)."""
        choice = Choice(kernel, "as_is")
        return cls(features, ObjectiveModel(choice, features @ features.T, values, n_genes))

    def predict(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of a measurement of designs, (m, n_features): two arrays of (m,)."""
        mean, deviation = self.model.predict(features @ self.features.T)
        origin, one = (float(value) for value in self.model.scale(np.array([0.0, 1.0])))
        spread = np.hypot(deviation, self.model.noise_deviation)
        return (mean - origin) / (one - origin), spread / (one - origin)


def _scaled(values: np.ndarray, scale: Scale) -> np.ndarray:
    if scale == "as_is":
        return values.astype(float)
    return np.interp(values, np.sort(values), _normal_scores(len(values)))


def _normal_scores(count: int) -> np.ndarray:
    normal = NormalDist()
    return np.array([normal.inv_cdf((rank + 0.5) / count) for rank in range(count)])


def _standardized(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / (values.std() or 1.0)


def rank_correlation(one: np.ndarray, two: Sequence[float] | np.ndarray) -> float:
    """Spearman's, ties by their order; 0 where one of them has no spread.

    Args:
        one: (n,).
        two: (n,).
    """
    ranks = [np.argsort(np.argsort(values)).astype(float) for values in (one, two)]
    deviations = [r - r.mean() for r in ranks]
    norm = float(np.sqrt((deviations[0] ** 2).sum() * (deviations[1] ** 2).sum()))
    return float(deviations[0] @ deviations[1]) / norm if norm else 0.0
