"""The losses of a training, and the end of it when they leave the numbers."""

from __future__ import annotations

import torch
from torch import Tensor

from models.objective import NonFiniteLoss

STEPS_ON_GPU = 20
"""Steps between two looks at the losses on a GPU: a look waits until it has done all it was given."""


class LossRecord:
    """Keeps every loss and looks whether it is a number: on a CPU at once, on a GPU now and then and at the end.

    Args:
        n_steps: Of the whole training, for the message.
        learning_rate: For the message.
        done: Steps before the first.
        what: What the steps are of, in the message.
    """

    def __init__(self, n_steps: int, learning_rate: float, done: int = 0, what: str = "") -> None:
        self._n_steps, self._learning_rate, self._done, self._what = n_steps, learning_rate, done, what
        self._losses: list[Tensor] = []
        self._known: list[float] = []

    def add(self, loss: Tensor) -> None:
        """Adds the loss of the next step.

        Raises:
            NonFiniteLoss: It is NaN or infinite, or one before it was.
        """
        self._losses.append(loss.detach().clone())
        if loss.device.type == "cpu" or len(self._losses) >= STEPS_ON_GPU:
            self.check()

    def check(self) -> None:
        """Looks at the losses that have not been looked at.

        Raises:
            NonFiniteLoss: One of them is NaN or infinite.
        """
        if not self._losses:
            return
        found = torch.stack(self._losses).tolist()
        self._losses.clear()
        for value in found:
            self._known.append(value)
            if not abs(value) < float("inf"):
                raise NonFiniteLoss(
                    f"expected a finite loss, got {value} in step {self._done + len(self._known)} of "
                    f"{self._n_steps}{self._what}; lower learning_rate (now {self._learning_rate:g})"
                )

    def last(self, share: float) -> float:
        """Mean of the last share of the losses, at least of one.

        Raises:
            NonFiniteLoss: One of them is NaN or infinite.
        """
        self.check()
        last = self._known[-max(1, int(len(self._known) * share)) :]
        return sum(last) / len(last)
