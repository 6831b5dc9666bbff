"""The search by look-up against every candidate spelled out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwcost import load_accelerator
from hwcost.chip.core import ComputeCore
from hwcost.errors import OfframpError
from hwcost.mapping.batches import batches
from hwcost.mapping.candidates import Candidates, all_candidates, spell_out_nests
from hwcost.mapping.loops import Loop
from hwcost.mapping.mapper import CoreCosts, map_layers, spell_out
from hwcost.mapping.objective import OBJECTIVES, scores
from hwcost.mapping.search import BatchSearch
from hwcost.mapping.tiling import CAPACITY_USES
from hwcost.mapping.timing import dram_cycles, operand_energy_pj
from hwcost.workload import Layer, Op, Workload
from tests.hwcost.mapping.strategies import array_for, cores, jobs_of, layers


def check_all_candidates(core: ComputeCore, rows: np.ndarray, arrays: np.ndarray) -> None:
    """Latency equal, energy but for rounding, and no tiling left out or counted twice."""
    jobs, form = jobs_of(core, rows, arrays)
    for batch in batches(jobs.spatial.temporal, form.stream):
        part = jobs.take(batch.job)
        found = {c.use: c for c in BatchSearch(core, batch.family, batch.levels, part).costs()}
        candidate, job = batch.existing()
        nests = batch.family.nests(batch.levels, candidate, job)
        earlier: list[Candidates] = []
        for use in range(len(CAPACITY_USES)):
            spelled = spell_out_nests(core, part, nests, use)
            fresh = np.ones(len(job), dtype=bool)
            for other in earlier:
                fresh &= spelled.tiling.differs(other.tiling)
            earlier.append(spelled)
            assert fresh.any() == (use in found)
            if use not in found:
                continue
            order = np.argsort(found[use].cell)
            expected = np.flatnonzero(fresh)
            expected = expected[np.argsort((candidate * part.n + job)[expected])]
            assert (found[use].cell[order] == (candidate * part.n + job)[expected]).all()
            assert (found[use].latency_cycles[order] == spelled.latency_cycles[expected]).all()
            energy = spelled.energy_pj.sum(axis=1)[expected]
            assert found[use].energy_pj[order] == pytest.approx(energy, rel=1e-9)


SOME_LAYERS = st.lists(layers(), min_size=1, max_size=4)
SIZES = st.lists(st.sampled_from([1, 2, 3, 4, 5, 8, 16]), min_size=4, max_size=4)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(core=cores(), some=SOME_LAYERS, sizes=SIZES)
def test_every_candidate_costs_what_it_costs_spelled_out(
    core: ComputeCore, some: list[Layer], sizes: list[int]
) -> None:
    rows = np.concatenate([Workload.from_layers([layer]).cost_rows() for layer in some])
    check_all_candidates(core, rows, np.repeat(array_for(core, sizes), len(rows), axis=0))


@pytest.mark.slow
@settings(max_examples=500, deadline=None, derandomize=True)
@given(core=cores(), some=SOME_LAYERS, sizes=SIZES)
def test_every_one_of_many_candidates_costs_what_it_costs_spelled_out(
    core: ComputeCore, some: list[Layer], sizes: list[int]
) -> None:
    rows = np.concatenate([Workload.from_layers([layer]).cost_rows() for layer in some])
    check_all_candidates(core, rows, np.repeat(array_for(core, sizes), len(rows), axis=0))


def test_a_loop_spread_over_more_pes_than_it_has_iterations_takes_no_more_room() -> None:
    """OY = 8 on 3 x 3 PEs: inputs and outputs, 4 images of 8 groups of 8 x 8, fill a memory to the last bit."""
    core = load_accelerator("tesla_npu_like").compute_cores[0]
    core = replace(core, dimensions=tuple(replace(d, loops=(Loop.OY,)) for d in core.dimensions))
    layer = Layer(
        "layer", Op.CONV, b=4, g=8, ox=8, oy=8, fx=5, fy=5, weight_bits=8, input_bits=5, output_bits=3
    )
    (m,) = (m for m, memory in enumerate(core.memories) if memory.name == "activation_sram")
    full = 4 * 8 * 8 * 8 * (5 + 3)
    for size in (full, full - 1):
        memories = (*core.memories[:m], replace(core.memories[m], size_bits=size), *core.memories[m + 1 :])
        one = replace(core, memories=memories)
        check_all_candidates(one, Workload.from_layers([layer]).cost_rows(), np.array([[3, 3, 3]]))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(core=cores(), some=SOME_LAYERS, sizes=SIZES, objective=st.sampled_from(OBJECTIVES))
def test_the_best_of_all_candidates_is_found(
    core: ComputeCore, some: list[Layer], sizes: list[int], objective: str
) -> None:
    rows = np.concatenate([Workload.from_layers([layer]).cost_rows() for layer in some])
    arrays = np.repeat(array_for(core, sizes), len(rows), axis=0)
    jobs, form = jobs_of(core, rows, arrays)
    best = np.full((len(rows), 2), np.inf)
    for found in all_candidates(core, jobs, form.stream):
        energy = found.energy_pj.sum(axis=1)
        layer = found.jobs.spatial.layer[found.nests.job]
        for one, *values in zip(layer, *scores(found.latency_cycles, energy, objective), strict=True):
            first, second = values
            if first < best[one, 0] * (1 - 1e-9):
                best[one] = values
            elif first <= best[one, 0] * (1 + 1e-9):
                best[one, 1] = min(best[one, 1], second)
    if np.isinf(best[:, 0]).any():
        with pytest.raises(OfframpError, match="fits no memory"):
            map_layers(core, rows, arrays, objective)
        return
    costs = map_layers(core, rows, arrays, objective)
    first, second = scores(costs.latency_cycles, costs.energy_pj.sum(axis=1), objective)
    assert first == pytest.approx(best[:, 0], rel=1e-9)
    assert second == pytest.approx(best[:, 1], rel=1e-6)
    check_breakdown(core, costs)


def check_breakdown(core: ComputeCore, costs: CoreCosts) -> None:
    """What is reported of the chosen candidates against the same spelled out."""
    for index, found in spell_out(core, costs.winners):
        n = len(index)
        assert (found.latency_cycles == costs.latency_cycles[index]).all()
        assert costs.energy_pj[index] == pytest.approx(found.energy_pj, rel=1e-9)
        by_operand = operand_energy_pj(core, found.traffic)
        assert costs.operand_energy_pj[index] == pytest.approx(by_operand, rel=1e-9)
        assert costs.energy_pj[index, 1:].sum(axis=1) == pytest.approx(by_operand.sum(axis=1), rel=1e-9)
        assert costs.dram_cycles[index] == pytest.approx(dram_cycles(core, found.traffic, n), rel=1e-9)
        assert (costs.dram_cycles[index] <= costs.latency_cycles[index] * (1 + 1e-9)).all()
