"""From logits to what exit policies need."""

import torch
from torch import Tensor

from models.objective import NonFiniteLoss
from models.predictions import ExitPredictions


def exit_predictions(logits: Tensor, labels: Tensor) -> ExitPredictions:
    """Confidence, correctness, entropy and margin of every exit.

    Args:
        logits: (n_samples, n_exits, classes).
        labels: (n_samples,) int64.

    Raises:
        NonFiniteLoss: When a logit is NaN or infinite.
    """
    if not torch.isfinite(logits).all():
        raise NonFiniteLoss("expected finite logits, got NaN or infinity; the network diverged")
    logs = torch.log_softmax(logits.double(), dim=-1)
    probabilities = logs.exp()
    top = probabilities.topk(2, dim=-1).values  # (n_samples, n_exits, 2)
    correct = logits.argmax(-1) == labels.cpu()[:, None]
    return ExitPredictions(
        confidence=top[..., 0].float().numpy(),
        correct=correct.numpy(),
        entropy=(-probabilities * logs).sum(-1).clamp_min(0).float().numpy(),
        margin=(top[..., 0] - top[..., 1]).float().numpy(),
    )
