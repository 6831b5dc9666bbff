"""Descriptions that are well-formed but that no chip can have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hwcost import load_accelerator
from hwcost.errors import OfframpError
from tests.hwcost.chip import chip_text


def refusal(folder: Path, table: dict[str, Any]) -> str:
    path = folder / "chip.toml"
    path.write_text(chip_text.written(table))
    with pytest.raises(OfframpError) as caught:
        load_accelerator(path)
    message = str(caught.value)
    assert "\n" not in message
    return message


def core(table: dict[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = table["compute_core"][0]
    return described


def sram(**changes: object) -> dict[str, Any]:
    """An SRAM for weights."""
    activation: dict[str, Any] = chip_text.values()["compute_core"][0]["memory"][1]
    return {**activation, "name": "weight_sram", "operands": ["W"], **changes}


def test_a_register_behind_an_sram(tmp_path: Path) -> None:
    table = chip_text.values()
    core(table)["memory"].insert(0, sram(size_bits=8, per_dimensions=["D1", "D2"]))
    message = refusal(tmp_path, table)
    assert "'weight_register'" in message
    assert "behind sram 'weight_sram' for operand W" in message


def test_a_memory_smaller_than_the_one_below(tmp_path: Path) -> None:
    table = chip_text.values()
    core(table)["memory"].insert(1, sram(size_bits=7))
    assert "'weight_sram' of core 'array' has a smaller size_bits than 'weight_register'" in refusal(
        tmp_path, table
    )


def test_more_instances_outwards(tmp_path: Path) -> None:
    table = chip_text.values()
    core(table)["memory"][0]["per_dimensions"] = []
    core(table)["memory"].insert(1, sram(per_dimensions=["D2"]))
    assert "'weight_sram' of core 'array' has more instances" in refusal(tmp_path, table)


def test_activations_on_chip_with_nowhere_to_stay(tmp_path: Path) -> None:
    table = chip_text.values()
    core(table)["memory"][1]["per_dimensions"] = ["D1"]
    assert "outermost memory is sram 'activation_sram'" in refusal(tmp_path, table)
    table["activations"] = "dram"
    (tmp_path / "chip.toml").write_text(chip_text.written(table))
    load_accelerator(tmp_path / "chip.toml")  # DRAM is behind it


def test_inputs_and_outputs_that_stay_in_two_memories(tmp_path: Path) -> None:
    table = chip_text.values()
    memories = core(table)["memory"]
    memories[1]["operands"] = ["I"]
    memories.append({**memories[1], "name": "output_sram", "operands": ["O"]})
    assert "got 'activation_sram' and 'output_sram'" in refusal(tmp_path, table)


def test_an_operand_without_a_memory(tmp_path: Path) -> None:
    table = chip_text.values()
    core(table)["memory"][1]["operands"] = ["I"]
    assert "no memory for operand O" in refusal(tmp_path, table)


def test_a_core_may_have_dram_of_its_own(tmp_path: Path) -> None:
    table = chip_text.values()
    core(table)["memory"][1]["level"] = "dram"
    (tmp_path / "chip.toml").write_text(chip_text.written(table))
    found = load_accelerator(tmp_path / "chip.toml")
    memories = found.compute_cores[0].memories
    assert [memory.shared for memory in memories if memory.level == "dram"] == [False, True]
    assert found.dram.shared


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"catalogue": ["4x4", "4x4"]}, "distinct arrays in 'catalogue'"),
        ({"catalogue": ["2x4"]}, "default array '4x4' of core 'array' in its catalogue"),
        ({"catalogue": ["4x4", "4x4x4"]}, "expected 2 sizes in array '4x4x4'"),
        ({"systolic_dimensions": ["D1", "D1"]}, "distinct systolic_dimensions"),
        ({"systolic_dimensions": ["D3"]}, "'D3'"),
        ({"compute_model": "systolic_ws"}, "remove systolic_dimensions"),
        (
            {"compute_model": "systolic_os", "systolic_dimensions": []},
            "expected OX among the loops of the first dimension",
        ),
        ({"compute_model": "systolic"}, "compute model of ideal, systolic_ws"),
        ({"mac_energy_scaling": "linear"}, "MAC energy scaling of constant, bit_product"),
    ],
)
def test_a_core_that_cannot_be(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    table = chip_text.values()
    core(table).update(change)
    assert words in refusal(tmp_path, table)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "activation_sram"}, "distinct memory names in core 'array'"),
        ({"per_dimensions": ["D1", "D1"]}, "distinct per_dimensions in memory 'weight_register'"),
        ({"operands": ["W", "W"]}, "distinct operands"),
        ({"operands": []}, "distinct operands"),
        ({"double_buffering": "sometimes"}, "double buffering of auto, always, never"),
        ({"shared_port": True, "write_bits_per_cycle": 16}, "one width for the shared port"),
        ({"size_bits": "8 bit"}, "expected an integer of at least 1 in bits for 'size_bits', got '8 bit'"),
        ({"size_bits": 8.0}, "expected an integer of at least 1 in bits for 'size_bits', got 8.0"),
    ],
)
def test_a_memory_that_cannot_be(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    table = chip_text.values()
    core(table)["memory"][0].update(change)
    assert words in refusal(tmp_path, table)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"cores": ["array0", "array9"]},
            "cores of array0, array1, pool in accelerator 'chip', got 'array9'",
        ),
        ({"cores": ["array", "pool"]}, "got 'array'"),
        ({"cores": ["pool", "pool"]}, "between two cores, got 'pool' twice"),
        ({"cores": ["pool"]}, "names of two cores"),
        ({"bits_per_cycle": 0}, "'bits_per_cycle'"),
    ],
)
def test_a_link_that_cannot_be(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    table = chip_text.values()
    table["link_between"][0].update(change)
    assert words in refusal(tmp_path, table)


def test_two_links_between_the_same_cores(tmp_path: Path) -> None:
    table = chip_text.values()
    table["link_between"].append({**table["link_between"][0], "cores": ["pool", "array0"]})
    assert "one link_between 'pool' and 'array0'" in refusal(tmp_path, table)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "typical"}, "levels with distinct names"),
        ({"volts": 800.0}, "in millivolts?"),
        ({"clock_hz": 500.0}, "in MHz?"),
    ],
)
def test_a_level_that_cannot_be(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    table = chip_text.values()
    table["level"][0].update(change)
    assert words in refusal(tmp_path, table)


def test_one_clock_is_said_once(tmp_path: Path) -> None:
    table = chip_text.values()
    assert "'clock_hz' is that of the nominal level" in refusal(tmp_path, {**table, "clock_hz": 5e8})
    assert "level of slow, typical for 'nominal', got 'fast'" in refusal(
        tmp_path, {**table, "nominal": "fast"}
    )
    assert "core or own for 'clock'" in refusal(
        tmp_path, {**table, "dram": {**table["dram"], "clock": "slow"}}
    )
    del table["level"]
    assert "unknown key 'nominal'" in refusal(tmp_path, {**table, "clock_hz": 5e8})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"units": [8, 3]}, "[channels, window columns, window rows], got [8, 3]"),
        ({"units": [8, 3, 0]}, "'units'"),
        ({"operation": "softmax"}, "pooling or addition"),
        ({"name": "array0"}, "distinct core names"),
    ],
)
def test_a_vector_core_that_cannot_be(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    table = chip_text.values()
    table["link_between"] = [{**table["link_between"][0], "cores": ["array0", "array1"]}]
    table["vector_core"][0].update(change)
    assert words in refusal(tmp_path, table)


def test_a_vector_core_needs_both_operands(tmp_path: Path) -> None:
    table = chip_text.values()
    table["vector_core"][0]["memory"]["operands"] = ["I"]
    assert "operands I and O in a vector core" in refusal(tmp_path, table)
