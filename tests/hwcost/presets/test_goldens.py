"""Two layers on every kind of core of every preset, derived by hand from the numbers of its file.

The layers are so small that one mapping is the best for everything: the array is full, no word moves twice.
Latency is a chain: inputs come in, weights come in (DRAM delivers all of them at 64 bit a cycle, each memory on the
way takes what one MAC needs), the last MAC, the skew of a systolic array, the last outputs go out. Where a layer has
two MAC cycles and activations end in DRAM, the outputs of the first one share its port with the weights: what they
need beyond one cycle is added (section 7 of docs/cost-model.md). `dram` says whether activations start and end there.
All tensors have 8 bit, partial sums 16, energies are in pJ.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from hwcost import Layer, Op, Workload, accelerator_names, load_accelerator
from hwcost.mapping.mapper import map_layers
from hwcost.mapping.timing import ENERGY_LEVELS
from hwcost.mapping.vector_cost import vector_costs


@dataclass(frozen=True)
class Golden:
    """What a layer costs on a core's default array; energies in pJ."""

    layer: Layer
    cycles: float
    mac: float
    register: float
    sram: float
    dram: float


def edge_tpu(dram: bool, read: float, write: float) -> tuple[Golden, Golden]:
    """8x8x4x4 (K | C | OX | OY); weight_sram 512 bit, activation_sram 2048 bit."""
    # 8 -> 8 channels on 4x4: one MAC cycle. Weights 64 words = 512 bits, inputs and outputs 128 words = 1024 bits.
    full = Golden(
        Layer("full", Op.CONV, k=8, c=8, ox=4, oy=4),
        # inputs 1024 / 64; weights 512 / 64 and 1 into the registers; the MAC; outputs 1 into SRAM, 1024 / 64
        cycles=(16 if dram else 0) + (8 + 1) + 1 + 1 + (16 if dram else 0),
        mac=8 * 8 * 16 * 0.04,
        # a weight is written into one of 64 registers and read; a sum is written, read, and read to be sent away
        register=64 * (0.01 + 0.01) + 128 * 3 * 0.02,
        # weights 512 of 512 bit in and out; inputs out and outputs in: half a width each; both again from/to DRAM
        sram=(52.01 + 22.9) + (416.16 + 378.4) / 2 + (dram and (378.4 + 416.16) / 2),
        dram=8 * read + (dram and 16 * read + 16 * write),
    )
    # 8 inputs, 16 outputs: two MAC cycles. Weights 128 words = 1024 bits, inputs 64 bits, outputs 2 x 64 bits.
    linear = Golden(
        Layer("linear", Op.LINEAR, k=16, c=8),
        # inputs 1; weights 1024 / 64 and 1 into the registers; the last MAC; the last 8 outputs 1 and 1
        cycles=(1 if dram else 0) + (16 + 1) + 1 + 1 + (1 if dram else 0),
        mac=16 * 8 * 0.04,
        register=128 * (0.01 + 0.01) + 16 * 3 * 0.02,
        # weights: two widths in and out; inputs are read once and stay at the PEs: 64 of 2048 bits
        sram=2 * (52.01 + 22.9)
        + (64 * 416.16 + 128 * 378.4) / 2048
        + (dram and (64 * 378.4 + 128 * 416.16) / 2048),
        dram=16 * read + (dram and 1 * read + 2 * write),
    )
    return full, linear


