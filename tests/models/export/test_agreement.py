import numpy as np

from models.exit_policy import ExitPolicy
from models.export.agreement import compare_logits

POLICY = ExitPolicy(np.array([0.8, -np.inf]))


def logits() -> np.ndarray:
    """(4, 2, 2): the first two samples leave at the first exit, the others stay."""
    first = [[3.0, 0.0], [0.0, 3.0], [0.1, 0.0], [0.0, 0.1]]
    final = [[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    return np.stack([np.array(first), np.array(final)], axis=1).astype(np.float32)


def test_equal_networks() -> None:
    found = compare_logits(logits(), logits(), POLICY)
    assert found.good
    assert (found.same_exit, found.same_class, found.close_images) == (1.0, 1.0, 1.0)
    assert found.largest_logit_difference == 0.0
    assert found.logit_spread == 3.0


def test_each_difference_is_counted_where_it_is() -> None:
    other = logits()
    other[0, 0, 0] = 0.5  # stays now, and gets the same class later
    other[3, 1] = [2.0, 1.0]  # another class at the same exit
    other[2, 0, 0] += 5e-5
    found = compare_logits(logits(), other, POLICY)
    assert not found.good
    assert (found.same_exit, found.same_class, found.close_images) == (0.75, 0.75, 0.5)
    assert found.largest_logit_difference == 2.5
    assert found.images == 4


def test_logits_behind_the_exit_that_is_taken_change_no_exit() -> None:
    other = logits()
    other[:2, 1] = [[-9.0, 9.0], [-9.0, 9.0]]
    found = compare_logits(logits(), other, POLICY)
    assert (found.same_exit, found.same_class, found.close_images) == (1.0, 1.0, 0.5)
