"""Backbones as users write them: good ones, and ones with every mistake that has a message of its own."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hwcost.networks import load_backbone
from models.backbone import ConvNormAct, InvertedResidual, stem_conv
from models.backbones.modules import Pointwise
from models.backbones.stages import Stages
from models.layers import LayerFactory


class Gate(nn.Module):
    """Squeeze and excitation, with functions instead of modules."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down = nn.Conv2d(channels, 4, 1)
        self.up = nn.Conv2d(4, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        squeezed = F.relu(self.down(x.mean((2, 3), keepdim=True)))
        return x * torch.sigmoid(self.up(squeezed))


class Functional(nn.Module):
    """Pooling and functions as calls, not as modules."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 8, 3, padding=1)
        self.last = nn.Conv2d(8, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu6(self.conv(x)), 2)
        x = F.avg_pool2d(F.silu(x), kernel_size=2, stride=1)
        x = F.dropout(x, 0.5, self.training)
        x = torch.add(x, torch.mul(x, F.adaptive_avg_pool2d(x, 1)))
        return self.last(x).relu()


class Residual(nn.Module):
    """Uses one ReLU twice, adds, gates, pools, drops."""

    def __init__(self, c: int, k: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(c, k, 3, stride, 1)  # a bias before BatchNorm, as some write it
        self.bn1 = nn.BatchNorm2d(k, eps=1e-3)
        self.conv2 = nn.Conv2d(k, k, 5, padding="same", bias=False)
        self.bn2 = nn.BatchNorm2d(k)
        self.relu = nn.ReLU(inplace=True)
        self.gate = Gate(k)
        self.drop = nn.Dropout2d(0.1)
        self.skip = nn.Conv2d(c, k, 1, stride) if stride > 1 or c != k else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.drop(self.gate(self.bn2(self.conv2(out))))
        out += self.skip(x)
        return self.relu(out)


class Network(nn.Module):
    """With a classifier, as a training script has it."""

    def __init__(self, width: float, in_channels: int) -> None:
        super().__init__()
        c = int(8 * width)
        self.first = nn.Sequential(
            nn.Conv2d(in_channels, c, 3, 1, 1, bias=False), nn.BatchNorm2d(c), nn.SiLU()
        )
        self.body = nn.Sequential(
            Residual(c, c, 1),
            nn.Sequential(
                Residual(c, 2 * c, 2), nn.Conv2d(2 * c, 2 * c, 3, 1, 1, groups=2 * c), nn.Hardswish()
            ),
            nn.MaxPool2d(2),
            nn.Conv2d(2 * c, 3 * c, 2, 2),
        )
        self.classifier = nn.Linear(3 * c, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.body(self.first(x)).mean((2, 3)))


def small(width: float = 1.0, in_channels: int = 1) -> Stages:
    model = Network(width, in_channels)
    return Stages("small", list(model.body), (0, 1), stem=model.first, model=model)


def unnamed(in_channels: int = 1) -> Stages:
    """Without a model: its weights are named by stage. Without a stem."""
    return Stages("unnamed", [nn.Conv2d(in_channels, 8, 3, 2, 1), nn.Sequential(Residual(8, 8, 1))])


def paper(width: float, in_channels: int) -> Stages:
    """The paper's backbone as functions over a layer factory."""
    spec = load_backbone("paper").scaled(width).with_in_channels(in_channels)

    def builder(index: int):
        return lambda weight_bits, activation_bits, layers: InvertedResidual(
            spec.blocks[index], weight_bits, activation_bits, layers
        )

    def stem(_weight_bits: int, _activation_bits: int, layers: LayerFactory) -> ConvNormAct:
        return stem_conv(spec, layers)

    return Stages("paper", [builder(i) for i in range(spec.n_blocks)], spec.mounting_points, stem=stem)


class PooledSkip(nn.Module):
    """Adds a pooled map to a convolved one."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(3, 1, 1)
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(x) + self.conv(x)


def _unit(c: int, k: int) -> list[nn.Module]:
    return [nn.Conv2d(c, k, 3, padding=1, bias=False), nn.BatchNorm2d(k), nn.ReLU()]


def pooled(in_channels: int = 1) -> Stages:
    """Max-pooling wherever it may stand; with what a layer factory builds in one stage."""

    def built(weight_bits: int, activation_bits: int, layers: LayerFactory) -> nn.Module:
        conv = layers.conv(8, 8, 3, 1, 1, weight_bits)
        return nn.Sequential(
            conv, nn.MaxPool2d(3, 1, 1), Pointwise(nn.SiLU(), layers.identity(activation_bits))
        )

    stages: list[nn.Module] = [
        nn.Sequential(*_unit(8, 8), nn.MaxPool2d(3, 1, 1)),
        nn.MaxPool2d(2),
        nn.Sequential(nn.MaxPool2d(3, 1, 1), nn.MaxPool2d(3, 1, 1), *_unit(8, 8)),
        nn.Sequential(nn.MaxPool2d(3, 1, 1), nn.SiLU()),
        nn.Sequential(nn.MaxPool2d(3, 1, 1), nn.ReLU()),
        PooledSkip(8),
    ]
    stem = nn.Sequential(*_unit(in_channels, 8), nn.MaxPool2d(3, 1, 1))
    return Stages("pooled", [*stages, built, nn.MaxPool2d(2)], stem=stem)


def halved(in_channels: int = 1) -> Stages:
    """Maps of 16, 8, 4, 2 and 1 elements a side from images of 32."""
    return Stages(
        "halved", [nn.Sequential(nn.MaxPool2d(2), *_unit(in_channels if i == 0 else 8, 8)) for i in range(5)]
    )


class TwoWays(nn.Module):
    """Halves its input by two ways that differ at odd sides."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(2)
        self.conv = nn.Conv2d(channels, channels, 3, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(x) + self.conv(x)


def two_ways(in_channels: int = 1) -> Stages:
    """Takes images whose side is a multiple of 8."""
    return Stages("two_ways", [nn.Sequential(*_unit(in_channels, 8), TwoWays(8)), TwoWays(8), TwoWays(8)])


not_a_function = 3


def raises() -> Stages:
    raise RuntimeError("no weights\nfor you")


def returns_a_module() -> nn.Module:
    return nn.Conv2d(3, 8, 3)


class Branch(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


class Concatenate(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, x], 1)


class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.conv(x))


class Two(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x


class Scale(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


def first() -> nn.Conv2d:
    return nn.Conv2d(1, 8, 3, padding=1)


def broken(kind: str) -> Stages:
    """A backbone whose second stage is what cannot be quantized."""
    stages = {
        "branch": Branch,
        "concatenate": Concatenate,
        "shared": Shared,
        "two": Two,
        "scale": Scale,
        "norm": lambda: nn.Sequential(nn.ReLU(), nn.BatchNorm2d(8)),
        "group_norm": lambda: nn.GroupNorm(2, 8),
        "dilated": lambda: nn.Conv2d(8, 8, 3, dilation=2),
        "channels": lambda: nn.Conv2d(16, 8, 3),
        "flat": lambda: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        "number": lambda: lambda weight_bits, activation_bits, layers: 3,
    }
    return Stages(f"broken-{kind}", [first(), stages[kind]()])


def broken_branch() -> Stages:
    return broken("branch")


def broken_concatenate() -> Stages:
    return broken("concatenate")


def broken_shared() -> Stages:
    return broken("shared")


def broken_two() -> Stages:
    return broken("two")


def broken_scale() -> Stages:
    return broken("scale")


def broken_norm() -> Stages:
    return broken("norm")


def broken_group_norm() -> Stages:
    return broken("group_norm")


def broken_dilated() -> Stages:
    return broken("dilated")


def broken_channels() -> Stages:
    return broken("channels")


def broken_flat() -> Stages:
    return broken("flat")


def broken_number() -> Stages:
    return broken("number")
