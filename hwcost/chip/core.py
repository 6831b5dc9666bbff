"""Cores: a PE array with memories, or an engine for pooling or addition."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from hwcost.chip.memory import Memory
from hwcost.errors import OfframpError
from hwcost.mapping.loops import Loop, Operand
from hwcost.workload import Op

COMPUTE_MODELS = ("ideal", "systolic_ws", "systolic_os", "systolic_is")
MAC_ENERGY_SCALINGS = ("constant", "bit_product")


@dataclass(frozen=True)
class PeArray:
    """Sizes of the array's dimensions, in the order the core names them."""

    sizes: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.sizes or min(self.sizes) < 1:
            raise OfframpError(f"expected array sizes of at least 1, got {self.sizes}; write e.g. 8x8x4x4")

    @classmethod
    def parse(cls, label: str) -> PeArray:
        """Reads `8x8x4x4`."""
        try:
            return cls(tuple(int(part) for part in label.split("x")))
        except ValueError:
            raise OfframpError(f"expected an array such as 8x8x4x4, got {label!r}") from None

    @property
    def label(self) -> str:
        """The sizes as a text, e.g. `8x8x4x4`."""
        return "x".join(str(size) for size in self.sizes)

    @property
    def n_pes(self) -> int:
        """Multiply-accumulate units."""
        return math.prod(self.sizes)


@dataclass(frozen=True)
class ArrayDimension:
    """A dimension of the PE array and the loops it may unroll (one of them per layer)."""

    name: str
    loops: tuple[Loop, ...]


@dataclass(frozen=True)
class ComputeCore:
    """A core that multiplies.

    Attributes:
        name: Of this core.
        group: Of the description it was made from; cores of one group are equal.
        dimensions: Of its PE array.
        catalogue: Arrays it can be built with; port widths stay as they are.
        default_array: The one it has unless an allocation says otherwise.
        mac_energy_pj: Energy of one multiply-accumulate, at the precision `mac_energy_scaling` refers to.
        memories: Per operand from the PEs outwards, as listed; the last one an operand has is its home.
        systolic_dimensions: Dimensions along which data moves PE by PE: each adds its unrolling - 1 cycles.
        compute_model: Of `COMPUTE_MODELS`: `ideal`, or the pipeline of a systolic array that keeps weights
            (`systolic_ws`), outputs (`systolic_os`) or inputs (`systolic_is`) in its PEs.
        mac_energy_scaling: Of `MAC_ENERGY_SCALINGS`: `constant`, the same energy at every precision (as ZigZag),
            or `bit_product`, proportional to weight bits x input bits with `mac_energy_pj` at 8 x 8: a multiplier
            has one adder cell per pair of bits (Horowitz, ISSCC 2014, fig. 1.1.9: 8 bit 0.2 pJ, 32 bit 3.1 pJ;
            Bit Fusion, ISCA 2018, section III: its work is that of weight bits x input bits / 4 bricks).
        idle_pes: Whether the mapper may unroll loops less far than the array allows, where that is better; else PEs
            are idle only where a loop is too short.
        leakage_w: Static power of the core whatever its array, memories included.
        leakage_w_per_pe: Static power of each PE on top.
        area_mm2: Of the core whatever its array, memories included.
        area_mm2_per_pe: Of each PE on top.
    """

    name: str
    group: str
    dimensions: tuple[ArrayDimension, ...]
    catalogue: tuple[PeArray, ...]
    default_array: PeArray
    mac_energy_pj: float
    memories: tuple[Memory, ...]
    systolic_dimensions: tuple[str, ...] = ()
    compute_model: str = "ideal"
    mac_energy_scaling: str = "constant"
    idle_pes: bool = False
    leakage_w: float = 0.0
    leakage_w_per_pe: float = 0.0
    area_mm2: float = 0.0
    area_mm2_per_pe: float = 0.0

    def __post_init__(self) -> None:
        _check_choice("compute model", self.compute_model, COMPUTE_MODELS, self.name)
        _check_choice("MAC energy scaling", self.mac_energy_scaling, MAC_ENERGY_SCALINGS, self.name)
        if self.compute_model != "ideal" and len(self.dimensions) != 2:
            raise OfframpError(
                f"expected two array dimensions in core {self.name!r} with compute model "
                f"{self.compute_model!r}, got {len(self.dimensions)}; a systolic array has rows and columns"
            )
        _check_not_negative(
            self.name,
            mac_energy_pj=self.mac_energy_pj,
            leakage_w=self.leakage_w,
            leakage_w_per_pe=self.leakage_w_per_pe,
            area_mm2=self.area_mm2,
            area_mm2_per_pe=self.area_mm2_per_pe,
        )
        names = [dimension.name for dimension in self.dimensions]
        if len(set(names)) != len(names):
            raise OfframpError(f"expected distinct dimension names in core {self.name!r}, got {names}")
        for array in (*self.catalogue, self.default_array):
            if len(array.sizes) != len(names):
                raise OfframpError(
                    f"expected {len(names)} sizes in array {array.label!r} of core {self.name!r}"
                )
        if self.default_array not in self.catalogue:
            raise OfframpError(
                f"expected the default array {self.default_array.label!r} of core {self.name!r} in its catalogue"
            )
        for dimension in (*self.systolic_dimensions, *(d for m in self.memories for d in m.per_dimensions)):
            if dimension not in names:
                raise OfframpError(
                    f"expected a dimension of {names} in core {self.name!r}, got {dimension!r}"
                )
        for operand in Operand:
            chain = self.chain(operand)
            if not chain:
                raise OfframpError(f"core {self.name!r} has no memory for operand {operand.name}; add one")
            for inner, outer in itertools.pairwise(chain):
                inner_memory, outer_memory = self.memories[inner], self.memories[outer]
                if not set(outer_memory.per_dimensions) <= set(inner_memory.per_dimensions):
                    raise OfframpError(
                        f"memory {outer_memory.name!r} of core {self.name!r} has more instances than "
                        f"{inner_memory.name!r} below it; list memories from the PEs outwards"
                    )

    def chain(self, operand: Operand) -> tuple[int, ...]:
        """Indices of the memories that hold an operand, from the PEs outwards."""
        return tuple(i for i, memory in enumerate(self.memories) if operand in memory.operands)

    def served_dimensions(self, memory: Memory) -> tuple[bool, ...]:
        """Per array dimension, whether one instance of the memory serves all PEs along it."""
        return tuple(dimension.name not in memory.per_dimensions for dimension in self.dimensions)


