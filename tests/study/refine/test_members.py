"""Which networks keep most of a front: against every choice of as many."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.architecture import Architecture
from study.front import headline_front
from study.genome import Genome
from study.record import DesignRecord
from study.refine.members import of_best_networks
from tests.reference import pareto_oracle


def record(network: int, accuracy: float, edp: float) -> DesignRecord:
    bits = (2, 3, 4, 6, 8)[network]
    genome = Genome(Architecture((), ("fc",), (bits,), (bits,)), (0,), 0.0, 0)
    base = DesignRecord(
        genome=genome, source="proposed", feasible=True, violations={}, accuracy=accuracy,
        mean_latency_cycles=1.0, mean_energy_pj=edp, mean_edp_pj_cycles=edp, worst_latency_cycles=1.0,
        weight_memory_bits=1, clock_hz=1.0, area_mm2=None,
    )  # fmt: skip
    return replace(base, exit_ratios=(1.0,), longest=True)


drawn = st.lists(
    st.tuples(st.integers(0, 4), st.integers(50, 99), st.integers(1, 40)), min_size=1, max_size=14
).map(lambda rows: [record(n, a / 100, float(e)) for n, a, e in rows])


def covered(points: list[tuple[float, float]]) -> float:
    """Area below (1.1, 1.1) by a sweep over the staircase."""
    area, right = 0.0, 1.1
    for x, y in sorted(pareto_oracle.front(points), reverse=True):
        area += (right - x) * (1.1 - y)
        right = x
    return area


@given(drawn, st.integers(1, 4))
@settings(max_examples=100, deadline=None)
def test_each_network_that_is_taken_adds_most(records: list[DesignRecord], most: int) -> None:
    front = headline_front(records)
    errors, products = (
        [1 - records[i].accuracy for i in front],
        [records[i].mean_edp_pj_cycles for i in front],
    )
    spans = [max(values) - min(values) or 1.0 for values in (errors, products)]
    points = {
        i: ((e - min(errors)) / spans[0], (p - min(products)) / spans[1])
        for i, e, p in zip(front, errors, products, strict=True)
    }
    network = {i: records[i].genome.architecture.weight_bits[0] for i in front}

    def volume(chosen: tuple[int, ...]) -> float:
        return covered([points[i] for i in front if network[i] in chosen])

    found = of_best_networks(records, front, most)
    taken = {network[i] for i in found}
    assert found == [i for i in front if network[i] in taken]  # every member of a network that is taken
    assert len(taken) == min(most, len(set(network.values())))
    best = max(volume(pair) for pair in combinations(set(network.values()), len(taken)))
    # Greedy choice is optimal for one, and within 1 - 1/e of the best choice for more (Nemhauser et al. 1978).
    assert volume(tuple(taken)) >= best * (1 - 1e-9 if most == 1 else 1 - 1 / 2.718281828)


def test_two_networks_with_half_the_front_each_keep_it_all() -> None:
    records = [record(0, 0.9, 9.0), record(1, 0.8, 5.0), record(0, 0.78, 3.1), record(2, 0.69, 2.9)]
    front = headline_front(records)
    assert of_best_networks(records, front, 1) == [0, 2]
    assert of_best_networks(records, front, 2) == [0, 1, 2]
    assert of_best_networks(records, front, 9) == front


@pytest.mark.parametrize(("members", "networks"), [("1", 1), ("12", 12), ("all", 0), ("1234", 0)])
def test_a_short_number_is_a_number_of_networks(members: str, networks: int) -> None:
    from study.refine.opening import Request

    request = Request(SimpleNamespace(), SimpleNamespace(), 3, members)  # type: ignore[arg-type]
    assert request.most_networks == networks
    assert request.named_members == (("1234",) if members == "1234" else ())
