"""Random layers and cores for the tests of the mapper."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from hwcost import load_accelerator
from hwcost.chip.core import COMPUTE_MODELS, ComputeCore
from hwcost.mapping.jobs import Jobs
from hwcost.mapping.loops import Loop, Operand, loop_sizes
from hwcost.mapping.spatial import enumerate_spatial
from hwcost.mapping.systolic import ComputeForm
from hwcost.workload import Layer, Op

PRESETS = (
    "edge_tpu_quad",
    "edge_tpu_quad_dram",
    "tpu_like",
    "eyeriss_like",
    "tesla_npu_like",
    "ascend_like",
    "meta_prototype",
)
CHANNELS = st.sampled_from([1, 3, 8, 10, 12, 24, 32, 36, 96, 144])


@st.composite
def layers(draw: st.DrawFn) -> Layer:
    depthwise = draw(st.booleans())
    side = draw(st.sampled_from([1, 2, 4, 7, 8, 12, 16, 32]))
    window = draw(st.sampled_from([1, 3, 5])) if side > 1 else 1
    bits = st.integers(2, 8)
    return Layer(
        "layer",
        Op.CONV,
        b=draw(st.sampled_from([1, 1, 1, 4])),
        k=1 if depthwise else draw(CHANNELS),
        c=1 if depthwise else draw(CHANNELS),
        g=draw(CHANNELS) if depthwise else draw(st.sampled_from([1, 1, 2])),
        ox=side,
        oy=side,
        fx=window,
        fy=window,
        stride=draw(st.sampled_from([1, 2])),
        weight_bits=draw(bits),
        input_bits=draw(bits),
        output_bits=draw(bits),
    )


@st.composite
def cores(draw: st.DrawFn) -> ComputeCore:
    """Presets with memories of other sizes and with prescribed double buffering; homes keep their size."""
    core = load_accelerator(draw(st.sampled_from(PRESETS))).compute_cores[0]
    homes = {core.chain(operand)[-1] for operand in Operand}
    memories = []
    for i, memory in enumerate(core.memories):
        if i not in homes:
            grow = draw(st.sampled_from([1, 1, 4])) if memory.level == "register" else 1
            shrink = 1 if memory.level == "register" else draw(st.sampled_from([1, 1, 16, 512]))
            buffering = draw(st.sampled_from(["auto", "auto", "auto", "never", "always"]))
            memory = replace(
                memory,
                size_bits=max(memory.size_bits * grow // shrink, 8),
                double_buffering=buffering,
            )
        memories.append(memory)
    core = replace(core, memories=tuple(memories))
    spread = draw(st.sampled_from(["described", "described", "free", "idle"]))
    if spread == "free":
        anything = tuple(loop for loop in Loop if loop != Loop.B)
        core = replace(
            core,
            dimensions=tuple(replace(d, loops=anything) for d in core.dimensions[:2]) + core.dimensions[2:],
        )
    if len(core.dimensions) == 2:
        core = replace(core, compute_model=draw(st.sampled_from([*COMPUTE_MODELS, "ideal", "ideal"])))
    return replace(core, idle_pes=spread == "idle")


def jobs_of(core: ComputeCore, rows: np.ndarray, arrays: np.ndarray) -> tuple[Jobs, ComputeForm]:
    form = ComputeForm.of(core, rows, arrays)
    return Jobs.of(
        core, form, enumerate_spatial(loop_sizes(form.rows), arrays, form.dimensions, core.idle_pes)
    ), form


def array_for(core: ComputeCore, sizes: list[int]) -> np.ndarray:
    """Sizes (1, n_dims) for a core; few PEs where every number of them is tried, or every loop."""
    few = core.idle_pes or any(len(dimension.loops) > 4 for dimension in core.dimensions)
    return np.array([[min(size, 3) if few else size for size in sizes[: len(core.dimensions)]]])
