"""Any `torch.nn.Module` as a workload, from the shapes that flow through it; nothing is trained or changed.

python -m models.trace_module package.module:factory --input 3,224,224 --bits 8/8 --layers FILE.csv
python -m hwcost.simulate --layers FILE.csv --accelerator edge_tpu_quad_dram
"""

import argparse
import importlib
import operator
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from hwcost.errors import OfframpError
from hwcost.networks.precision import PSUM_BITS
from hwcost.workload import Layer, Op, Workload
from models.backbones.layer_csv import write_layers
from models.torchvision_adapter import torchvision_module

_COMBINING = {
    operator.add,
    operator.iadd,
    torch.add,
    operator.mul,
    operator.imul,
    torch.mul,
    "add",
    "add_",
    "mul",
}
_MEANS = {torch.mean, "mean"}
_POOLING_FUNCTIONS = {F.max_pool2d, F.avg_pool2d, F.adaptive_avg_pool2d, torch.max_pool2d}
_POOLS = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)


def trace_module(
    module: nn.Module,
    input_shape: tuple[int, int, int],
    weight_bits: int = 8,
    activation_bits: int = 8,
    batch: int = 1,
) -> Workload:
    """The layers of a network in execution order, all in one segment.

    Convolutions, linear layers, pooling (means over the map included) and element-wise sums and products of two
    tensors are layers; a product costs what a sum does. Normalisation, activations and changes of shape are not:
    they belong to the layer before them.

    Args:
        module: Traceable by torch.fx; left in the mode it was in. Its parameters are not read, only their shapes.
        input_shape: Channels, height and width of one image.
        weight_bits: Of every weight.
        activation_bits: Of every activation.
        batch: Images at once.

    Raises:
        OfframpError: The module cannot be traced or run, or has an operation that is no layer of a workload.
    """
    try:
        graph = fx.GraphModule(module, _LeafTracer().trace(module))
    except Exception as error:
        raise OfframpError(f"expected a module that torch.fx can trace, got {_short(error)}") from error
    tracer = _Tracer(graph, weight_bits, activation_bits)
    x = torch.zeros(batch, *input_shape, device="meta")
    training = module.training
    try:
        tracer.run(x)
    except OfframpError:
        raise
    except Exception as error:
        raise OfframpError(
            f"expected a module for images of {list(input_shape)}, got {_short(error)}"
        ) from error
    finally:
        module.train(training)
    return Workload.from_layers(tracer.layers)


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


