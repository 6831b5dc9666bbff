"""Reading accelerators from TOML: presets by name, own files by path."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources
from pathlib import Path

from hwcost.chip.accelerator import Accelerator, Link
from hwcost.chip.core import ArrayDimension, ComputeCore, PeArray, VectorCore
from hwcost.chip.memory import Memory
from hwcost.errors import OfframpError
from hwcost.mapping.loops import Loop, Operand
from hwcost.strict_toml import Fields, read_toml
from hwcost.workload import Op

ACTIVATION_HOMES = ("onchip", "dram")
_VECTOR_OPS = {"pooling": Op.POOL, "addition": Op.ADD}


def accelerator_names() -> tuple[str, ...]:
    """Names of the packaged presets."""
    folder = resources.files("hwcost") / "presets"
    return tuple(sorted(item.name[:-5] for item in folder.iterdir() if item.name.endswith(".toml")))


def load_accelerator(name_or_path: str | Path) -> Accelerator:
    """Reads a preset (by name) or a file (by a path that ends in .toml).

    Raises:
        OfframpError: No such preset or file, or its content is refused; the message names the key.
    """
    text = str(name_or_path)
    if text.endswith(".toml"):
        return _accelerator(Fields(read_toml(Path(text)), Path(text).name))
    if text not in accelerator_names():
        known = ", ".join(accelerator_names())
        raise OfframpError(f"expected an accelerator of {known} or a path to a .toml file, got {text!r}")
    with resources.as_file(resources.files("hwcost") / "presets" / f"{text}.toml") as path:
        return _accelerator(Fields(read_toml(path), path.name))


def _accelerator(fields: Fields) -> Accelerator:
    dram_fields = fields.table("dram")
    dram = _dram(dram_fields)
    link_fields = fields.table("link")
    link = Link(link_fields.integer("bits_per_cycle"), link_fields.number("pj_per_bit"))
    link_fields.done()
    home = fields.text("activations")
    if home not in ACTIVATION_HOMES:
        raise OfframpError(
            f"{fields.where}: expected {' or '.join(ACTIVATION_HOMES)} for 'activations', got {home!r}"
        )
    compute: list[ComputeCore] = []
    for table in fields.tables("compute_core"):
        compute.extend(_compute_cores(table, dram, home))
    vector = tuple(_vector_core(table) for table in fields.tables("vector_core", required=False))
    accelerator = Accelerator(
        name=fields.text("name"),
        compute_cores=tuple(compute),
        vector_cores=vector,
        dram=dram,
        link=link,
        pe_budget=fields.integer("pe_budget"),
        clock_hz=fields.number("clock_hz"),
    )
    fields.done()
    return accelerator


def _dram(fields: Fields) -> Memory:
    width = fields.integer("bits_per_cycle")
    memory = Memory(
        name="dram",
        level="dram",
        operands=tuple(Operand),
        size_bits=float("inf"),
        read_bits_per_cycle=width,
        write_bits_per_cycle=width,
        read_pj=fields.number("read_pj"),
        write_pj=fields.number("write_pj"),
        shared_port=fields.flag("shared_port"),
        granule_bits=fields.integer("granule_bits"),
    )
    fields.done()
    return memory


def _memory(fields: Fields) -> Memory:
    letters = fields.texts("operands")
    unknown = [letter for letter in letters if letter not in Operand.__members__]
    if unknown:
        raise OfframpError(f"{fields.where}: expected operands of W, I, O, got {unknown[0]!r}")
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
    )
    fields.done()
    return memory


def _compute_cores(fields: Fields, dram: Memory, activations: str) -> list[ComputeCore]:
    group = fields.text("name")
    dimensions = []
    for table in fields.tables("dimension"):
        loops = table.texts("loops")
        unknown = [name for name in loops if name not in Loop.__members__]
        if unknown or not loops:
            raise OfframpError(
                f"{table.where}: expected loops of {', '.join(Loop.__members__)}, got {unknown or 'none'}"
            )
        dimensions.append(ArrayDimension(table.text("name"), tuple(Loop[name] for name in loops)))
        table.done()
    memories = [_memory(table) for table in fields.tables("memory")]
    # DRAM is the home of the weights, and of the activations where these do not stay on the chip
    behind = (Operand.W,) if activations == "onchip" else tuple(Operand)
    memories.append(replace(dram, operands=behind))
    count = fields.integer("count")
    default = PeArray.parse(fields.text("default_array"))
    catalogue = tuple(PeArray.parse(label) for label in fields.texts("catalogue", (default.label,)))
    energy = fields.number("mac_energy_pj")
    systolic = fields.texts("systolic_dimensions", ())
    fields.done()
    return [
        ComputeCore(
            name=f"{group}{i}" if count > 1 else group,
            group=group,
            dimensions=tuple(dimensions),
            catalogue=catalogue,
            default_array=default,
            mac_energy_pj=energy,
            memories=tuple(memories),
            systolic_dimensions=systolic,
        )
        for i in range(count)
    ]


def _vector_core(fields: Fields) -> VectorCore:
    kind = fields.text("operation")
    if kind not in _VECTOR_OPS:
        raise OfframpError(f"{fields.where}: expected operation pooling or addition, got {kind!r}")
    units = fields.integers("units")
    if len(units) != 3:
        raise OfframpError(
            f"{fields.where}: expected units [channels, window columns, window rows], got {units}"
        )
    name = fields.text("name")
    core = VectorCore(
        name=name,
        group=name,
        op=_VECTOR_OPS[kind],
        unit_sizes=(units[0], units[1], units[2]),
        operation_energy_pj=fields.number("operation_energy_pj"),
        memory=_memory(fields.table("memory")),
    )
    fields.done()
    return core
