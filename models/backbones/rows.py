"""The layer rows of stages, from the shapes that flow through them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, fx, nn

from hwcost.errors import OfframpError
from hwcost.networks.trunk import STEM, BlockOutput, Trunk, TrunkLayer
from hwcost.workload import Op
from models.backbone import ConvNormAct, ResidualAdd
from models.backbones.modules import ConvAct, LinearAct, MeanPool, Multiply, Pointwise
from models.layers import FloatActivation

_LEAVES = (
    ConvNormAct, ConvAct, LinearAct, MeanPool, Multiply, Pointwise, ResidualAdd, FloatActivation,
    nn.Conv2d, nn.Linear,
)  # fmt: skip

_SUFFIXES = (".conv", ".linear")


def trace_trunk(
    name: str,
    stem: nn.Module | None,
    blocks: Sequence[nn.Module],
    mounting_points: tuple[int, ...],
    in_channels: int,
    image_size: int,
) -> Trunk:
    """Runs the shapes of one image through float stages and writes down every layer.

    Args:
        name: Of the backbone.
        stem: Without the quantizer of the image.
        blocks: Stages made of the blocks of `models.backbone` and `models.backbones.modules`, on the meta device.
        mounting_points: Stages an early exit may follow.
        in_channels: Channels of the image.
        image_size: Its side in pixels.

    Raises:
        OfframpError: When a stage cannot be run or does not yield a square map.
    """
    rows: list[TrunkLayer] = []
    outputs: list[BlockOutput] = []
    x = torch.zeros(1, in_channels, image_size, image_size, device="meta")
    source = -1
    stages = ([] if stem is None else [stem]) + list(blocks)
    first = 0 if stem is None else STEM
    for block, stage in enumerate(stages, start=first):
        where = "the stem" if block == STEM else f"stage {block}"
        prefix = "stem" if block == STEM else f"b{block}"
        tracer = _RowTracer(_graph_module(stage, f"{where} of {name}"), rows, block, prefix, source)
        try:
            x = tracer.run(x)
        except OfframpError:
            raise
        except Exception as error:  # whatever shapes that do not fit make PyTorch raise
            reason = " ".join(str(error).split())[:200]
            raise OfframpError(
                f"expected {where} of {name} to take a map of shape {tuple(x.shape)}, got "
                f"{type(error).__name__}: {reason}"
            ) from error
        source = tracer.output_row
        if not isinstance(x, Tensor) or x.dim() != 4 or x.shape[2] != x.shape[3]:
            shape = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
            raise OfframpError(
                f"expected {where} of {name} to return a square map (n, c, h, h), got {shape}; "
                "leave pooling and the classifier to the exit heads"
            )
        if block != STEM:
            outputs.append(BlockOutput(int(x.shape[1]), int(x.shape[2]), source))
    return Trunk(name, in_channels, image_size, tuple(rows), tuple(outputs), mounting_points)


def row_name(prefix: str, path: str, module: nn.Module) -> str:
    """The name of a layer in the tables: `b3.expand` for the convolution `expand.conv` of block 3.

    Args:
        prefix: Of the block.
        path: Of the module in the block.
        module: A convolution inside a `ConvNormAct` is named like that.
    """
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        for suffix in _SUFFIXES:
            path = f".{path}".removesuffix(suffix).removeprefix(".")
    return f"{prefix}.{path}" if path else prefix


class _LeafTracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, _LEAVES) or super().is_leaf_module(m, module_qualified_name)


def _graph_module(stage: nn.Module, where: str) -> fx.GraphModule:
    if isinstance(stage, fx.GraphModule):
        return stage
    try:
        return fx.GraphModule(stage, _LeafTracer().trace(stage))
    except Exception as error:
        reason = " ".join(str(error).split())
        raise OfframpError(
            f"expected {where} to be traceable by torch.fx, got {type(error).__name__}: {reason}; "
            "keep control flow that depends on tensors out of forward"
        ) from error


class _RowTracer(fx.Interpreter):
    """Interprets a stage; `row_of` says for every node which row of the table its value comes from."""

    def __init__(
        self, module: fx.GraphModule, rows: list[TrunkLayer], block: int, prefix: str, source: int
    ) -> None:
        super().__init__(module.eval())
        self.rows = rows
        self.block = block
        self.prefix = prefix
        self.source = source
        self.row_of: dict[fx.Node, int] = {}
        self.open_rows: set[int] = set()  # rows whose output no quantizer has seen yet
        self.output_row = source

    def run_node(self, n: fx.Node) -> Any:
        shapes = [self.env[source] for source in n.all_input_nodes]
        y = super().run_node(n)
        if n.op == "placeholder":
            self.row_of[n] = self.source
        elif n.op == "output":
            self.output_row = self.row_of[n.all_input_nodes[0]]
        elif n.op == "call_module":
            module = self.fetch_attr(str(n.target))
            sources = tuple(self.row_of[source] for source in n.all_input_nodes)
            self.row_of[n] = self._module(
                module, row_name(self.prefix, str(n.target), module), sources, shapes, y
            )
        elif len(n.all_input_nodes) == 1 and y.numel() == shapes[0].numel():
            self.row_of[n] = self.row_of[n.all_input_nodes[0]]  # another shape of the same values
        else:
            raise OfframpError(
                f"expected only modules to compute in {self.prefix}, got {n.target} in a stage built from a "
                "LayerFactory; use ResidualAdd, Multiply, MeanPool or give an ordinary module"
            )
        return y

    def call_module(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Shapes alone count, and BatchNorm and functions keep them; running these would take most of the time."""
        module = self.fetch_attr(target)
        if isinstance(module, (ConvNormAct, ConvAct)):
            return module.conv(*args)
        if isinstance(module, (nn.BatchNorm2d, FloatActivation, Pointwise)):
            return args[0]
        return super().call_module(target, args, kwargs)

    def _module(
        self, module: nn.Module, name: str, sources: tuple[int, ...], inputs: list[Tensor], y: Tensor
    ) -> int:
        x = inputs[0]
        match module:
            case ConvNormAct() | ConvAct():
                return self._then(module.act, name, self._conv(module.conv, name, sources, x, y), y)
            case LinearAct():
                return self._then(module.act, name, self._linear(module.linear, name, sources), y)
            case nn.Conv2d():
                return self._conv(module, name, sources, x, y)
            case nn.Linear():
                return self._linear(module, name, sources)
            case ResidualAdd() | Multiply():
                height, width = y.shape[2:]
                row = self._row(name, Op.ADD, sources, g=y.shape[1], ox=width, oy=height, ix=width, iy=height)
                return self._then(module.act, name, row, y)
            case nn.MaxPool2d():
                row = self._pool(module, name, sources, x, y)
                self.rows[row] = replace(self.rows[row], keeps_bits=True)
                return row
            case MeanPool():
                return self._then(module.act, name, self._pool(module.pool, name, sources, x, y), y)
            case FloatActivation() | Pointwise():
                return self._then(module, name, sources[0], y, own_name=True)
        if any(True for _ in module.parameters()) and not isinstance(module, nn.BatchNorm2d):
            raise OfframpError(
                f"expected layers of a LayerFactory in {self.prefix}, got {type(module).__name__} ({name})"
            )
        return sources[0]

    def _then(self, act: nn.Module, name: str, row: int, y: Tensor, own_name: bool = False) -> int:
        """What follows a row: a quantizer closes it; a function reads it as it is and is a row itself."""
        if not isinstance(act, Pointwise):
            self._quantize(row)
            return row
        for source in self._passed_on(row):
            if source in self.open_rows:
                self.rows[source] = replace(self.rows[source], quantized=False)
                self.open_rows.discard(source)
        height, width = y.shape[2:] if y.dim() == 4 else (1, 1)
        sizes = {"g": y.shape[1], "ox": width, "oy": height, "ix": width, "iy": height}
        added = self._row(name if own_name else f"{name}.act", Op.POOL, (row,), **sizes)
        self.open_rows.discard(added)
        return added

    def _quantize(self, row: int) -> None:
        """A quantizer reads a row: what the row writes has the bits of the stage."""
        *pools, first = self._passed_on(row)
        # Max-pooling of values that are quantized already writes those that this quantizer makes of them.
        if first not in self.open_rows and row in self.open_rows and row in pools:
            self.rows[row] = replace(self.rows[row], keeps_bits=False)
        self.open_rows.difference_update([*pools, first])

    def _passed_on(self, row: int) -> list[int]:
        """A row, and behind max-pooling the rows its values come from, up to the one that computed them."""
        rows = [row]
        while rows[-1] >= 0 and self.rows[rows[-1]].keeps_bits:
            rows.append(self.rows[rows[-1]].sources[0])
        return rows

    def _conv(self, conv: nn.Conv2d, name: str, sources: tuple[int, ...], x: Tensor, y: Tensor) -> int:
        groups = conv.groups
        (fy, fx_), stride = conv.kernel_size, conv.stride[0]
        sizes = {"k": conv.out_channels // groups, "c": conv.in_channels // groups, "g": groups}
        return self._row(name, Op.CONV, sources, fx=fx_, fy=fy, stride=stride, **sizes, **_sides(x, y))

    def _linear(self, linear: nn.Linear, name: str, sources: tuple[int, ...]) -> int:
        return self._row(name, Op.LINEAR, sources, k=linear.out_features, c=linear.in_features)

    def _pool(self, pool: nn.Module, name: str, sources: tuple[int, ...], x: Tensor, y: Tensor) -> int:
        whole = isinstance(pool, nn.AdaptiveAvgPool2d)
        window = x.shape[2] if whole else one_side(pool.kernel_size)
        stride = window if whole else one_side(pool.stride)
        return self._row(
            name, Op.POOL, sources, g=x.shape[1], fx=window, fy=window, stride=stride, **_sides(x, y)
        )

    def _row(self, name: str, op: Op, sources: tuple[int, ...], **sizes: int) -> int:
        row = TrunkLayer(name, op, self.block, sources)
        columns: dict[str, Any] = {column: int(size) for column, size in sizes.items()}
        self.rows.append(replace(row, **columns))
        self.open_rows.add(len(self.rows) - 1)
        return len(self.rows) - 1


def _sides(x: Tensor, y: Tensor) -> dict[str, int]:
    return {"ix": x.shape[3], "iy": x.shape[2], "ox": y.shape[3], "oy": y.shape[2]}


def one_side(size: Any) -> int:
    """The side of a square window that PyTorch takes as a number or a pair."""
    side = size[0] if isinstance(size, tuple) else size
    return int(side)