def paper() -> tuple[Golden, Golden]:
    """`edge_tpu` with DRAM of the core's own (64 bit, one port, 700 / 750) behind both SRAMs; weights come through it
    from the DRAM of all cores (1000). Registers of 32 bit are charged whole for words of 8 or 16."""
    small_full, small_linear = edge_tpu(True, 0, 0)
    full = Golden(
        small_full.layer,
        # inputs 1024 / 64; weights 512 / 64 into the core's DRAM, 512 / 64 out of it, 1 into the registers; the MAC;
        # outputs 1 into SRAM, 1024 / 64
        cycles=16 + (8 + 8 + 1) + 1 + 1 + 16,
        mac=small_full.mac,
        register=small_full.register,
        sram=small_full.sram,
        dram=8 * 1000 + 8 * (750 + 700) + 16 * 700 + 16 * 750,
    )
    linear = Golden(
        small_linear.layer,
        # inputs 1; the first MAC's weights 8, 8 and 1; two MACs; between them the port of the core's DRAM needs 8 and
        # 8 for the second MAC's weights and 1 for the first outputs, 17 - 2 more than the MACs; outputs 1 and 1
        cycles=1 + (8 + 8 + 1) + 2 + (17 - 2) + 1 + 1,
        mac=small_linear.mac,
        # 64 and 8 registers hold both of their words: two weights come in, two outputs go out in one access of 32 bit
        register=64 * 0.01 + 128 * 0.01 + 16 * 2 * 0.02 + 8 * 0.02,
        sram=small_linear.sram,
        dram=16 * 1000 + 16 * (750 + 700) + 1 * 700 + 2 * 750,
    )
    return full, linear


def tpu(dram: bool, read: float, write: float) -> tuple[Golden, Golden]:
    """32x32 (K | C), systolic; weights from DRAM into 1024-bit registers, a sum at every PE."""
    # 32 inputs, 32 outputs: one MAC cycle. Weights 1024 words = 8192 bits, inputs and outputs 256 bits.
    full = Golden(
        Layer("full", Op.LINEAR, k=32, c=32),
        # inputs 4; weights 8192 / 64; the MAC; 31 + 31 of skew; outputs 1 into SRAM, 4
        cycles=(4 if dram else 0) + 128 + 1 + 62 + 1 + (4 if dram else 0),
        mac=1024 * 0.04,
        register=1024 * (0.095 + 0.095) + 1024 * 3 * 0.021,
        # 256 of 2048 bits: inputs out, outputs in; both again from and to DRAM
        sram=(416.16 + 378.4) / 8 + (dram and (378.4 + 416.16) / 8),
        dram=128 * read + (dram and 4 * read + 4 * write),
    )
    # 32 inputs, 64 outputs: two MAC cycles, inputs stay at the PEs
    twice = Golden(
        Layer("twice", Op.LINEAR, k=64, c=32),
        # 32 outputs of the first MAC cycle: 4 cycles of the DRAM port
        cycles=(4 if dram else 0) + 256 + 1 + 62 + 1 + (4 + (4 - 1) if dram else 0),
        mac=2048 * 0.04,
        register=2048 * (0.095 + 0.095) + 2048 * 3 * 0.021,
        sram=(416.16 + 2 * 378.4) / 8 + (dram and (378.4 + 2 * 416.16) / 8),
        dram=256 * read + (dram and 4 * read + 8 * write),
    )
    return full, twice


