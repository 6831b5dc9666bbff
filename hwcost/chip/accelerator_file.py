"""Reading accelerators from TOML: presets by name, own files by path."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from hwcost.chip.accelerator import Accelerator
from hwcost.chip.core import ComputeCore
from hwcost.chip.core_file import read_compute_cores, read_vector_core
from hwcost.chip.link import Link, LinkBetween
from hwcost.chip.memory import Memory
from hwcost.chip.voltage import DRAM_CLOCKS, VoltageLevel
from hwcost.errors import OfframpError
from hwcost.mapping.loops import Operand
from hwcost.strict_toml import Fields, read_toml

ACTIVATION_HOMES = ("onchip", "dram")


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
    # Which clock DRAM has makes no difference with one level, and must be said where there are several.
    dram_clock = _one_of(dram_fields, "clock", DRAM_CLOCKS, None if fields.has("level") else "core")
    dram = _dram(dram_fields)
    link_fields = fields.table("link")
    link = _link(link_fields)
    link_fields.done()
    home = _one_of(fields, "activations", ACTIVATION_HOMES)
    compute: list[ComputeCore] = []
    for table in fields.tables("compute_core"):
        compute.extend(read_compute_cores(table, dram, home))
    vector = tuple(read_vector_core(table) for table in fields.tables("vector_core", required=False))
    between = tuple(_link_between(table) for table in fields.tables("link_between", required=False))
    levels, nominal = _levels(fields)
    with fields.named():
        accelerator = Accelerator(
            name=fields.text("name"),
            compute_cores=tuple(compute),
            vector_cores=vector,
            dram=dram,
            link=link,
            pe_budget=fields.integer("pe_budget"),
            levels=levels,
            nominal_level=nominal,
            level=nominal,
            links_between=between,
            dram_clock=dram_clock,
        )
    fields.done()
    return accelerator


def _one_of(fields: Fields, key: str, choices: tuple[str, ...], default: str | None = None) -> str:
    value = fields.text(key, default)
    if value not in choices:
        raise OfframpError(f"{fields.where}: expected {' or '.join(choices)} for {key!r}, got {value!r}")
    return value


def _dram(fields: Fields) -> Memory:
    width = fields.integer("bits_per_cycle")
    with fields.named():
        memory = Memory(
            name="dram",
            level="dram",
            shared=True,
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


def _link(fields: Fields) -> Link:
    return Link(fields.integer("bits_per_cycle"), fields.number("pj_per_bit"))


def _link_between(fields: Fields) -> LinkBetween:
    cores = fields.texts("cores")
    if len(cores) != 2:
        raise OfframpError(f"{fields.where}: expected the names of two cores for 'cores', got {list(cores)}")
    with fields.named():
        between = LinkBetween((cores[0], cores[1]), _link(fields))
    fields.done()
    return between


def _levels(fields: Fields) -> tuple[tuple[VoltageLevel, ...], int]:
    """The levels and the index of the nominal one: the only one, at `clock_hz`, where none are listed."""
    if not fields.has("level"):
        with fields.named():
            return (VoltageLevel("nominal", 1.0, fields.number("clock_hz")),), 0
    if fields.has("clock_hz"):
        raise OfframpError(
            f"{fields.where}: 'clock_hz' is that of the nominal level; remove it or the levels"
        )
    levels = tuple(_level(table) for table in fields.tables("level"))
    names = [level.name for level in levels]
    nominal = fields.text("nominal")
    if nominal not in names:
        raise OfframpError(
            f"{fields.where}: expected a level of {', '.join(names)} for 'nominal', got {nominal!r}"
        )
    return levels, names.index(nominal)


def _level(fields: Fields) -> VoltageLevel:
    with fields.named():
        level = VoltageLevel(fields.text("name"), fields.number("volts"), fields.number("clock_hz"))
    fields.done()
    return level
