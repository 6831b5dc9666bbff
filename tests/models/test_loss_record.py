import pytest
import torch

from models.loss_record import LossRecord
from models.objective import NonFiniteLoss


def test_the_last_share_is_averaged() -> None:
    losses = LossRecord(10, 0.1)
    for value in range(10):
        losses.add(torch.tensor(float(value)))
    assert losses.last(0.2) == 8.5
    assert losses.last(0.01) == 9.0


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_a_loss_that_is_no_number_ends_the_training_at_once_and_says_where(bad: float) -> None:
    losses = LossRecord(50, 0.125, done=30, what=" of the pre-training")
    losses.add(torch.tensor(1.0))
    with pytest.raises(NonFiniteLoss, match=r"in step 32 of 50 of the pre-training; lower .*now 0\.125"):
        losses.add(torch.tensor(bad))


def test_a_loss_is_kept_although_its_tensor_is_used_again() -> None:
    """A CUDA graph writes every loss into one place."""
    losses, loss = LossRecord(2, 0.1), torch.tensor(3.0)
    losses.add(loss)
    loss.fill_(5.0)
    losses.add(loss)
    assert losses.last(1.0) == 4.0
