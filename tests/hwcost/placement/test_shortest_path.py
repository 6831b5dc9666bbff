"""The shortest path against trying every assignment."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from hwcost.placement.shortest_path import shortest_path
from hwcost.workload import Layer, Op, Workload


def chain_with_residual_and_head() -> Workload:
    # 0 -> 1 -> 2 (+ 0) = 3; head 4 -> 5 hangs on 3; the trunk goes on with 6
    layers = [
        Layer("l0", Op.CONV, k=4, c=4, ox=4, oy=4),
        Layer("l1", Op.CONV, k=4, c=4, ox=4, oy=4, sources=(0,)),
        Layer("l2", Op.CONV, k=4, c=4, ox=4, oy=4, sources=(1,)),
        Layer("l3", Op.ADD, g=4, ox=4, oy=4, weight_bits=0, sources=(2, 0)),
        Layer("l4", Op.POOL, g=4, fx=4, fy=4, stride=4, weight_bits=0, head=True, sources=(3,)),
        Layer("l5", Op.LINEAR, k=2, c=4, head=True, sources=(4,)),
        Layer("l6", Op.CONV, k=4, c=4, ox=4, oy=4, segment=1, sources=(3,)),
    ]
    return Workload.from_layers(layers)


@pytest.mark.parametrize("seed", range(5))
def test_equals_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    workload = chain_with_residual_and_head()
    n_options = [3, 3, 3, 1, 1, 3, 3]
    n_designs = 4
    layers = [rng.random((n_designs, n)) for n in n_options]
    moves = []
    for i in range(workload.n_layers):
        sources = [int(s) for s in workload.sources[i] if s > -2]
        sizes = [(n_options[s] if s >= 0 else 1, n_options[i]) for s in sources]
        moves.append([rng.random((n_designs, *size)) for size in sizes])

    def total(design: int, choice: tuple[int, ...]) -> float:
        value = 0.0
        for i in range(workload.n_layers):
            value += layers[i][design, choice[i]]
            for s, move in zip([int(s) for s in workload.sources[i] if s > -2], moves[i], strict=True):
                value += move[design, choice[s] if s >= 0 else 0, choice[i]]
        return value

    found = shortest_path(workload, layers, moves)
    for design in range(n_designs):
        every = itertools.product(*(range(n) for n in n_options))
        best = min(total(design, choice) for choice in every)
        assert total(design, tuple(found[design])) == pytest.approx(best, rel=1e-12)
