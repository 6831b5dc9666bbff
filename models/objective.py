"""The loss over all exits, and the learning rate over all steps."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.finite import not_finite


class NonFiniteLoss(RuntimeError):
    """Training left the numbers: the loss or the weights became NaN or infinite."""


def check_weights(network: nn.Module) -> None:
    """Looks at weights, scales and BatchNorm statistics after the last step, which no loss follows.

    Integers have no NaN: once a network is folded, what was none looks like a number.

    Raises:
        NonFiniteLoss: One of them is NaN or infinite; the first is named.
    """
    name = not_finite(network)
    if name is not None:
        raise NonFiniteLoss(
            f"expected finite weights after training, got NaN or infinity in {name}; lower learning_rate"
        )


def exit_weights(final: Sequence[bool], exit_weight: float) -> Tensor:
    """Weights of the exits in the loss: the final ones share 1, the early ones share `exit_weight`.

    Args:
        final: (n_exits,) whether an exit sits behind the last block.
        exit_weight: Sum of the weights of the early exits.

    Returns:
        (n_exits,) float32.
    """
    n_final = sum(final)
    n_early = len(final) - n_final
    return torch.tensor([1 / n_final if is_final else exit_weight / n_early for is_final in final])


def joint_loss(
    logits: Sequence[Tensor],
    labels: Tensor,
    teacher: Tensor,
    weights: Tensor,
    distilled: Tensor,
    temperature: float,
    label_smoothing: float,
) -> Tensor:
    """Cross-entropy with the labels and imitation of a teacher, summed over exits.

    The imitation is the Kullback-Leibler divergence of softened distributions times temperature^2 (Hinton et
    al. 2015, "Distilling the knowledge in a neural network", section 2).

    Args:
        logits: One (n, classes) tensor an exit.
        labels: (n,) int64, or (n, classes) probabilities.
        teacher: (n, classes) logits of the teacher.
        weights: (n_exits,) of `exit_weights`.
        distilled: (n_exits,) share of each exit's loss that imitates the teacher.
        temperature: Softens both distributions.
        label_smoothing: Of the cross-entropy.

    Returns:
        A scalar.
    """
    stacked = torch.stack(tuple(logits)).float()  # (n_exits, n, classes)
    n_exits, n, _ = stacked.shape
    repeated = labels.repeat(n_exits, *(1 for _ in labels.shape[1:]))
    hard = F.cross_entropy(stacked.flatten(0, 1), repeated, label_smoothing=label_smoothing, reduction="none")
    hard_means = hard.view(n_exits, n).mean(1)
    target = F.log_softmax(teacher.detach().float() / temperature, dim=-1)
    student = F.log_softmax(stacked / temperature, dim=-1)
    soft_means = (target.exp() * (target - student)).sum(-1).mean(1) * temperature**2
    return (weights * ((1 - distilled) * hard_means + distilled * soft_means)).sum()


def learning_rate_factor(step: int, n_steps: int, warmup: float, final: float = 0.0) -> float:
    """Share of the peak learning rate at a step: a linear rise, then half a cosine down to nearly `final`.

    Args:
        step: Counted from 0.
        n_steps: Of the whole training.
        warmup: Share of the steps in which it rises.
        final: Share at which it ends.
    """
    rise = warmup * n_steps
    if step < rise:
        return (step + 1) / (rise + 1)
    return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * (step + 0.5 - rise) / (n_steps - rise)))
