"""What the nodes of a traced stage do: modules, functions and methods of PyTorch under one set of names."""

import copy
import enum
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn


class Kind(enum.Enum):
    """Operations a stage may consist of."""

    CONV = "convolution"
    LINEAR = "linear layer"
    NORM = "BatchNorm"
    FUNCTION = "activation function"
    ADD = "addition"
    MULTIPLY = "multiplication"
    MAX_POOL = "max-pooling"
    MEAN_POOL = "average pooling"
    SHAPE = "flattening"
    NOTHING = "nothing at inference"


UNSIGNED_FUNCTIONS = (nn.ReLU, nn.ReLU6, nn.Sigmoid, nn.Hardsigmoid)
"""Functions whose values are never below zero."""

_FUNCTIONS: tuple[type[nn.Module], ...] = (
    *UNSIGNED_FUNCTIONS, nn.SiLU, nn.Hardswish, nn.GELU, nn.LeakyReLU, nn.ELU, nn.Tanh,
)  # fmt: skip

_OF_MODULE: dict[type, Kind] = {
    nn.Conv2d: Kind.CONV,
    nn.Linear: Kind.LINEAR,
    nn.BatchNorm2d: Kind.NORM,
    nn.MaxPool2d: Kind.MAX_POOL,
    nn.AvgPool2d: Kind.MEAN_POOL,
    nn.AdaptiveAvgPool2d: Kind.MEAN_POOL,
    nn.Flatten: Kind.SHAPE,
    nn.Unflatten: Kind.SHAPE,
    nn.Identity: Kind.NOTHING,
    nn.Dropout: Kind.NOTHING,
    nn.Dropout2d: Kind.NOTHING,
    **dict.fromkeys(_FUNCTIONS, Kind.FUNCTION),
}

_ELEMENTWISE: dict[Any, type[nn.Module]] = {
    F.relu: nn.ReLU,
    torch.relu: nn.ReLU,
    "relu": nn.ReLU,
    F.relu6: nn.ReLU6,
    F.silu: nn.SiLU,
    F.hardswish: nn.Hardswish,
    F.hardsigmoid: nn.Hardsigmoid,
    torch.sigmoid: nn.Sigmoid,
    F.sigmoid: nn.Sigmoid,
    "sigmoid": nn.Sigmoid,
    torch.tanh: nn.Tanh,
    "tanh": nn.Tanh,
    F.gelu: nn.GELU,
    F.leaky_relu: nn.LeakyReLU,
    F.elu: nn.ELU,
}

_SHAPED_BY: dict[Any, str] = {F.gelu: "approximate", F.leaky_relu: "negative_slope", F.elu: "alpha"}
"""The argument of a function, its second, that its module has to have too."""

_OF_FUNCTION: dict[Any, Kind] = {
    operator.add: Kind.ADD,
    operator.iadd: Kind.ADD,
    torch.add: Kind.ADD,
    "add": Kind.ADD,
    "add_": Kind.ADD,
    operator.mul: Kind.MULTIPLY,
    operator.imul: Kind.MULTIPLY,
    torch.mul: Kind.MULTIPLY,
    "mul": Kind.MULTIPLY,
    F.max_pool2d: Kind.MAX_POOL,
    F.avg_pool2d: Kind.MEAN_POOL,
    F.adaptive_avg_pool2d: Kind.MEAN_POOL,
    torch.mean: Kind.MEAN_POOL,
    "mean": Kind.MEAN_POOL,
    torch.flatten: Kind.SHAPE,
    "flatten": Kind.SHAPE,
    F.dropout: Kind.NOTHING,
    **dict.fromkeys(_ELEMENTWISE, Kind.FUNCTION),
}

_POOL_ARGUMENTS = ("input", "kernel_size", "stride", "padding")


@dataclass(frozen=True, eq=False)
class Operation:
    """One node.

    Attributes:
        kind: What it does.
        module: A module that does it: the stage's own, or one made from the arguments of a function. None for
            additions, multiplications and functions that only change shapes.
    """

    kind: Kind
    module: nn.Module | None


