"""Predictions and costs for tests of the exit policy: realistic ones, and small adversarial ones for
hypothesis."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from models.predictions import ExitPredictions
from models.scores import read_logits


def realistic(seed: int, n_samples: int, n_exits: int) -> ExitPredictions:
    """Later exits are right more often; confidence follows the chance of being right, with noise of its
    own."""
    rng = np.random.default_rng(seed)
    margin = np.linspace(-0.2, 1.6, n_exits) - 0.9 * rng.normal(size=(n_samples, 1))
    margin = margin + 0.6 * rng.normal(size=(n_samples, n_exits))
    right = rng.random((n_samples, n_exits)) < 1 / (1 + np.exp(-2 * margin))
    seen = 2 * margin + 0.7 * rng.normal(size=(n_samples, n_exits))
    return ExitPredictions((0.1 + 0.9 / (1 + np.exp(-seen))).astype(np.float32), right)


def with_classes(seed: int, n_samples: int, n_exits: int, classes: int = 4) -> ExitPredictions:
    """Predictions read from logits that grow clearer from exit to exit, so that every score is there."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=n_samples)
    ease = rng.normal(size=n_samples)
    logits = rng.normal(size=(n_samples, n_exits, classes)).cumsum(axis=1)
    logits[np.arange(n_samples), :, labels] += np.linspace(0.5, 3.5, n_exits) + ease[:, None]
    readings = read_logits(logits)
    return ExitPredictions(
        readings.confidence,
        readings.predicted == labels[:, None],
        readings.entropy,
        readings.margin,
        readings.predicted,
    )


def cumulative_costs(seed: int, n_designs: int, n_exits: int) -> tuple[np.ndarray, np.ndarray]:
    """Latency and energy (n_designs, n_exits), designs differing by some 10 % per segment."""
    rng = np.random.default_rng(seed)
    segment = rng.random(n_exits) + 0.3
    latency = np.cumsum(segment * (1 + 0.3 * rng.random((n_designs, n_exits))), axis=1) * 1e5
    energy = np.cumsum(segment * (1 + 0.3 * rng.random((n_designs, n_exits))), axis=1) * 1e8
    return latency, energy


@st.composite
def small_cases(
    draw: st.DrawFn, max_samples: int = 8, max_exits: int = 3
) -> tuple[ExitPredictions, np.ndarray, np.ndarray]:
    """Few samples with confidences from few values, so that ties are everywhere; costs with equal steps
    too."""
    n_exits = draw(st.integers(1, max_exits))
    n_samples = draw(st.integers(1, max_samples))
    cells = n_samples * n_exits
    levels = st.sampled_from([0.1, 0.3, 0.7, 0.9, 1.0])
    confidence = draw(st.lists(levels, min_size=cells, max_size=cells))
    correct = draw(st.lists(st.booleans(), min_size=cells, max_size=cells))
    steps = st.lists(st.sampled_from([0.0, 1.0, 2.0, 7.5]), min_size=n_exits, max_size=n_exits)
    shape = (n_samples, n_exits)
    return (
        ExitPredictions(
            np.array(confidence, dtype=np.float32).reshape(shape),
            np.array(correct, dtype=bool).reshape(shape),
        ),
        np.cumsum(draw(steps)) + 1.0,
        np.cumsum(draw(steps)) + 1.0,
    )
