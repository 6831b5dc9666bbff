"""Which designs are likely to meet the hardware constraints, learned from every check that was made.

A check costs milliseconds, which is nothing beside a training but much beside ranking a thousand children: the best
ranked ones would fail it in droves where a constraint is tight. The check itself still has the last word.
"""

from __future__ import annotations

import numpy as np

from study.improvement import normal_cdf
from study.surrogate import Choice, GeneEncoding, Kernel, ObjectiveModel

_CHOICE = Choice(Kernel(0.3, 0.15, 1e-2), "as_is")
_MOST = 300  # checks that are fitted; constraints do not change, and the latest are where the search is


class FeasibilityModel:
    """A regression on the outcome of checks, -1 for feasible and 1 for infeasible.

    Args:
        encoding: The genes.
        n_genes: Genes with more than one choice.
    """

    def __init__(self, encoding: GeneEncoding, n_genes: int) -> None:
        self._encoding, self._n_genes = encoding, n_genes
        self._checks: dict[tuple[int, ...], bool] = {}
        self._model: ObjectiveModel | None = None
        self._features = np.zeros((0, 0), dtype=np.float32)

    def note(self, design: np.ndarray, feasible: bool) -> None:
        """A check of a design, (n_genes,), was made."""
        self._checks[tuple(design.tolist())] = feasible
        if len(self._checks) > _MOST:
            del self._checks[next(iter(self._checks))]

    def fit(self) -> None:
        """Takes in what was noted; nothing is learned as long as all checks ended alike."""
        outcome = np.array([-1.0 if feasible else 1.0 for feasible in self._checks.values()])
        self._model = None
        if len(set(outcome.tolist())) == 2:
            self._features = self._encoding.features(np.array(list(self._checks)))
            agreement = self._features @ self._features.T
            self._model = ObjectiveModel(_CHOICE, agreement, outcome, self._n_genes)

    def probability(self, designs: np.ndarray) -> np.ndarray:
        """Of meeting the constraints, (n,), of designs (n, n_genes); 1 where nothing was learned."""
        if self._model is None:
            return np.ones(len(designs))
        mean, deviation = self._model.predict(self._encoding.features(designs) @ self._features.T)
        return normal_cdf((self._model.scale(np.zeros(1)) - mean) / deviation)