def meta(dram: bool, read: float, write: float) -> tuple[Golden, Golden]:
    """32x2x4x4 (K | C | OX | OY); weights over weight_sram (1024 bit) and weight_buffer (512 bit), inputs over
    activation_sram (1024 bit) and input_buffer (256 bit)."""
    # 2 -> 32 channels on 4x4: weights 64 words = 512 bits, inputs 32 words = 256 bits, outputs 512 = 4096 bits
    full = Golden(
        Layer("full", Op.CONV, k=32, c=2, ox=4, oy=4),
        # inputs 256 / 64 and 256 / 256; weights 512 / 64, 512 / 512, 1; the MAC; outputs 4096 / 1024, 4096 / 64
        cycles=(4 if dram else 0) + 1 + (8 + 1 + 1) + 1 + 4 + (64 if dram else 0),
        mac=32 * 2 * 16 * 0.04,
        register=64 * (0.01 + 0.01) + 512 * 3 * 0.02,
        # weights: half a width of the SRAM, one of the buffer; inputs a quarter and one; outputs four widths
        sram=(189.2 + 208.08) / 2
        + (30.8 + 26.56)
        + 208.08 / 4
        + (15.4 + 13.28)
        + 4 * 189.2
        + (dram and 189.2 / 4 + 4 * 208.08),
        dram=8 * read + (dram and 4 * read + 64 * write),
    )
    # 2 inputs, 64 outputs: weights 128 words = 1024 bits, inputs 16 bits (charged as 64), outputs 2 x 256 bits
    linear = Golden(
        Layer("linear", Op.LINEAR, k=64, c=2),
        # 32 outputs of the first MAC cycle: 4 cycles of the DRAM port
        cycles=(1 if dram else 0) + 1 + (16 + 1 + 1) + 1 + 1 + (4 + (4 - 1) if dram else 0),
        mac=128 * 0.04,
        register=128 * (0.01 + 0.01) + 64 * 3 * 0.02,
        sram=(189.2 + 208.08)
        + 2 * (30.8 + 26.56)
        + 208.08 * 64 / 1024
        + (15.4 + 13.28) * 64 / 256
        + 2 * 189.2 / 4
        + (dram and 189.2 * 64 / 1024 + 208.08 / 2),
        dram=16 * read + (dram and 1 * read + 8 * write),
    )
    return full, linear


def eyeriss(dram: bool, read: float, write: float) -> tuple[Golden, Golden]:
    """14x12, here K | C; registers of all operands at every PE; weight_sram and psum_sram 128 bit, activation_sram
    384 bit."""
    # 12 inputs, 14 outputs: weights 168 words = 1344 bits = 21 x 64, inputs 96 and outputs 112 bits, charged as 128
    full = Golden(
        Layer("full", Op.LINEAR, k=14, c=12),
        # inputs 96 / 64, 1 into the registers; weights 1344 / 64, 1344 / 128; the MAC; outputs 1, 1, 112 / 64
        cycles=(2 if dram else 0) + 1 + (21 + 11) + 1 + 1 + 1 + (2 if dram else 0),
        mac=168 * 0.5,
        # each input is written into 14 registers; a sum of 16 bits costs the width of 24
        register=2 * 168 * (1.5 + 1.0) + 168 * (2.0 + 2 * 1.5),
        # weights 10.5 widths; inputs out; outputs through psum_sram and in; inputs in and outputs out again
        sram=10.5 * (25 + 20) + 100 / 3 + (15 + 10) + 130 / 3 + (dram and 130 / 3 + 100 / 3),
        dram=21 * read + (dram and 2 * read + 2 * write),
    )
    # 12 inputs, 28 outputs: everything twice but the inputs, which stay in their registers; outputs 224 bits
    twice = Golden(
        Layer("twice", Op.LINEAR, k=28, c=12),
        # 14 outputs of the first MAC cycle: 1.75 cycles of the DRAM port, so 0.75 rounded up
        cycles=(2 if dram else 0) + 1 + (42 + 11) + 1 + 1 + 1 + (2 + 1 if dram else 0),
        mac=336 * 0.5,
        # a register holds both sums of its PE: as outputs of 8 bit they leave in one access of 24
        register=168 * (1.5 + 1.0) + 336 * (1.5 + 1.0) + 336 * (2.0 + 1.5) + 168 * 1.5,
        sram=21 * (25 + 20) + 100 / 3 + 2 * (15 + 10) + 2 * 130 / 3 + (dram and 130 / 3 + 2 * 100 / 3),
        dram=42 * read + (dram and 2 * read + 4 * write),
    )
    return full, twice


