"""What a backbone factory returns: a network cut into stages, written in ordinary PyTorch.

    def factory(width: float, in_channels: int, image_size: int) -> Stages:
        model = MyNetwork(width, in_channels)
        return Stages("mynet", [model.part1, model.part2, model.part3], stem=model.first, model=model)

A stage is the unit of the search: it has bits of its own, and an early exit may follow it. Stages are `nn.Module`s
with one input and one output map, or functions that build one from a `LayerFactory` (see `StageBuilder`).
`docs/backbones.md` is the how-to.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import nn

from hwcost.errors import OfframpError
from hwcost.networks.trunk import check_mounting_points
from models.layers import LayerFactory

StageBuilder = Callable[[int, int, LayerFactory], nn.Module]
"""Builds a stage from its weight bits, its activation bits and the layers to use. It quantizes what it returns, and
adds with `models.backbone.ResidualAdd`, so that the addition is seen and costed."""

Stage = nn.Module | StageBuilder


@dataclass(frozen=True, eq=False)
class Stages:
    """A backbone as its author writes it.

    Attributes:
        name: Of the backbone.
        stages: In order, each behind the one before. Modules are rebuilt from quantizable layers; their own weights
            are not used, a checkpoint gives some.
        mounting_points: Indices of the stages an early exit may follow, ascending, never the last; all but the last
            when None.
        stem: What runs before stage 0, always at 8 bit.
        model: The whole network the modules were taken from. Its state dict is then what a checkpoint of float
            weights holds; without it names are `stem.<...>` and `stages.<index>.<...>`.

    Raises:
        OfframpError: When a part is of another type, used twice, or the mounting points do not fit.
    """

    name: str
    stages: Sequence[Stage]
    mounting_points: tuple[int, ...] | None = None
    stem: Stage | None = None
    model: nn.Module | None = None

    def __post_init__(self) -> None:
        if not self.name or not isinstance(self.name, str):
            raise OfframpError(f"expected a name for the backbone, got {self.name!r}")
        if not self.stages:
            raise OfframpError(f"expected at least one stage in {self.name}, got none")
        parts = [(f"stage {i}", stage) for i, stage in enumerate(self.stages)]
        if self.stem is not None:
            parts.append(("the stem", self.stem))
        for where, part in parts:
            if not callable(part):  # modules are callable
                raise OfframpError(
                    f"expected a module or a function that builds one as {where} of {self.name}, "
                    f"got {type(part).__name__}"
                )
        modules = [part for _, part in parts if isinstance(part, nn.Module)]
        if len({id(module) for module in modules}) < len(modules):
            raise OfframpError(
                f"expected every stage of {self.name} once, got one module twice; stages cannot share weights"
            )
        check_mounting_points(self.mounts, len(self.stages))

    @property
    def mounts(self) -> tuple[int, ...]:
        """The mounting points, those left out filled in."""
        if self.mounting_points is None:
            return tuple(range(len(self.stages) - 1))
        return tuple(self.mounting_points)
