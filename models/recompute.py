"""BatchNorm and the function behind it without keeping the map between them for the backward pass.

On a GPU both are done at once, see `models.cuda_norm`; this is about a CPU.

Training keeps, for each convolution, its output (for the BatchNorm), the normalized map (for the activation or its
quantizer) and what that gives (for the next convolution). The one in the middle is the first, times one number a
channel, plus another: made again when it is needed, it costs one pass and saves a third of the memory.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.fx
from torch import Tensor, nn

from models import cuda_norm
from models.fast_quantizer import is_large
from models.layers import FloatActivation


@dataclass(frozen=True, eq=False)
class _Normalized:
    """What a normalized map is made from again: y = x scale + shift, by channel."""

    x: Tensor
    scale: Tensor
    shift: Tensor

    def map(self) -> Tensor:
        # BatchNorm with mean 0 and variance 1 is this line, in one pass whatever the types of x and scale are.
        mean, variance = torch.zeros_like(self.scale), torch.ones_like(self.scale)
        found, _, _ = torch.native_batch_norm(self.x, self.scale, self.shift, mean, variance, False, 0.0, 0.0)
        return found


def normalize_and_act(x: Tensor, norm: nn.Module, act: nn.Module) -> Tensor:
    """The same as `act(norm(x))`, in training with less memory for large maps, on a GPU also in less time.

    Args:
        x: (n, c, h, w).
        norm: Its running statistics are updated as ever. A folded network has none.
        act: Any function that does not work in place; what it saves for its gradient is kept, but for the normalized
            map itself.
    """
    if isinstance(x, torch.fx.Proxy):  # a tracer sees the layers as they are
        traced: Tensor = act(norm(x))
        return traced
    if x.device.type == "cuda" and norm.training and not _is_watched(norm) and not _is_watched(act):
        known = _act(act)
        if known is not None and cuda_norm.applies(x, norm, known):
            assert isinstance(norm, nn.BatchNorm2d)
            if norm.num_batches_tracked is not None:
                norm.num_batches_tracked.add_(1)
            return cuda_norm.normalize(x, norm, known)
    trains = torch.is_grad_enabled() and norm.training and x.device.type == "cpu" and is_large(x)
    if (
        not trains
        or not isinstance(norm, nn.BatchNorm2d)
        or norm.momentum is None
        or norm.weight is None
        or norm.running_mean is None
    ):
        result: Tensor = act(norm(x))
        return result
    if norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
    y, mean, inverse_deviation = torch.native_batch_norm(
        x, norm.weight, norm.bias, norm.running_mean, norm.running_var, True, norm.momentum, norm.eps
    )
    with torch.no_grad():
        assert norm.bias is not None
        scale = norm.weight * inverse_deviation
        made_from = _Normalized(x.detach(), scale, norm.bias - mean * scale)

    place, layout = (
        y.data_ptr(),
        (y.shape, y.stride()),
    )  # not y itself: the hooks live as long as the graph does

    def pack(saved: Tensor) -> Tensor | _Normalized:
        is_normalized = saved.data_ptr() == place and (saved.shape, saved.stride()) == layout
        return made_from if is_normalized else saved.detach()

    def unpack(packed: Tensor | _Normalized) -> Tensor:
        return packed.map() if isinstance(packed, _Normalized) else packed

    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        acted: Tensor = act(y)
    return acted


def _act(act: nn.Module) -> cuda_norm.Act | None:
    """An activation as the kernels of a GPU know it; none for others."""
    if isinstance(act, FloatActivation):
        if act.signed:
            return cuda_norm.Clamp(-math.inf, math.inf)
        return cuda_norm.Clamp(0.0, 6.0 if act.capped else math.inf)
    # Late: it loads Brevitas, which float networks do without.
    from models.brevitas_adapter import fused_constants

    constants = fused_constants(act)
    return None if constants is None else cuda_norm.Quantizer(*constants)


def _is_watched(module: nn.Module) -> bool:
    """Whether someone waits for calls of it, which fused kernels do not make."""
    return bool(module._forward_hooks or module._forward_pre_hooks)
