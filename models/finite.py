"""Whether all numbers of a network are numbers."""

from __future__ import annotations

import torch
from torch import nn


def not_finite(network: nn.Module) -> str | None:
    """The first tensor of its state with a NaN or an infinity in it; None when there is none."""
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            return name
    return None
