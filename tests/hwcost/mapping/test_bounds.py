"""Bounds that hold for every candidate, and those that leave unrollings untried."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwcost import load_accelerator
from hwcost.chip.core import ComputeCore
from hwcost.mapping.batches import batches
from hwcost.mapping.bounds import ScoreBounds, fitting
from hwcost.mapping.candidates import all_candidates, spell_out_nests
from hwcost.mapping.loops import Loop, Operand, loop_sizes
from hwcost.mapping.objective import OBJECTIVES, scores
from hwcost.mapping.search import BatchSearch
from hwcost.mapping.timing import port_cycles
from hwcost.networks import early_exit_workload, load_backbone, uniform_precision
from hwcost.workload import COST_COLUMNS, Layer, Workload
from tests.hwcost.mapping.strategies import PRESETS, array_for, cores, jobs_of, layers

SIZES = st.lists(st.sampled_from([1, 2, 3, 4, 5, 8, 16]), min_size=4, max_size=4)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(core=cores(), layer=layers(), sizes=SIZES)
def test_no_candidate_is_faster_than_its_ports_and_pes(
    core: ComputeCore, layer: Layer, sizes: list[int]
) -> None:
    rows = Workload.from_layers([layer]).cost_rows()
    arrays = array_for(core, sizes)
    jobs, form = jobs_of(core, rows, arrays)
    macs = layer.b * layer.g * layer.k * layer.c * layer.ox * layer.oy * layer.fx * layer.fy
    for found in all_candidates(core, jobs, form.stream):
        usable = np.isfinite(found.latency_cycles)
        latency = found.latency_cycles[usable]
        assert (latency >= macs / arrays.prod() * (1 - 1e-9)).all()
        assert (latency >= found.nest.cycles[-1][usable]).all()
        for port, busy in port_cycles(core, found.traffic).items():
            # rounding of averages: a relative error in the last digits
            assert (latency >= busy[usable] * (1 - 1e-9)).all(), port


def check_reported_costs(core: ComputeCore, rows: np.ndarray, arrays: np.ndarray) -> int:
    """What the search reports of every candidate against PEs and ports; returns how many fit.

    Busy times of ports are those of the candidate spelled out.
    """
    jobs, form = jobs_of(core, rows, arrays)
    macs = loop_sizes(rows).prod(axis=1)
    n_usable = 0
    for batch in batches(jobs.spatial.temporal, form.stream):
        part = jobs.take(batch.job)
        layer = part.spatial.layer
        for found in BatchSearch(core, batch.family, batch.levels, part).costs():
            usable = np.isfinite(found.latency_cycles)
            latency = found.latency_cycles[usable]
            candidate, job = np.divmod(found.cell[usable], part.n)
            n_usable += len(job)
            assert (latency >= np.ceil(macs / arrays.prod(axis=1))[layer[job]]).all()
            assert (latency >= part.spatial.temporal.prod(axis=1)[job]).all()
            assert (latency >= weight_cycles(core, rows)[layer[job]]).all()
            nests = batch.family.nests(batch.levels, candidate, job)
            spelled = spell_out_nests(core, part, nests, found.use)
            for port, busy in port_cycles(core, spelled.traffic).items():
                assert (latency >= busy * (1 - 1e-9)).all(), port
    return n_usable


def weight_cycles(core: ComputeCore, rows: np.ndarray) -> np.ndarray:
    """Cycles the home of the weights needs to read each of them once: (n,)."""
    sizes = loop_sizes(rows)
    weights = sizes[:, [Loop.G, Loop.K, Loop.C, Loop.FX, Loop.FY]].prod(axis=1)
    width = core.memories[core.chain(Operand.W)[-1]].read_bits_per_cycle
    return weights * rows[:, COST_COLUMNS.index("weight_bits")] / width * (1 - 1e-9)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(core=cores(), some=st.lists(layers(), min_size=1, max_size=3), sizes=SIZES)
def test_nothing_is_reported_faster_than_its_ports_and_pes(
    core: ComputeCore, some: list[Layer], sizes: list[int]
) -> None:
    rows = np.concatenate([Workload.from_layers([layer]).cost_rows() for layer in some])
    check_reported_costs(core, rows, np.repeat(array_for(core, sizes), len(rows), axis=0))


@pytest.mark.parametrize("preset", PRESETS)
def test_nothing_is_reported_of_real_layers_faster_than_ports_and_pes(preset: str) -> None:
    core = load_accelerator(preset).compute_cores[0]
    network = early_exit_workload(
        load_backbone("paper"), (0, 4), ("fc_hidden", "gap", "fc"), uniform_precision(12), 32, 10
    )
    rows = np.unique(network.cost_rows()[network.has_weights], axis=0)
    arrays = np.tile(core.default_array.sizes, (len(rows), 1))
    assert check_reported_costs(core, rows, arrays) >= len(rows)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(core=cores(), layer=layers(), sizes=SIZES)
def test_no_candidate_is_below_the_bound_of_its_unrolling(
    core: ComputeCore, layer: Layer, sizes: list[int]
) -> None:
    rows = Workload.from_layers([layer]).cost_rows()
    jobs, form = jobs_of(core, rows, array_for(core, sizes))
    bounds = {objective: ScoreBounds(core, jobs, objective) for objective in OBJECTIVES}
    number = {job: i for i, job in enumerate(_keys(jobs.spatial.loop, jobs.spatial.unroll))}
    for found in all_candidates(core, jobs, form.stream):
        spatial = found.jobs.spatial
        job = np.array([number[key] for key in _keys(spatial.loop, spatial.unroll)])[found.nests.job]
        energy = found.energy_pj.sum(axis=1)
        usable = np.isfinite(energy)
        assert fitting(core, found.jobs)[found.nests.job[usable]].all()
        for objective, bound in bounds.items():
            first, _ = scores(found.latency_cycles, energy, objective)
            assert (bound.first.min(axis=0)[job] <= first)[usable].all(), objective


def _keys(loop: np.ndarray, unroll: np.ndarray) -> list[tuple[int, ...]]:
    return [tuple(row) for row in np.concatenate([loop, unroll], axis=1).tolist()]


def test_equal_scores_are_told_apart_by_the_second() -> None:
    bounds = object.__new__(ScoreBounds)
    bounds.first, bounds.second = np.array([[4.0, 4.0, 5.0]]), np.array([[1.0, 2.0, 0.0]])
    assert bounds.may_beat(np.full(3, 4.0), np.full(3, 2.0)).tolist() == [True, False, False]
