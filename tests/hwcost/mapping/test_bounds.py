"""Bounds that hold for every candidate, and those that leave unrollings untried."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hwcost.chip.core import ComputeCore
from hwcost.mapping.bounds import ScoreBounds
from hwcost.mapping.candidates import all_candidates
from hwcost.mapping.objective import OBJECTIVES, scores
from hwcost.mapping.timing import port_cycles
from hwcost.workload import Layer, Workload
from tests.hwcost.mapping.strategies import array_for, cores, jobs_of, layers

SIZES = st.lists(st.sampled_from([1, 2, 3, 4, 5, 8, 16]), min_size=4, max_size=4)


@settings(max_examples=50, deadline=None, derandomize=True)
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


@settings(max_examples=50, deadline=None, derandomize=True)
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
        for objective, bound in bounds.items():
            first, _ = scores(found.latency_cycles, energy, objective)
            assert (bound.first.min(axis=0)[job] <= first)[usable].all(), objective


def _keys(loop: np.ndarray, unroll: np.ndarray) -> list[tuple[int, ...]]:
    return [tuple(row) for row in np.concatenate([loop, unroll], axis=1).tolist()]


def test_equal_scores_are_told_apart_by_the_second() -> None:
    bounds = object.__new__(ScoreBounds)
    bounds.first, bounds.second = np.array([[4.0, 4.0, 5.0]]), np.array([[1.0, 2.0, 0.0]])
    assert bounds.may_beat(np.full(3, 4.0), np.full(3, 2.0)).tolist() == [True, False, False]