def ascend(dram: bool, read: float, write: float) -> tuple[Golden, Golden]:
    """16x16x2x2 (K | C | OX | OY); buffers of 512 (inputs) and 2048 bit (the others) below SRAMs of 4096 bit."""
    # 16 -> 16 channels on 2x2: weights 256 words = 2048 bits, inputs and outputs 64 words = 512 bits
    full = Golden(
        Layer("full", Op.CONV, k=16, c=16, ox=2, oy=2),
        # inputs 512 / 64, 512 / 512; weights 2048 / 64, 1, 1; the MAC; outputs 1, 1, 512 / 64
        cycles=(8 if dram else 0) + 1 + (32 + 1 + 1) + 1 + 1 + 1 + (8 if dram else 0),
        mac=16 * 16 * 4 * 0.04,
        register=256 * (0.01 + 0.01) + 64 * 3 * 0.02,
        # weights half a width of the SRAM, one of the buffer; inputs an eighth and one; outputs a quarter, an eighth
        sram=(825.6 + 465.6) / 2
        + (108 + 50.16)
        + 465.6 / 8
        + (30.72 + 26.56)
        + (212.8 + 123.2) / 4
        + 825.6 / 8
        + (dram and (825.6 + 465.6) / 8),
        dram=32 * read + (dram and 8 * read + 8 * write),
    )
    # 16 inputs, 32 outputs: weights 512 words = 4096 bits, inputs 128 bits, outputs 2 x 128 bits
    linear = Golden(
        Layer("linear", Op.LINEAR, k=32, c=16),
        # 16 outputs of the first MAC cycle: 2 cycles of the DRAM port
        cycles=(2 if dram else 0) + 1 + (64 + 1 + 1) + 1 + 1 + 1 + (2 + (2 - 1) if dram else 0),
        mac=512 * 0.04,
        register=512 * (0.01 + 0.01) + 32 * 3 * 0.02,
        sram=(825.6 + 465.6)
        + 2 * (108 + 50.16)
        + 465.6 / 32
        + (30.72 + 26.56) / 4
        + 2 * (212.8 + 123.2) / 16
        + 2 * 825.6 / 32
        + (dram and 825.6 / 32 + 2 * 465.6 / 32),
        dram=64 * read + (dram and 2 * read + 4 * write),
    )
    return full, linear


def tesla(dram: bool, read: float, write: float) -> tuple[Golden, Golden]:
    """32x8x4 (K | OX | OY); buffers of 256 bit for inputs and weights below SRAMs of 1024 bit; sums of 32 bit."""
    # 1 -> 32 channels on 8x4: weights 32 words and inputs 32 words = 256 bits each, outputs 1024 words = 8192 bits
    full = Golden(
        Layer("full", Op.CONV, k=32, c=1, ox=8, oy=4),
        # inputs 256 / 64, 1; weights 256 / 64, 1, 1; the MAC; outputs 8192 / 1024, 8192 / 64
        cycles=(4 if dram else 0) + 1 + (4 + 1 + 1) + 1 + 8 + (128 if dram else 0),
        mac=1024 * 0.04,
        # a sum of 16 bits costs the width of 32
        register=32 * (0.01 + 0.01) + 1024 * 3 * 0.022,
        # weights a quarter of the SRAM's width, one of the buffer; inputs the same; outputs eight widths
        sram=(189.2 + 208.08) / 4
        + 2 * (5.59 + 4.78)
        + 208.08 / 4
        + 8 * 189.2
        + (dram and 189.2 / 4 + 8 * 208.08),
        dram=4 * read + (dram and 4 * read + 128 * write),
    )
    # 1 input, 64 outputs: weights 64 words = 512 bits, the input 8 bits (charged as 64), outputs 2 x 256 bits
    linear = Golden(
        Layer("linear", Op.LINEAR, k=64, c=1),
        # 32 outputs of the first MAC cycle: 4 cycles of the DRAM port
        cycles=(1 if dram else 0) + 1 + (8 + 1 + 1) + 1 + 1 + (4 + (4 - 1) if dram else 0),
        mac=64 * 0.04,
        # a register of 32 bit holds both sums of its PE: as outputs of 8 bit they leave in one access
        register=64 * (0.01 + 0.01) + 64 * 2 * 0.022 + 32 * 0.022,
        sram=(189.2 + 208.08) / 2
        + 2 * (5.59 + 4.78)
        + 208.08 / 16
        + (5.59 + 4.78) / 4
        + 2 * 189.2 / 4
        + (dram and 189.2 / 16 + 208.08 / 2),
        dram=8 * read + (dram and 1 * read + 8 * write),
    )
    return full, linear


