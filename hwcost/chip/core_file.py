"""Reading cores and their memories from tables of an accelerator file."""

from __future__ import annotations

from dataclasses import replace

from hwcost.chip.core import ArrayDimension, ComputeCore, PeArray, VectorCore
from hwcost.chip.hierarchy import check_activation_home, check_hierarchy
from hwcost.chip.memory import Memory
from hwcost.errors import OfframpError
from hwcost.mapping.loops import Loop, Operand
from hwcost.mapping.systolic import fixed_loops
from hwcost.strict_toml import Fields
from hwcost.workload import Op

_VECTOR_OPS = {"pooling": Op.POOL, "addition": Op.ADD}


def read_compute_cores(fields: Fields, dram: Memory, activations: str) -> list[ComputeCore]:
    """The cores that one `[[compute_core]]` table describes.

    Args:
        fields: The table.
        dram: Put behind the memories that are listed.
        activations: `onchip` or `dram`: where the outermost inputs and outputs live.
    """
    group = fields.text("name")
    dimensions = tuple(_dimension(table) for table in fields.tables("dimension"))
    listed = tuple(_memory(table) for table in fields.tables("memory"))
    # DRAM is the home of the weights, and of the activations where these do not stay on the chip
    behind = (Operand.W,) if activations == "onchip" else tuple(Operand)
    count = fields.integer("count")
    default = _array(fields, "default_array", fields.text("default_array"))
    labels = fields.texts("catalogue", (default.label,))
    catalogue = tuple(_array(fields, "catalogue", label) for label in labels)
    if len(set(catalogue)) != len(catalogue):
        raise OfframpError(f"{fields.where}: expected distinct arrays in 'catalogue'; remove the second one")
    with fields.named():
        core = ComputeCore(
            name=group,
            group=group,
            dimensions=dimensions,
            catalogue=catalogue,
            default_array=default,
            mac_energy_pj=fields.number("mac_energy_pj"),
            memories=(*listed, replace(dram, operands=behind)),
            systolic_dimensions=fields.texts("systolic_dimensions", ()),
            compute_model=fields.text("compute_model", "ideal"),
            mac_energy_scaling=fields.text("mac_energy_scaling", "constant"),
            idle_pes=fields.flag("idle_pes", False),
            leakage_w=fields.number("leakage_w", 0.0),
            leakage_w_per_pe=fields.number("leakage_w_per_pe", 0.0),
            area_mm2=fields.number("area_mm2", 0.0),
            area_mm2_per_pe=fields.number("area_mm2_per_pe", 0.0),
        )
        if core.compute_model != "ideal" and core.systolic_dimensions:
            raise OfframpError(
                f"compute_model {core.compute_model!r} has a pipeline of its own; remove systolic_dimensions, which "
                "are for 'ideal'"
            )
        _check_dataflow(core)
        check_hierarchy(core)
        if activations == "onchip":
            check_activation_home(core)
    fields.done()
    return [replace(core, name=f"{group}{i}" if count > 1 else group) for i in range(count)]


def _check_dataflow(core: ComputeCore) -> None:
    """Refuses dimensions that cannot unroll what the dataflow of a systolic array fixes along them."""
    loops = fixed_loops(core.compute_model)
    for dimension, loop, place in zip(core.dimensions, loops, ("first", "second"), strict=False):
        if loop not in dimension.loops:
            raise OfframpError(
                f"expected {loop.name} among the loops of the {place} dimension for compute_model "
                f"{core.compute_model!r}, got {dimension.name!r} with {', '.join(o.name for o in dimension.loops)}; "
                "list the dimensions in the order of its rows and columns"
            )


def read_vector_core(fields: Fields) -> VectorCore:
    """The core that one `[[vector_core]]` table describes."""
    kind = fields.text("operation")
    if kind not in _VECTOR_OPS:
        raise OfframpError(f"{fields.where}: expected operation pooling or addition, got {kind!r}")
    units = fields.integers("units")
    if len(units) != 3:
        raise OfframpError(
            f"{fields.where}: expected units [channels, window columns, window rows], got {list(units)}"
        )
    name = fields.text("name")
    memory = _memory(fields.table("memory"))
    if not {Operand.I, Operand.O} <= set(memory.operands) or memory.per_dimensions:
        raise OfframpError(
            f"{fields.where}: expected one memory for operands I and O in a vector core, without per_dimensions"
        )
    with fields.named():
        core = VectorCore(
            name=name,
            group=name,
            op=_VECTOR_OPS[kind],
            unit_sizes=(units[0], units[1], units[2]),
            operation_energy_pj=fields.number("operation_energy_pj"),
            memory=memory,
            leakage_w=fields.number("leakage_w", 0.0),
            area_mm2=fields.number("area_mm2", 0.0),
        )
    fields.done()
    return core


def _array(fields: Fields, key: str, label: str) -> PeArray:
    try:
        return PeArray.parse(label)
    except OfframpError as error:
        raise OfframpError(f"{fields.where}: {key}: {error}") from None


def _dimension(fields: Fields) -> ArrayDimension:
    names = fields.texts("loops")
    unknown = [name for name in names if name not in Loop.__members__]
    if unknown or not names:
        got = repr(unknown[0]) if unknown else "none"
        raise OfframpError(f"{fields.where}: expected loops of {', '.join(Loop.__members__)}, got {got}")
    if len(set(names)) != len(names):
        raise OfframpError(f"{fields.where}: expected distinct loops, got {list(names)}")
    dimension = ArrayDimension(fields.text("name"), tuple(Loop[name] for name in names))
    fields.done()
    return dimension


def _memory(fields: Fields) -> Memory:
    letters = fields.texts("operands")
    unknown = [letter for letter in letters if letter not in Operand.__members__]
    if unknown:
        raise OfframpError(f"{fields.where}: expected operands of W, I, O, got {unknown[0]!r}")
    with fields.named():
        memory = Memory(
            name=fields.text("name"),
            level=fields.text("level"),
            operands=tuple(Operand[letter] for letter in letters),
            size_bits=fields.integer("size_bits"),
            read_bits_per_cycle=fields.integer("read_bits_per_cycle"),
            write_bits_per_cycle=fields.integer("write_bits_per_cycle"),
            read_pj=fields.number("read_pj"),
            write_pj=fields.number("write_pj"),
            per_dimensions=fields.texts("per_dimensions", ()),
            shared_port=fields.flag("shared_port", False),
            granule_bits=fields.integer("granule_bits"),
            double_buffering=fields.text("double_buffering", "auto"),
        )
    fields.done()
    return memory