@dataclass(frozen=True)
class VectorCore:
    """A core without weights: pooling (a window per unit) or addition (a lane per element).

    Attributes:
        name: Of this core.
        group: Of the description it was made from.
        op: What it does: POOL or ADD.
        unit_sizes: Units along channels, window columns and window rows; an adder has (lanes, 1, 1).
        operation_energy_pj: Energy of one comparison or addition.
        memory: Its activation memory.
        leakage_w: Static power, memory included.
        area_mm2: Memory included.
    """

    name: str
    group: str
    op: Op
    unit_sizes: tuple[int, int, int]
    operation_energy_pj: float
    memory: Memory
    leakage_w: float = 0.0
    area_mm2: float = 0.0

    def __post_init__(self) -> None:
        _check_not_negative(self.name, leakage_w=self.leakage_w, area_mm2=self.area_mm2)
        if self.op not in (Op.POOL, Op.ADD):
            raise OfframpError(f"expected core {self.name!r} to do pooling or addition, got {self.op!r}")
        if min(self.unit_sizes) < 1:
            raise OfframpError(f"expected at least 1 unit per dimension in core {self.name!r}")


def _check_choice(what: str, choice: str, choices: tuple[str, ...], core: str) -> None:
    if choice not in choices:
        raise OfframpError(f"expected a {what} of {', '.join(choices)} for core {core!r}, got {choice!r}")


def _check_not_negative(core: str, **values: float) -> None:
    for name, value in values.items():
        if not 0 <= value < math.inf:
            raise OfframpError(f"expected a finite {name} of at least 0 for core {core!r}, got {value}")
