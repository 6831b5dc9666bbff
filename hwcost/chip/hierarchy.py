"""Memory hierarchies that no chip can have."""

from __future__ import annotations

import itertools

from hwcost.chip.core import ComputeCore
from hwcost.chip.memory import MEMORY_LEVELS
from hwcost.errors import OfframpError
from hwcost.mapping.loops import Operand


def check_hierarchy(core: ComputeCore) -> None:
    """Refuses memories that cannot lie behind each other as they are listed.

    Raises:
        OfframpError: Two memories have one name; a register lies behind an SRAM; a memory is smaller than one
            instance of that below it, or has an array dimension twice.
    """
    names = [memory.name for memory in core.memories]
    for name in names:
        if names.count(name) > 1:
            raise OfframpError(f"expected distinct memory names in core {core.name!r}, got {name!r} twice")
    for memory in core.memories:
        if len(set(memory.per_dimensions)) != len(memory.per_dimensions):
            raise OfframpError(f"expected distinct per_dimensions in memory {memory.name!r} of {core.name!r}")
    if len(set(core.systolic_dimensions)) != len(core.systolic_dimensions):
        raise OfframpError(f"expected distinct systolic_dimensions in core {core.name!r}")
    for operand in Operand:
        for inner, outer in itertools.pairwise(core.memories[i] for i in core.chain(operand)):
            if MEMORY_LEVELS.index(outer.level) < MEMORY_LEVELS.index(inner.level):
                raise OfframpError(
                    f"{outer.level} {outer.name!r} of core {core.name!r} lies behind {inner.level} {inner.name!r} "
                    f"for operand {operand.name}; list memories from the PEs outwards"
                )
            if outer.size_bits < inner.size_bits:
                raise OfframpError(
                    f"memory {outer.name!r} of core {core.name!r} has a smaller size_bits than {inner.name!r} below "
                    f"it for operand {operand.name}; list memories from the PEs outwards"
                )


def check_activation_home(core: ComputeCore) -> None:
    """Refuses a core that has no place for a whole tensor where activations are to stay on the chip.

    Raises:
        OfframpError: The outermost memory of inputs or outputs is at every PE, or they have one each: a map that one
            layer leaves and the next reads would have to move between the two, which is not modelled.
    """
    for operand in (Operand.I, Operand.O):
        home = core.memories[core.chain(operand)[-1]]
        if home.level == "register" or home.per_dimensions:
            raise OfframpError(
                f"core {core.name!r} keeps operand {operand.name} on the chip but its outermost memory is "
                f'{home.level} {home.name!r}; add an sram without per_dimensions or use activations = "dram"'
            )
    homes = [core.memories[core.chain(operand)[-1]].name for operand in (Operand.I, Operand.O)]
    if homes[0] != homes[1]:
        raise OfframpError(
            f"expected one outermost memory for inputs and outputs of core {core.name!r}, which keeps them on the "
            f'chip, got {homes[0]!r} and {homes[1]!r}; join them or use activations = "dram"'
        )
