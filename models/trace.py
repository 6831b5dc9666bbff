"""The layers of a network as they run, found by forward hooks: a check of the tables that cost is computed from."""

import dataclasses

import torch
from torch import Tensor, nn

from hwcost.workload import Op
from models.backbone import ConvNormAct, ResidualAdd
from models.backbones.modules import MeanPool, Multiply, Pointwise
from models.backbones.rows import one_side, row_name
from models.heads import GlobalAveragePool, MaxPool
from models.network import EarlyExitNetwork

_TRACED = (
    nn.Conv2d, nn.Linear, ResidualAdd, Multiply, MaxPool, GlobalAveragePool, nn.MaxPool2d, MeanPool, Pointwise,
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class LayerRow:
    """One layer that ran, with the names and sizes `hwcost.workload.Layer` has.

    Attributes:
        name: As in the cost tables.
        op: Kind of layer.
        k: Output channels per group.
        c: Input channels per group.
        g: Groups; channels for depth-wise convolutions, pooling and addition.
        ox: Output width.
        oy: Output height.
        fx: Filter or window width.
        fy: Filter or window height.
        stride: Step of the window.
        parameters: Trainable parameters, those of a BatchNorm behind a convolution included.
    """

    name: str
    op: Op
    k: int
    c: int
    g: int
    ox: int
    oy: int
    fx: int
    fy: int
    stride: int
    parameters: int

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one image; pooling and addition have none."""
        if self.op not in (Op.CONV, Op.LINEAR):
            return 0
        return self.k * self.c * self.g * self.ox * self.oy * self.fx * self.fy


def trace_layers(network: EarlyExitNetwork) -> list[LayerRow]:
    """Runs one image through a network and writes down every layer in order.

    Args:
        network: With one head a block; left in the mode it was in.

    Returns:
        One row a layer, in order of execution.
    """
    rows: list[LayerRow] = []
    handles = []
    last_block = network.spec.n_blocks - 1
    for path, module in network.named_modules():
        if not isinstance(module, _TRACED):
            continue
        name = layer_name(path, last_block, module)
        if isinstance(module, (ResidualAdd, Multiply)):  # before what follows inside it
            handles.append(
                module.register_forward_pre_hook(
                    lambda _module, inputs, name=name: rows.append(_combination(name, *inputs))
                )
            )
            continue
        parent = network.get_submodule(path.rpartition(".")[0])
        norm = parent.norm if isinstance(parent, ConvNormAct) and parent.conv is module else None
        handles.append(
            module.register_forward_hook(
                lambda module, inputs, y, name=name, norm=norm: rows.append(
                    _row(name, module, norm, inputs[0], y)
                )
            )
        )
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad():
            network(torch.zeros(1, network.spec.in_channels, network.image_size, network.image_size))
    finally:
        network.train(was_training)
        for handle in handles:
            handle.remove()
    return rows


def layer_name(path: str, last_block: int, module: nn.Module) -> str:
    """The name a module has in the cost tables.

    Args:
        path: Of the module, e.g. `blocks.3.expand.conv` or `heads.fc_3.pool`.
        last_block: Index of the block whose head is the final one.
        module: At that path.
    """
    parts = path.split(".")
    if parts[0] in ("stem", "blocks"):
        prefix = "stem" if parts[0] == "stem" else f"b{parts[1]}"
        return row_name(prefix, ".".join(parts[2:]), module)
    block = int(parts[1].rsplit("_", 1)[1])
    layer = parts[3] if parts[2] == "convs" else parts[2]
    return f"{'final' if block == last_block else f'exit{block}'}.{layer}"


def _combination(name: str, first: Tensor, second: Tensor) -> LayerRow:
    _, channels, height, width = torch.broadcast_shapes(first.shape, second.shape)
    return LayerRow(name, Op.ADD, 1, 1, channels, width, height, 1, 1, 1, 0)


def _row(name: str, module: nn.Module, norm: nn.Module | None, x: Tensor, y: Tensor) -> LayerRow:
    parameters = [*module.parameters(recurse=False), *(norm.parameters() if norm is not None else [])]
    n_parameters = sum(parameter.numel() for parameter in parameters)
    if isinstance(module, nn.Linear):
        return LayerRow(
            name, Op.LINEAR, module.out_features, module.in_features, 1, 1, 1, 1, 1, 1, n_parameters
        )
    _, channels, height, width = y.shape if y.dim() == 4 else (*y.shape, 1, 1)
    if isinstance(module, nn.Conv2d):
        groups = module.groups
        (fy, fx), stride = module.kernel_size, module.stride[0]
        k, c = module.out_channels // groups, module.in_channels // groups
        return LayerRow(name, Op.CONV, k, c, groups, width, height, fx, fy, stride, n_parameters)
    window, stride = _window(module, x)
    return LayerRow(name, Op.POOL, 1, 1, channels, width, height, window, window, stride, 0)


def _window(module: nn.Module, x: Tensor) -> tuple[int, int]:
    """Side and step of the window of a pooling; an element-wise function has a window of one."""
    if isinstance(module, Pointwise):
        return 1, 1
    if isinstance(module, (MaxPool, GlobalAveragePool)):
        return module.window.kernel, module.window.stride
    pool = module.pool if isinstance(module, MeanPool) else module
    if isinstance(pool, (nn.MaxPool2d, nn.AvgPool2d)):
        return one_side(pool.kernel_size), one_side(pool.stride)
    return x.shape[-1], x.shape[-1]