class _LeafTracer(fx.Tracer):
    """Own kinds of convolutions and linear layers are layers too."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, (nn.Conv2d, nn.Linear)) or super().is_leaf_module(m, module_qualified_name)


class _Tracer(fx.Interpreter):
    """Runs shapes through a graph on the meta device; `producer` says which layer each value comes from."""

    def __init__(self, graph: fx.GraphModule, weight_bits: int, activation_bits: int) -> None:
        super().__init__(graph.eval())
        self.layers: list[Layer] = []
        self.producer: dict[fx.Node, int] = {}
        self._weight_bits = weight_bits
        self._activation_bits = activation_bits

    def fetch_attr(self, target: str) -> Any:
        """Parameters and buffers as shapes only."""
        value = super().fetch_attr(target)
        return value.to("meta") if isinstance(value, Tensor) else value

    def call_module(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Runs a module on shapes alone, whatever device its parameters are on."""
        module = self.fetch_attr(target)
        state = {
            name: tensor.to("meta") for name, tensor in (*module.named_parameters(), *module.named_buffers())
        }
        return torch.func.functional_call(module, state, args, kwargs)

    def run_node(self, n: fx.Node) -> Any:
        """Runs a node and writes down the layer it is, if any."""
        y = super().run_node(n)
        inputs = [node for node in n.all_input_nodes if isinstance(self.env[node], Tensor)]
        known = [node for node in inputs if node in self.producer]
        if n.op == "placeholder":
            self.producer[n] = -1
        elif n.op not in ("output", "get_attr") and isinstance(y, Tensor) and known:
            self.producer[n] = self._layer(n, known, self.env[known[0]], y)
        return y

    def _layer(self, n: fx.Node, inputs: list[fx.Node], x: Tensor, y: Tensor) -> int:
        sources = tuple(self.producer[node] for node in inputs)
        module = self.fetch_attr(str(n.target)) if n.op == "call_module" else None
        if isinstance(module, nn.Conv2d):
            return self._conv(n, module, sources, x, y)
        if isinstance(module, nn.Linear):
            # positions of all but the last axis are so many outputs of one layer
            return self._add(n, Op.LINEAR, sources, y, k=module.out_features, c=module.in_features,
                             ox=y.numel() // (y.shape[0] * module.out_features))  # fmt: skip
        pooled = isinstance(module, _POOLS) or n.target in _POOLING_FUNCTIONS
        if pooled or (n.target in _MEANS and x.dim() == 4 and y.numel() < x.numel()):
            return self._pool(n, sources, x, y, module)
        if n.target in _COMBINING and (len(inputs) == 2 or _twice(n)):
            sources = sources if len(inputs) == 2 else sources * 2
            height, width = (y.shape[2], y.shape[3]) if y.dim() == 4 else (1, 1)
            return self._add(n, Op.ADD, sources, y, g=y.shape[1], ox=width, oy=height, ix=width, iy=height)
        free = any(isinstance(self.env[node], Tensor) and self.env[node].dim() > 1 for node in n.all_input_nodes
                   if node not in self.producer)  # fmt: skip
        resized = y.numel() > x.numel()
        if len(inputs) > 1 or free or resized or (module is not None and _has_matrix(module)):
            raise OfframpError(
                f"expected convolutions, linear layers, pooling, sums and products of two tensors, got "
                f"{n.target} ({n.name}); describe such a network as a table of layers"
            )
        return sources[0]

    def _conv(self, n: fx.Node, conv: nn.Conv2d, sources: tuple[int, ...], x: Tensor, y: Tensor) -> int:
        if conv.stride[0] != conv.stride[1] or conv.dilation != (1, 1):
            raise OfframpError(f"expected one stride and no dilation in {n.name}, got {conv}")
        (fy, fx_), g = conv.kernel_size, conv.groups
        return self._add(
            n, Op.CONV, sources, y, k=conv.out_channels // g, c=conv.in_channels // g, g=g, fx=fx_, fy=fy,
            stride=conv.stride[0], ox=y.shape[3], oy=y.shape[2], ix=x.shape[3], iy=x.shape[2],
        )  # fmt: skip

    def _pool(
        self, n: fx.Node, sources: tuple[int, ...], x: Tensor, y: Tensor, module: nn.Module | None
    ) -> int:
        height, width = (y.shape[2], y.shape[3]) if y.dim() == 4 else (1, 1)
        window, stride = (x.shape[2] // height, x.shape[3] // width), x.shape[2] // height
        if isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
            window, stride = _pair(module.kernel_size), _pair(module.stride)[0]
        elif n.target in (F.max_pool2d, F.avg_pool2d, torch.max_pool2d):
            kernel = n.args[1] if len(n.args) > 1 else n.kwargs["kernel_size"]
            step = n.args[2] if len(n.args) > 2 else n.kwargs.get("stride")
            window, stride = _pair(kernel), _pair(step or kernel)[0]
        return self._add(n, Op.POOL, sources, y, g=x.shape[1], fy=window[0], fx=window[1], stride=stride,
                         ox=width, oy=height, ix=x.shape[3], iy=x.shape[2])  # fmt: skip

    def _add(self, n: fx.Node, op: Op, sources: tuple[int, ...], y: Tensor, **sizes: int) -> int:
        weighted = op in (Op.CONV, Op.LINEAR)
        layer = Layer(
            n.name, op, sources=sources, b=int(y.shape[0]), weight_bits=self._weight_bits if weighted else 0,
            input_bits=self._activation_bits, output_bits=self._activation_bits, psum_bits=PSUM_BITS,
        )  # fmt: skip
        columns: dict[str, Any] = {name: int(size) for name, size in sizes.items()}
        self.layers.append(replace(layer, **columns))
        return len(self.layers) - 1


def _twice(n: fx.Node) -> bool:
    """Whether a sum or product reads one value as both operands."""
    return len(n.args) == 2 and n.args[0] is n.args[1]


def _has_matrix(module: nn.Module) -> bool:
    return any(parameter.dim() > 1 for parameter in module.parameters())


def _pair(size: Any) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m models.trace_module", description=__doc__)
    parser.add_argument("factory", metavar="PACKAGE.MODULE:FUNCTION", help="called without arguments")
    parser.add_argument("--input", default="3,32,32", help="channels, height, width (default 3,32,32)")
    parser.add_argument("--bits", default="8/8", help="weight/activation bits (default 8/8)")
    parser.add_argument("--layers", type=Path, required=True, metavar="FILE.csv", help="table to write")
    options = parser.parse_args(arguments)
    try:
        workload = _traced(options.factory, options.input, options.bits)
        write_layers(options.layers, workload)
    except OfframpError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{workload.n_layers} layers, {int(workload.macs.sum()):,} multiply-accumulates: {options.layers}")
    return 0


def _traced(factory: str, shape: str, bits: str) -> Workload:
    try:
        channels, height, width = (int(part) for part in shape.split(","))
        weight, activation = (int(part) for part in bits.split("/"))
    except ValueError:
        raise OfframpError(f"expected --input 3,32,32 and --bits 8/8, got {shape!r} and {bits!r}") from None
    name, _, function = factory.partition(":")
    if name.partition(".")[0] == "torchvision":
        torchvision_module()  # where its compiled part does not fit, its networks are still to be had
    try:
        module = getattr(importlib.import_module(name), function)()
    except (ImportError, AttributeError, ValueError) as error:
        raise OfframpError(f"expected package.module:function that returns a module, got {error}") from None
    if not isinstance(module, nn.Module):
        raise OfframpError(f"expected {factory} to return a torch.nn.Module, got {type(module).__name__}")
    return trace_module(module, (channels, height, width), weight, activation)


if __name__ == "__main__":
    sys.exit(main())
