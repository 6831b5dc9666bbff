"""Values that pass as they are, and a share of whose gradient passes back."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _Share(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, share: float) -> Tensor:
        ctx.share = share
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0] * ctx.share, None


def with_gradient_share(x: Tensor, share: float) -> Tensor:
    """The same values, with a gradient that is `share` times what comes back; 0 cuts it off."""
    if share == 1.0:
        return x
    if share == 0.0:
        return x.detach()
    shared: Tensor = _Share.apply(x, share)
    return shared
