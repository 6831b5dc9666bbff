"""BatchNorm and the function behind it without keeping the map between them for the backward pass.

On a GPU both are done at once, see `models.cuda_norm`, and so are BatchNorm and a quantizer on a CPU, see
`models.fast_norm`; the rest is here.

Training keeps, for each convolution, its output (for the BatchNorm), the normalized map (for the activation) and what
that gives (for the next convolution). The one in the middle is made again when it is needed, which costs one pass and
saves a third of the memory.
"""

from __future__ import annotations

import math

import torch
import torch.fx
from torch import Tensor, nn

from models import cuda_norm, fast_norm
from models.fast_norm import Normalized
from models.fast_quantizer import Quantizer, is_large
from models.layers import FloatActivation


def normalize_and_act(x: Tensor, norm: nn.Module, act: nn.Module) -> Tensor:
    """The same as `act(norm(x))`, in training with less memory for large maps.

    Where one function does both it takes less time, too.

    Args:
        x: (n, c, h, w).
        norm: Its running statistics are updated as ever. A folded network has none.
        act: Any function that does not work in place; what it saves for its gradient is kept, but for the normalized
            map itself.
    """
    if isinstance(x, torch.fx.Proxy):  # a tracer sees the layers as they are
        traced: Tensor = act(norm(x))
        return traced
    if isinstance(norm, nn.BatchNorm2d) and norm.training and not _is_watched(norm) and not _is_watched(act):
        known = _act(act)
        if known is not None and cuda_norm.applies(x, norm, known):
            _count(norm)
            return cuda_norm.normalize(x, norm, known)
        if isinstance(known, Quantizer) and fast_norm.applies(x, norm, known):
            _count(norm)
            return fast_norm.normalize_and_quantize(x, norm, known)
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
    _count(norm)
    y, mean, inverse_deviation = torch.native_batch_norm(
        x, norm.weight, norm.bias, norm.running_mean, norm.running_var, True, norm.momentum, norm.eps
    )
    made_from = Normalized.by(x, (norm.weight, norm.bias), mean, inverse_deviation)
    place, layout = (
        y.data_ptr(),
        (y.shape, y.stride()),
    )  # not y itself: the hooks live as long as the graph does

    def pack(saved: Tensor) -> Tensor | Normalized:
        is_normalized = saved.data_ptr() == place and (saved.shape, saved.stride()) == layout
        return made_from if is_normalized else saved.detach()

    def unpack(packed: Tensor | Normalized) -> Tensor:
        return packed.map() if isinstance(packed, Normalized) else packed

    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        acted: Tensor = act(y)
    return acted


def _act(act: nn.Module) -> cuda_norm.Act | None:
    """An activation as fused arithmetic knows it; none for others."""
    if isinstance(act, FloatActivation):
        if act.signed:
            return cuda_norm.Clamp(-math.inf, math.inf)
        return cuda_norm.Clamp(0.0, 6.0 if act.capped else math.inf)
    # Late: it loads Brevitas, which float networks do without.
    from models.brevitas_adapter import fused_quantizer

    return fused_quantizer(act)


def _count(norm: nn.BatchNorm2d) -> None:
    if norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)


def _is_watched(module: nn.Module) -> bool:
    """Whether someone waits for calls of it, which fused kernels do not make."""
    return bool(module._forward_hooks or module._forward_pre_hooks)
