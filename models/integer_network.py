"""A trained network as it is evaluated and deployed in PyTorch: folded, and quick on a CPU.

Its maps stay integers between a quantizer and the convolutions that read them, see `models.integer_conv`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from models.fold import copy_with, fold_network
from models.integer_conv import IntegerConv
from models.plain_layers import PlainConv, PlainLayer, PlainQuantizer

Network = TypeVar("Network", bound=nn.Module)

_ELSEWHERE = ""
"""Who reads a map that no layer or quantizer reads."""

_SHAPES: frozenset[Any] = frozenset(
    {
        Tensor.size, Tensor.dim, Tensor.numel, Tensor.stride, Tensor.is_contiguous,
        Tensor.shape.__get__, Tensor.device.__get__, Tensor.ndim.__get__, Tensor.is_cuda.__get__,  # type: ignore[attr-defined]
    }
)  # fmt: skip
"""Functions that ask a map for something else than its values or their type."""


def deploy(network: Network, example: Tensor) -> Network:
    """A quantized network without Brevitas and BatchNorms, as quick as it gets.

    Args:
        network: Not changed.
        example: (n, c, h, w) images of the right size, on the network's device.

    Raises:
        OfframpError: See `models.fold.fold_network`.
    """
    return keep_integers(fold_network(network, example), example)


def keep_integers(network: Network, example: Tensor) -> Network:
    """The same deployed network, quicker on a CPU; its logits are the same bit by bit.

    Args:
        network: As `models.fold.fold_network` returns it; not changed.
        example: (n, c, h, w) images of the right size, on the network's device: one pass shows who reads which map.

    Returns:
        For evaluation alone. On another device than a CPU, or in another arithmetic than float32, the network itself.
    """
    if example.device.type != "cpu" or example.dtype != torch.float32:
        return network
    convs = {name: m for name, m in network.named_modules() if isinstance(m, PlainConv)}
    quantizers = {name: m for name, m in network.named_modules() if isinstance(m, PlainQuantizer)}
    readers = _readers(network, example)
    reads_grid = {name for name, conv in convs.items() if conv.grid is not None}
    # The quantizer that alone reads a convolution, where convolutions alone read it.
    behind: dict[str, str] = {}
    for name in reads_grid:
        (reader,) = found if len(found := readers.get(name, set())) == 1 else (_ELSEWHERE,)
        if reader in quantizers and readers.get(reader) and readers[reader] <= reads_grid:
            behind[name] = reader
    kept = set(behind.values())
    reads_integers = {reader for quantizer in kept for reader in readers[quantizer]}
    replacements: dict[str, nn.Module] = {
        name: IntegerConv(
            convs[name], name in reads_integers, quantizers[behind[name]] if name in behind else None
        )
        for name in reads_grid
    }
    replacements |= {name: nn.Identity() for name in kept}
    return copy_with(network, replacements).eval().requires_grad_(False)


class _Watch(TorchFunctionMode):
    """Writes down who reads the maps that layers and quantizers make."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: dict[str, set[str]] = {}
        self.calls: Counter[str] = Counter()
        self._made_by: dict[int, str] = {}
        self._alive: list[Tensor] = []  # a tensor must not be freed: another one would get its identity
        self._inside = 0

    def enter(self, name: str, x: Tensor) -> None:
        """A layer or quantizer is called."""
        self._read(name, x)
        self._inside += 1

    def leave(self, name: str, y: Tensor) -> None:
        """It returns."""
        self._inside -= 1
        self.calls[name] += 1
        self._alive.append(y)
        self._made_by[id(y)] = name

    def read_elsewhere(self, values: object) -> None:
        """Somebody else reads all maps in nested sequences and mappings."""
        if isinstance(values, Tensor):
            self._read(_ELSEWHERE, values)
        elif isinstance(values, list | tuple):
            for value in values:
                self.read_elsewhere(value)
        elif isinstance(values, Mapping):
            self.read_elsewhere(list(values.values()))

    def _read(self, reader: str, x: Tensor) -> None:
        maker = self._made_by.get(id(x))
        if maker is not None:
            self.readers.setdefault(maker, set()).add(reader)

    def __torch_function__(self, function: Any, types: Any, arguments: Any = (), keywords: Any = None) -> Any:
        if not self._inside and function not in _SHAPES:
            self.read_elsewhere([arguments, keywords or {}])
        return function(*arguments, **(keywords or {}))


def _readers(network: nn.Module, example: Tensor) -> dict[str, set[str]]:
    """Per layer or quantizer that ran once the names of those that read its map; `_ELSEWHERE` for anything else."""
    watch = _Watch()
    with _hooked(network, watch), torch.no_grad(), watch:
        watch.read_elsewhere(network(example))
    return {name: readers for name, readers in watch.readers.items() if watch.calls[name] == 1}


@contextmanager
def _hooked(network: nn.Module, watch: _Watch) -> Iterator[None]:
    handles = []
    for name, module in network.named_modules():
        if isinstance(module, PlainLayer | PlainQuantizer):
            handles += [
                module.register_forward_pre_hook(lambda _m, inputs, name=name: watch.enter(name, inputs[0])),
                module.register_forward_hook(lambda _m, _inputs, y, name=name: watch.leave(name, y)),
            ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