def depthwise(dram: bool, read: float, write: float) -> tuple[Golden, Golden]:
    """64x4x4 (channels | OX | OY); memories of the Edge-TPU-like core; activations on the chip only."""
    assert not dram
    # 64 channels of 3x3 on 4x4: nine MAC cycles, each with 64 other weights. Weights 576 words = 4608 bits = 72 x 64
    # 9 widths, outputs 1024 words = 8192 bits. A PE reads an input for each MAC: 64 x 16 x 9 words = 36 widths.
    window = Golden(
        Layer("window", Op.CONV, g=64, ox=4, oy=4, fx=3, fy=3),
        # weights 72, 1 into the registers; the last MAC; outputs 8192 / 2048
        cycles=(72 + 1) + 1 + 4,
        mac=64 * 16 * 9 * 0.04,
        # sums are written and read nine times, and read to be sent away
        register=576 * (0.01 + 0.01) + 1024 * (9 + 9 + 1) * 0.02,
        sram=9 * (52.01 + 22.9) + 36 * 416.16 + 4 * 378.4,
        dram=72 * read,
    )
    # one value scaled by 64 weights: weights 512 bits, the input 8 bits (charged as 64), outputs 512 bits
    scale = Golden(
        Layer("scale", Op.LINEAR, k=64, c=1),
        cycles=(8 + 1) + 1 + 1,
        mac=64 * 0.04,
        register=64 * (0.01 + 0.01) + 64 * 3 * 0.02,
        sram=(52.01 + 22.9) + 416.16 / 32 + 378.4 / 4,
        dram=8 * read,
    )
    return window, scale


# Preset, core and what is derived for it: where activations live, energy of a DRAM access of 64 bit.
GOLDENS = {
    "edge_tpu_like": {"edge_tpu": edge_tpu(True, 700, 750)},
    "edge_tpu_quad": {"edge_tpu3": edge_tpu(False, 1000, 1000)},
    "edge_tpu_quad_dram": {"edge_tpu3": edge_tpu(True, 1000, 1000)},
    "tpu_like": {"tpu": tpu(True, 700, 750)},
    "tpu_quad": {"tpu3": tpu(False, 1000, 1000)},
    "meta_prototype": {"meta": meta(True, 700, 750)},
    "meta_prototype_quad": {"meta3": meta(False, 1000, 1000)},
    "eyeriss_like": {"eyeriss": eyeriss(True, 1000, 1000)},
    "eyeriss_quad": {"eyeriss3": eyeriss(False, 1000, 1000)},
    "ascend_like": {"ascend": ascend(True, 700, 750)},
    "ascend_quad": {"ascend3": ascend(False, 1000, 1000)},
    "tesla_npu_like": {"tesla": tesla(True, 700, 750)},
    "tesla_npu_quad": {"tesla3": tesla(False, 1000, 1000)},
    "paper_quad": {"edge_tpu3": paper()},
    "heterogeneous_quad": {
        "edge_tpu1": edge_tpu(False, 1000, 1000),
        "tpu": tpu(False, 1000, 1000),
        "depthwise": depthwise(False, 1000, 1000),
    },
}
CASES = [
    (preset, core, golden)
    for preset, cores in GOLDENS.items()
    for core, goldens in cores.items()
    for golden in goldens
]


def test_every_preset_has_a_golden_for_every_kind_of_core() -> None:
    assert set(GOLDENS) == set(accelerator_names())
    for preset, cores in GOLDENS.items():
        described = load_accelerator(preset).compute_cores
        assert {core.group for core in described if core.name in cores} == {core.group for core in described}


