from __future__ import annotations

import numpy as np
import pytest

from hwcost.errors import OfframpError
from study.refine.bootstrap import Answers, percentile_interval, resampled_accuracies


def drawn(rng: np.random.Generator, n_seeds: int, n_images: int, share: float = 0.7) -> np.ndarray:
    return rng.random((n_seeds, n_images)) < share


def plain_loop(answers: list[Answers], rng: np.random.Generator, resamples: int) -> list[list[float]]:
    """The same draws, counted one answer at a time."""
    n_images = answers[0].right.shape[1]
    images = rng.integers(n_images, size=(resamples, n_images))
    seeds: dict[object, np.ndarray] = {}
    for one in answers:
        if one.network not in seeds:
            seeds[one.network] = rng.integers(len(one.right), size=(resamples, max(1, len(one.right) - 1)))
    rows = []
    for b in range(resamples):
        row = []
        for one in answers:
            right = total = 0
            for seed in seeds[one.network][b]:
                for image in images[b]:
                    right += int(one.right[seed, image])
                    total += 1
            row.append(right / total)
        rows.append(row)
    return rows


@pytest.mark.parametrize("n_seeds", [1, 2, 3])
def test_against_a_plain_loop(n_seeds):
    rng = np.random.default_rng(0)
    answers = [
        Answers(drawn(rng, n_seeds, 30), "a"),
        Answers(drawn(rng, n_seeds, 30, 0.4), "b"),
        Answers(drawn(rng, 3, 30, 0.9), "c"),
        Answers(drawn(rng, n_seeds, 30), "a"),  # another design of the first networks
    ]
    found = resampled_accuracies(answers, np.random.default_rng(5), resamples=40)
    expected = plain_loop(answers, np.random.default_rng(5), 40)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_resampled_accuracies_are_whole_numbers_of_answers():
    """A drop of exactly the tolerance is within it: no rounding may push it out."""
    answers = [Answers(drawn(np.random.default_rng(3), 3, 5000), "a")]
    found = resampled_accuracies(answers, np.random.default_rng(4), resamples=300)
    np.testing.assert_allclose(found * 10_000, np.round(found * 10_000), rtol=0, atol=1e-8)


def test_designs_of_the_same_networks_differ_by_no_chance_of_seeds():
    rng = np.random.default_rng(1)
    right = drawn(rng, 3, 200) & (rng.random((3, 1)) < 0.5)  # seeds that differ wildly
    same = [Answers(right, "a"), Answers(right.copy(), "a"), Answers(right.copy(), "b")]
    accuracies = resampled_accuracies(same, rng, 200)
    assert np.ptp(accuracies[:, 0] - accuracies[:, 1]) == 0
    assert np.ptp(accuracies[:, 0] - accuracies[:, 2]) > 0.1 or np.ptp(right.mean(axis=1)) == 0


def test_pairing_by_image_takes_out_what_makes_images_hard():
    rng = np.random.default_rng(2)
    hard = rng.random(1000) < 0.5
    one = np.tile(~hard, (2, 1))
    other = one ^ (rng.random((2, 1000)) < 0.01)
    accuracies = resampled_accuracies([Answers(one, "a"), Answers(other, "b")], rng, 500)
    low, high = percentile_interval(accuracies[:, 0] - accuracies[:, 1])
    alone = percentile_interval(accuracies[:, 1])
    assert high - low < 0.35 * (alone[1] - alone[0])


def test_seeds_that_differ_widen_the_interval():
    rng = np.random.default_rng(3)
    calm = np.stack([rng.random(2000) < share for share in (0.7, 0.7, 0.7)])
    wild = np.stack([rng.random(2000) < share for share in (0.6, 0.7, 0.8)])
    widths = []
    for right in (calm, wild):
        accuracies = resampled_accuracies([Answers(right, "a")], np.random.default_rng(0), 500)
        low, high = percentile_interval(accuracies[:, 0])
        widths.append(high - low)
    assert widths[1] > 2 * widths[0]


def crossed(rng: np.random.Generator, n_images: int, offset: float, seed_effect: float, hard) -> np.ndarray:
    """Three trainings whose chance of being right has an effect of the image and one of the seed."""
    seeds = offset + seed_effect * rng.normal(size=(3, 1))
    return rng.random((3, n_images)) < 1 / (1 + np.exp(-(hard + seeds)))


def true_accuracy(offset: float, seed_effect: float) -> float:
    """Over all images and seeds, by a grid over both."""
    grid = np.linspace(-6, 6, 401)
    weight = np.exp(-(grid**2) / 2)
    weight /= weight.sum()
    chance = 1 / (1 + np.exp(-(1 + grid[:, None] + offset + seed_effect * grid[None, :])))
    return float(weight @ chance @ weight)


@pytest.mark.parametrize("seed_effect", [0.0, 0.1])
def test_intervals_hold_the_truth_as_often_as_they_say(seed_effect):
    """Of 150 made-up comparisons at least 92 % (binomial: fewer than 138 has a chance of 6 % at exactly 95 %)."""
    rng = np.random.default_rng(4)
    truth = true_accuracy(0.0, seed_effect) - true_accuracy(-0.2, seed_effect)
    hits = 0
    for _ in range(150):
        hard = 1 + rng.normal(size=400)
        pair = [
            Answers(crossed(rng, 400, 0.0, seed_effect, hard), "a"),
            Answers(crossed(rng, 400, -0.2, seed_effect, hard), "b"),
        ]
        accuracies = resampled_accuracies(pair, rng, 300)
        low, high = percentile_interval(accuracies[:, 0] - accuracies[:, 1])
        hits += low <= truth <= high
    assert hits >= 138


def test_an_interval_leaves_out_equal_shares():
    assert percentile_interval(np.arange(1001.0), 0.9) == pytest.approx((50, 950))


@pytest.mark.parametrize("shapes", [[], [(2, 0)], [(2, 5), (2, 6)]])
def test_other_images_are_refused(shapes):
    answers = [Answers(np.ones(shape, dtype=bool), i) for i, shape in enumerate(shapes)]
    with pytest.raises(OfframpError, match="on one split"):
        resampled_accuracies(answers, np.random.default_rng(0))
