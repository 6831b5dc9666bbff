"""A valid accelerator file that uses every key there is, and ways to write a changed one."""

from __future__ import annotations

import tomllib
from typing import Any

EVERY_KEY = """
name = "chip"
activations = "onchip"
pe_budget = 40
nominal = "typical"

[dram]
clock = "own"
bits_per_cycle = 64
read_pj = 700.0
write_pj = 750.0
shared_port = true
granule_bits = 64

[link]
bits_per_cycle = 32
pj_per_bit = 0.5

[[link_between]]
cores = ["array0", "pool"]
bits_per_cycle = 128
pj_per_bit = 0.25

[[level]]
name = "slow"
volts = 0.5
clock_hz = 250_000_000.0

[[level]]
name = "typical"
volts = 1.0
clock_hz = 500_000_000.0

[[compute_core]]
name = "array"
count = 2
mac_energy_pj = 0.5
mac_energy_scaling = "bit_product"
compute_model = "ideal"
idle_pes = true
default_array = "4x4"
catalogue = ["2x4", "4x4", "8x4"]
systolic_dimensions = ["D1"]
leakage_w = 0.25
leakage_w_per_pe = 0.125
area_mm2 = 2.0
area_mm2_per_pe = 0.5

[[compute_core.dimension]]
name = "D1"
loops = ["K", "G"]

[[compute_core.dimension]]
name = "D2"
loops = ["C"]

[[compute_core.memory]]
name = "weight_register"
level = "register"
operands = ["W"]
size_bits = 8
read_bits_per_cycle = 8
write_bits_per_cycle = 8
read_pj = 0.5
write_pj = 0.25
per_dimensions = ["D1", "D2"]
granule_bits = 8
shared_port = false
double_buffering = "never"

[[compute_core.memory]]
name = "activation_sram"
level = "sram"
operands = ["I", "O"]
size_bits = 1024
read_bits_per_cycle = 128
write_bits_per_cycle = 128
read_pj = 8.0
write_pj = 4.0
per_dimensions = []
granule_bits = 64
shared_port = false
double_buffering = "always"

[[vector_core]]
name = "pool"
operation = "pooling"
units = [8, 3, 3]
operation_energy_pj = 0.125
leakage_w = 0.0625
area_mm2 = 0.25

[vector_core.memory]
name = "pool_sram"
level = "sram"
operands = ["I", "O"]
size_bits = 1024
read_bits_per_cycle = 64
write_bits_per_cycle = 64
read_pj = 4.0
write_pj = 4.0
granule_bits = 64
per_dimensions = []
shared_port = false
double_buffering = "auto"
"""

# Keys a file may leave out; what then holds is what the value there says, or none of the kind.
OPTIONAL = {
    "link_between",
    "vector_core",
    "mac_energy_scaling",
    "compute_model",
    "idle_pes",
    "catalogue",
    "systolic_dimensions",
    "leakage_w",
    "leakage_w_per_pe",
    "area_mm2",
    "area_mm2_per_pe",
    "per_dimensions",
    "double_buffering",
}

Path = tuple[str | int, ...]


def values() -> dict[str, Any]:
    """The file as nested tables."""
    return tomllib.loads(EVERY_KEY)


def leaves(table: Any, path: Path = ()) -> list[tuple[Path, Any]]:
    """Every key with its value, those that hold tables too."""
    if isinstance(table, dict):
        found = [((*path, key), value) for key, value in table.items()]
        return found + [leaf for key, value in table.items() for leaf in leaves(value, (*path, key))]
    if isinstance(table, list) and table and isinstance(table[0], dict):
        return [leaf for i, entry in enumerate(table) for leaf in leaves(entry, (*path, i))]
    return []


def parent(table: Any, path: Path) -> Any:
    """The table that has the last key of a path."""
    for key in path[:-1]:
        table = table[key]
    return table


def written(table: dict[str, Any]) -> str:
    """TOML of nested tables: inline where a table is inside another, so that any nesting can be written."""
    return "".join(f"{key} = {_inline(value)}\n" for key, value in table.items())


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_inline(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_inline(entry) for entry in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else repr(value)