@pytest.mark.parametrize(
    ("preset", "name", "golden"), CASES, ids=[f"{preset}-{core}-{g.layer.name}" for preset, core, g in CASES]
)
def test_a_layer_costs_what_its_numbers_say(preset: str, name: str, golden: Golden) -> None:
    core = next(core for core in load_accelerator(preset).compute_cores if core.name == name)
    rows = Workload.from_layers([golden.layer]).cost_rows()
    arrays = np.array([core.default_array.sizes])
    assert map_layers(core, rows, arrays, "latency").latency_cycles[0] == golden.cycles
    energy = dict(zip(ENERGY_LEVELS, map_layers(core, rows, arrays, "energy").energy_pj[0], strict=True))
    wanted = {"mac": golden.mac, "register": golden.register, "sram": golden.sram, "dram": golden.dram}
    assert {level: energy[level] for level in wanted} == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("preset", ["edge_tpu_quad", "heterogeneous_quad"])
@pytest.mark.parametrize(
    ("level", "volts", "mhz", "weights"), [("low", 0.65, 350, 6), ("high", 0.95, 600, 10)]
)
def test_a_layer_at_another_voltage(preset: str, level: str, volts: float, mhz: int, weights: int) -> None:
    accelerator = load_accelerator(preset)
    chip = accelerator.at_level(accelerator.level_index(level))
    assert chip.clock_hz == mhz * 1e6
    core = chip.compute_cores[0]
    nominal = edge_tpu(False, 1000, 1000)[0]
    rows = Workload.from_layers([nominal.layer]).cost_rows()
    arrays = np.array([core.default_array.sizes])
    # 512 bits of weights at 64 bits per 2 ns of DRAM: 5.6 cycles of 350 MHz, 9.6 of 600 MHz; the rest as nominally
    assert map_layers(core, rows, arrays, "latency").latency_cycles[0] == nominal.cycles - 8 + weights
    energy = dict(zip(ENERGY_LEVELS, map_layers(core, rows, arrays, "energy").energy_pj[0], strict=True))
    squared = (volts / 0.8) ** 2
    assert energy["mac"] == pytest.approx(nominal.mac * squared)
    assert energy["register"] == pytest.approx(nominal.register * squared)
    assert energy["sram"] == pytest.approx(nominal.sram * squared)
    assert energy["dram"] == pytest.approx(nominal.dram)


@pytest.mark.parametrize("preset", accelerator_names())
def test_pooling_and_addition(preset: str) -> None:
    pooling, adder = load_accelerator(preset).vector_cores
    maps = Layer("maps", Op.CONV, k=16, c=1, ox=32, oy=32)
    pool = Layer("pool", Op.POOL, g=16, ox=8, oy=8, fx=4, fy=4, stride=4, weight_bits=0)
    add = Layer("add", Op.ADD, g=16, ox=32, oy=32, weight_bits=0, sources=(0, 0))
    rows = Workload.from_layers([maps, pool, add]).cost_rows()
    # the published system states ports that are assumed elsewhere
    pool_write, add_read = (512, 512) if preset == "paper_quad" else (64, 1024)
    # windows of 4x4 on units of 8 channels x 3x3: 2 x 2 x 2 passes for each of 64 positions, and one to write.
    # 16 x 64 x 16 comparisons; as many words of 8 bit are read at 60 pJ a 576 bit, 1024 written at 75 pJ a write.
    cycles, energy = vector_costs(pooling, rows[1:2])
    assert cycles[0] == 8 * 64 + 1
    assert energy[0].sum() == pytest.approx(16384 * 0.1 + 16384 * 8 / 576 * 60 + 1024 * 8 / pool_write * 75)
    # 16384 sums on 64 lanes, or as fast as two operands of 8 bit come at 60 pJ a read; one written at 75 pJ a 512 bit
    cycles, energy = vector_costs(adder, rows[2:])
    assert cycles[0] == max(256, 32768 * 8 / add_read) + 1
    assert energy[0].sum() == pytest.approx(16384 * 0.1 + 32768 * 8 / add_read * 60 + 16384 * 8 / 512 * 75)
