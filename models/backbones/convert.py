"""A stage of ordinary PyTorch modules, rebuilt from quantizable layers.

The stage is traced by torch.fx; then every convolution with the BatchNorm and the activation behind it becomes
one `ConvNormAct`, every addition a `ResidualAdd`, every multiplication a `Multiply`, all made by a `LayerFactory`
with the stage's bits. Each of them ends in an activation quantizer, so whatever is computed with is quantized.
Float and quantized networks go the same way and so share parameter names.
"""

from dataclasses import dataclass, field

import torch
from torch import fx, nn

from hwcost.errors import OfframpError
from models.backbone import ConvNormAct, ResidualAdd
from models.backbones.modules import ConvAct, LinearAct, MeanPool, Multiply, Pointwise
from models.backbones.operations import UNSIGNED_FUNCTIONS, Kind, Operation, describe, fresh, operation
from models.backbones.stages import Stage
from models.layers import LayerFactory, relu, unsigned

SUPPORTED = (
    "Conv2d, BatchNorm2d behind a convolution, Linear, ReLU, ReLU6, SiLU, Sigmoid, Hardswish, Hardsigmoid, GELU, "
    "LeakyReLU, ELU, Tanh, additions, multiplications, MaxPool2d, AvgPool2d, global average pooling, flattening"
)


@dataclass(frozen=True, eq=False)
class Converted:
    """A rebuilt stage.

    Attributes:
        module: Computes what the stage does, up to quantization; freshly drawn weights.
        origins: Path of each rebuilt layer to the path of the layer of the stage it stands for; empty where the
            stage is that layer.
    """

    module: nn.Module
    origins: dict[str, str] = field(default_factory=dict)


def build_stage(
    stage: Stage, weight_bits: int, activation_bits: int, layers: LayerFactory, where: str
) -> Converted:
    """Builds a stage from quantizable layers.

    Args:
        stage: A module, or a function that builds one; left as it is.
        weight_bits: Of its weights.
        activation_bits: Of everything it computes.
        layers: Makes the layers.
        where: Name of the stage, for errors.

    Raises:
        OfframpError: When it cannot be traced or does something that cannot be quantized.
    """
    if isinstance(stage, nn.Module):
        return _Rebuild(stage, weight_bits, activation_bits, layers, where).run()
    built = stage(weight_bits, activation_bits, layers)
    if not isinstance(built, nn.Module):
        raise OfframpError(
            f"expected {where} to be a module or a function that builds one, got a function that returns "
            f"{type(built).__name__}"
        )
    return Converted(built)


def is_leaf(stage: nn.Module) -> bool:
    """Whether a stage is a single layer of PyTorch."""
    return type(stage).__module__.startswith("torch.nn.modules") and not isinstance(stage, nn.Sequential)