def operation(node: fx.Node, modules: Mapping[str, nn.Module]) -> Operation | None:
    """What a node does; None when it is not among the operations that can be quantized and costed.

    Args:
        node: A call of a module, a function or a method.
        modules: Of the traced stage, by path.
    """
    if node.op == "call_module":
        module = modules[str(node.target)]
        kind = _OF_MODULE.get(type(module))
        if kind is Kind.MEAN_POOL and isinstance(module, nn.AdaptiveAvgPool2d):
            return Operation(kind, module) if module.output_size in (1, (1, 1)) else None
        return None if kind is None else Operation(kind, module)
    if getattr(node.target, "__name__", "") == "stochastic_depth":  # torchvision's, a dropout of whole blocks
        return Operation(Kind.NOTHING, None)
    kind = _OF_FUNCTION.get(node.target)
    if kind is None:
        return None
    if kind is Kind.FUNCTION:
        return _function(node)
    if kind in (Kind.MAX_POOL, Kind.MEAN_POOL):
        pool = _pool(node)
        return None if pool is None else Operation(kind, pool)
    if kind in (Kind.ADD, Kind.MULTIPLY) and (len(node.all_input_nodes) != 2 or "alpha" in node.kwargs):
        return None  # a number is added or multiplied, or a tensor with itself
    return Operation(kind, None)


def _function(node: fx.Node) -> Operation | None:
    """The module a call of an element-wise function stands for."""
    make, name = _ELEMENTWISE[node.target], _SHAPED_BY.get(node.target)
    if name is None:
        return Operation(Kind.FUNCTION, make())
    given = node.args[1] if len(node.args) > 1 else node.kwargs.get(name)
    if isinstance(given, fx.Node):
        return None
    return Operation(Kind.FUNCTION, make() if given is None else make(**{name: given}))


def fresh(function: nn.Module) -> nn.Module:
    """A copy of a function that does not write over its input."""
    duplicate = copy.deepcopy(function)
    if getattr(duplicate, "inplace", False):
        duplicate.__dict__["inplace"] = False
    return duplicate


def describe(node: fx.Node, modules: Mapping[str, nn.Module]) -> str:
    """A node in words a user finds in their code."""
    if node.op == "call_module":
        return f"{type(modules[str(node.target)]).__name__} ({node.target})"
    if node.op == "get_attr":
        return f"the tensor {node.target}"
    target = node.target
    return target if isinstance(target, str) else str(getattr(target, "__name__", target))


def _pool(node: fx.Node) -> nn.Module | None:
    """The module a call of a pooling function stands for."""
    target: Any = node.target
    if len(node.args) > len(_POOL_ARGUMENTS):
        return None  # what the fifth is differs by function
    given = {**dict(zip(_POOL_ARGUMENTS, node.args, strict=False)), **node.kwargs}
    if target is F.adaptive_avg_pool2d:
        size = node.args[1] if len(node.args) > 1 else node.kwargs.get("output_size")
        return nn.AdaptiveAvgPool2d(1) if size in (1, (1, 1), [1, 1]) else None
    if target in (torch.mean, "mean"):
        dims = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim")
        keeps = node.args[2] if len(node.args) > 2 else node.kwargs.get("keepdim", False)
        over_map = isinstance(dims, (tuple, list)) and sorted(int(d) % 4 for d in dims) == [2, 3]
        return nn.AdaptiveAvgPool2d(1) if over_map and keeps else None
    extra = set(given) - set(_POOL_ARGUMENTS) - {"ceil_mode", "dilation", "return_indices"}
    if extra or given.get("ceil_mode") or given.get("return_indices") or given.get("dilation", 1) != 1:
        return None
    make: Callable[..., nn.Module] = nn.MaxPool2d if target is F.max_pool2d else nn.AvgPool2d
    return make(
        *(given.get(name, default) for name, default in zip(_POOL_ARGUMENTS[1:], (2, None, 0), strict=True))
    )
