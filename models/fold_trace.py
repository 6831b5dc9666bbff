"""What reads what in a quantized network, found by running it once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from hwcost.errors import OfframpError

KEEPS_VALUES: frozenset[Any] = frozenset(
    {
        torch.flatten, Tensor.flatten, Tensor.reshape, Tensor.view, Tensor.contiguous, Tensor.squeeze,
        torch.max_pool2d, F.max_pool2d, F.adaptive_max_pool2d, torch.nn.functional.adaptive_max_pool2d,
    }
)  # fmt: skip
"""Functions whose results are among the values they were given: a quantized tensor stays on its grid."""


@dataclasses.dataclass(frozen=True)
class Reading:
    """Who reads whom.

    Attributes:
        norm_of: By layer name the BatchNorm that reads its output.
        quantizer_of: By layer name the quantizer whose values it reads; layers that read other values are missing.
    """

    norm_of: Mapping[str, str]
    quantizer_of: Mapping[str, str]


class _Followed:
    """Tensors by the module that made their values."""

    def __init__(self) -> None:
        self._made_by: dict[int, str] = {}
        self._alive: list[Tensor] = []  # a tensor must not be freed: another one would get its identity

    def note(self, maker: str, x: Tensor) -> None:
        self._alive.append(x)
        self._made_by[id(x)] = maker

    def maker(self, x: object) -> str | None:
        return self._made_by.get(id(x))


class _FollowValues(TorchFunctionMode):
    """Marks results of `KEEPS_VALUES` as made by whom their input was made."""

    def __init__(self, followed: _Followed) -> None:
        super().__init__()
        self._followed = followed

    def __torch_function__(self, function: Any, types: Any, arguments: Any = (), keywords: Any = None) -> Any:
        result = function(*arguments, **(keywords or {}))
        if function in KEEPS_VALUES and arguments and isinstance(result, Tensor):
            maker = self._followed.maker(arguments[0])
            if maker is not None:
                self._followed.note(maker, result)
        return result


def trace_reading(
    network: nn.Module, layers: Mapping[str, nn.Module], quantizers: Mapping[str, nn.Module], example: Tensor
) -> Reading:
    """Runs a network in evaluation mode and writes down who reads whom.

    Args:
        network: Left in the mode it was in.
        layers: Convolutions and linear layers by name.
        quantizers: Of activations by name.
        example: (n, c, h, w) images.

    Raises:
        OfframpError: When a BatchNorm reads something else than a convolution.
    """
    outputs, grids = _Followed(), _Followed()
    norm_of: dict[str, str] = {}
    quantizer_of: dict[str, str] = {}

    def layer_reads(name: str, x: Tensor) -> None:
        maker = grids.maker(x)
        if maker is not None:
            quantizer_of[name] = maker

    def norm_reads(name: str, x: Tensor) -> None:
        maker = outputs.maker(x)
        if maker is None:
            raise OfframpError(
                f"expected a convolution before the BatchNorm {name}, got another layer; place each BatchNorm "
                "directly behind a convolution of the layer factory"
            )
        norm_of[maker] = name

    before: dict[nn.Module, Callable[[Tensor], None]] = {}
    after: dict[nn.Module, Callable[[Tensor], None]] = {}
    for name, layer in layers.items():
        before[layer] = partial(layer_reads, name)
        after[layer] = partial(outputs.note, name)
    for name, quantizer in quantizers.items():
        after[quantizer] = partial(grids.note, name)
    for name, module in network.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            before[module] = partial(norm_reads, name)
    with _hooks(before, after), _evaluating(network), torch.no_grad(), _FollowValues(grids):
        network(example)
    return Reading(norm_of, quantizer_of)


@contextmanager
def _hooks(
    before: Mapping[nn.Module, Callable[[Tensor], None]], after: Mapping[nn.Module, Callable[[Tensor], None]]
) -> Iterator[None]:
    handles = [
        module.register_forward_pre_hook(lambda _m, inputs, see=see: see(inputs[0]))
        for module, see in before.items()
    ]
    handles += [
        module.register_forward_hook(lambda _m, _inputs, y, see=see: see(y)) for module, see in after.items()
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    was_training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(was_training)