class _Rebuild:
    """One pass over the graph of a stage; `new` maps its nodes to those of the graph that is built."""

    def __init__(
        self, stage: nn.Module, weight_bits: int, activation_bits: int, layers: LayerFactory, where: str
    ) -> None:
        # Tracing looks inside the module it is given, even into a Conv2d.
        self.is_bare = is_leaf(stage)
        self.stage = nn.Sequential(stage) if self.is_bare else stage
        stage = self.stage
        self.weight_bits = weight_bits
        self.activation_bits = activation_bits
        self.layers = layers
        self.where = where
        self.modules = dict(stage.named_modules())
        self.root: dict[str, nn.Module] = {}
        self.origins: dict[str, str] = {}
        self.graph = fx.Graph()
        self.new: dict[fx.Node, fx.Node] = {}
        self.signed: dict[fx.Node, bool] = {}

    def run(self) -> Converted:
        try:
            traced = fx.Tracer().trace(self.stage)
        except Exception as error:  # whatever the stage's own code raises when it meets a proxy
            reason = " ".join(str(error).split())
            raise OfframpError(
                f"expected {self.where} to be traceable by torch.fx, got {type(error).__name__}: {reason}; "
                "keep control flow that depends on tensors out of forward"
            ) from error
        for node in traced.nodes:
            if node not in self.new:  # not yet done together with the node before
                self._visit(node)
        self.graph.lint()
        module = fx.GraphModule(self.root, self.graph, class_name=type(self.stage).__name__)
        origins = {new: "" if self.is_bare else old for new, old in self.origins.items()}
        return Converted(module, origins)

    def _visit(self, node: fx.Node) -> None:
        if node.op == "placeholder":
            if self.new:
                raise OfframpError(f"expected one input of {self.where}, got several; pass one map")
            self.new[node], self.signed[node] = self.graph.placeholder("x"), True
            return
        if node.op == "output":
            result = node.args[0]
            if not isinstance(result, fx.Node):
                raise OfframpError(f"expected {self.where} to return one map, got {result!r}")
            self.new[node] = self.graph.output(self.new[result])
            return
        found = operation(node, self.modules) if node.op != "get_attr" else None
        if found is None:
            raise self._unsupported(node)
        match found.kind:
            case Kind.CONV | Kind.LINEAR:
                self._weighted(node, found)
            case Kind.ADD | Kind.MULTIPLY:
                self._combine(node, found.kind)
            case Kind.FUNCTION:
                self._emit(node, self._free(node.name), self._activation(found.module), node)
            case Kind.MAX_POOL | Kind.MEAN_POOL:
                self._pool(node, found)
            case Kind.SHAPE:
                self._keep(node)
            case Kind.NOTHING:
                source = node.all_input_nodes[0]
                self.new[node], self.signed[node] = self.new[source], self.signed[source]
            case Kind.NORM:
                raise OfframpError(
                    f"expected BatchNorm directly behind a convolution in {self.where}, got {node.target} behind "
                    "something else; only then can it be folded into weights"
                )

    def _weighted(self, node: fx.Node, found: Operation) -> None:
        """A convolution or linear layer with the BatchNorm and the function behind it."""
        path = str(node.target)
        if path in self.root:
            raise OfframpError(
                f"expected every layer of {self.where} to run once, got {path} twice; shared weights cannot be placed"
            )
        norm_node = self._only_user(node, Kind.NORM) if found.kind is Kind.CONV else None
        last = norm_node or node
        function_node = self._only_user(last, Kind.FUNCTION)
        function = self._operation(function_node).module if function_node else None
        act = self._activation(function)
        if isinstance(found.module, nn.Conv2d):
            conv = self._conv(found.module, path)
            self.origins[f"{path}.conv"] = path
            if norm_node is None:
                built: nn.Module = ConvAct(conv, act)
            else:
                old = self.modules[str(norm_node.target)]
                assert isinstance(old, nn.BatchNorm2d)
                built = ConvNormAct(conv, act)
                built.norm.eps, built.norm.momentum = old.eps, old.momentum
                self.origins[f"{path}.norm"] = str(norm_node.target)
        else:
            assert isinstance(found.module, nn.Linear)
            linear = self.layers.linear(found.module.in_features, found.module.out_features, self.weight_bits)
            built = LinearAct(linear, act)
            self.origins[f"{path}.linear"] = path
        is_signed = not isinstance(function, UNSIGNED_FUNCTIONS)
        self._emit(node, path, built, *(n for n in (norm_node, function_node) if n), signed=is_signed)

    def _conv(self, old: nn.Conv2d, path: str) -> nn.Conv2d:
        kernel, other = old.kernel_size
        padding = old.padding
        if padding == "same" and old.stride == (1, 1) and kernel % 2:
            padding = (kernel // 2, kernel // 2)
        square = kernel == other and old.stride[0] == old.stride[1]
        if not square or old.dilation != (1, 1) or old.padding_mode != "zeros" or isinstance(padding, str):
            raise OfframpError(
                f"expected square kernels and strides, no dilation, zero padding in {self.where}, got {path}: {old}"
            )
        conv = self.layers.conv(
            old.in_channels, old.out_channels, kernel, old.stride[0], old.groups, self.weight_bits
        )
        conv.padding = padding
        if old.bias is not None:
            conv.bias = nn.Parameter(torch.zeros(old.out_channels))
        return conv

    def _combine(self, node: fx.Node, kind: Kind) -> None:
        """An addition or multiplication with the function behind it."""
        function_node = self._only_user(node, Kind.FUNCTION)
        function = self._operation(function_node).module if function_node else None
        inputs_signed = any(self.signed[source] for source in node.all_input_nodes)
        act = self._activation(function, inputs_signed)
        built = ResidualAdd(act) if kind is Kind.ADD else Multiply(act)
        is_signed = inputs_signed if function is None else not isinstance(function, UNSIGNED_FUNCTIONS)
        followers = (function_node,) if function_node else ()
        self._emit(node, self._free(node.name), built, *followers, signed=is_signed)

    def _pool(self, node: fx.Node, found: Operation) -> None:
        old = found.module
        path = str(node.target) if node.op == "call_module" else node.name
        path = self._free(path)
        is_signed = self.signed[node.all_input_nodes[0]]
        if isinstance(old, nn.MaxPool2d):
            if old.return_indices or old.ceil_mode or old.dilation not in (1, (1, 1)):
                raise self._unsupported(node)
            pool: nn.Module = nn.MaxPool2d(old.kernel_size, old.stride, old.padding)
        else:
            assert old is not None
            if isinstance(old, nn.AvgPool2d) and (old.ceil_mode or old.padding not in (0, (0, 0))):
                raise self._unsupported(node)
            pool = MeanPool(fresh(old), self._activation(None, is_signed))
        self._emit(node, path, pool, signed=is_signed)

    def _activation(self, function: nn.Module | None, signed: bool = True) -> nn.Module:
        """A function with its quantizer; the quantizer alone where there is no function."""
        bits = self.activation_bits
        if function is None:
            return self.layers.identity(bits) if signed else unsigned(self.layers, bits)
        if isinstance(function, nn.ReLU6):
            return self.layers.relu6(bits)
        if isinstance(function, nn.ReLU):
            return relu(self.layers, bits)
        if isinstance(function, UNSIGNED_FUNCTIONS):
            return Pointwise(fresh(function), unsigned(self.layers, bits))
        return Pointwise(fresh(function), self.layers.identity(bits))

    def _emit(
        self, node: fx.Node, path: str, module: nn.Module, *followers: fx.Node, signed: bool | None = None
    ) -> None:
        """Puts a module in place of a node and of the nodes done together with it."""
        self.root[path] = module
        new = self.graph.call_module(path, tuple(self.new[source] for source in node.all_input_nodes))
        if signed is None:
            function = self._operation(node).module
            signed = not isinstance(function, UNSIGNED_FUNCTIONS)
        for done in (node, *followers):
            self.new[done], self.signed[done] = new, signed

    def _keep(self, node: fx.Node) -> None:
        """A change of shape, as it is."""
        if node.op == "call_module":
            self.root[str(node.target)] = fresh(self.modules[str(node.target)])
        self.new[node] = self.graph.node_copy(node, lambda source: self.new[source])
        self.signed[node] = self.signed[node.all_input_nodes[0]]

    def _only_user(self, node: fx.Node, kind: Kind) -> fx.Node | None:
        """The one node that reads another, if it is of a kind."""
        users = list(node.users)
        if len(users) != 1:
            return None
        found = operation(users[0], self.modules) if users[0].op.startswith("call") else None
        return users[0] if found is not None and found.kind is kind else None

    def _operation(self, node: fx.Node) -> Operation:
        found = operation(node, self.modules)
        assert found is not None
        return found

    def _free(self, path: str) -> str:
        """A path no layer of the stage has."""
        while path in self.root or (path in self.modules and self._keeps_name(path)):
            path += "_"
        return path

    def _keeps_name(self, path: str) -> bool:
        """Whether a module of the stage will be found under its old path, or something below it."""
        inside = [m for p, m in self.modules.items() if p == path or p.startswith(f"{path}.")]
        return any(isinstance(module, (nn.Conv2d, nn.Linear)) for module in inside)

    def _unsupported(self, node: fx.Node) -> OfframpError:
        return OfframpError(
            f"expected only {SUPPORTED} in {self.where}, got {describe(node, self.modules)}; rewrite it with these, "
            "or give the stage as a function that builds it from a LayerFactory"
        )
