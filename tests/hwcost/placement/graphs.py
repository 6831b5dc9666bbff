"""Small graphs with random costs."""

from __future__ import annotations

import numpy as np

from hwcost.placement.problem import EvenMove, Move, PlacementProblem
from hwcost.workload import Layer, Op, Workload


def residual_with_heads() -> Workload:
    """0 -> 1 -> 2 (+ 0) = 3; heads 4 -> 5 and 6 hang on 3; the trunk goes on with 7; head 8 on it."""
    conv = {"k": 4, "c": 4, "ox": 4, "oy": 4}
    layers = [
        Layer("l0", Op.CONV, **conv),
        Layer("l1", Op.CONV, **conv, sources=(0,)),
        Layer("l2", Op.CONV, **conv, sources=(1,)),
        Layer("l3", Op.ADD, g=4, ox=4, oy=4, weight_bits=0, sources=(2, 0)),
        Layer("l4", Op.POOL, g=4, fx=4, fy=4, stride=4, weight_bits=0, head=True, sources=(3,)),
        Layer("l5", Op.LINEAR, k=2, c=4, head=True, sources=(4,)),
        Layer("l6", Op.LINEAR, k=2, c=64, head=True, sources=(3,)),
        Layer("l7", Op.CONV, **conv, segment=1, sources=(3,)),
        Layer("l8", Op.LINEAR, k=2, c=64, head=True, segment=1, sources=(7,)),
    ]
    return Workload.from_layers(layers)


def random_problem(
    workload: Workload, n_options: list[int], n_designs: int, seed: int, whole: bool = False
) -> PlacementProblem:
    """Random costs; heads 4-5, 6 and 8 of `residual_with_heads` run in some designs. `whole`: few, whole cycles."""
    rng = np.random.default_rng(seed)

    def latency(*shape: int) -> np.ndarray:
        return rng.integers(0, 4, shape).astype(float) if whole else rng.random(shape)

    moves = []
    for i in range(workload.n_layers):
        own: list[Move | EvenMove] = []
        for source in (int(s) for s in workload.sources[i] if s > -2):
            shape = (n_options[source] if source >= 0 else 1, n_options[i])
            first = 1 if rng.random() < 0.3 else n_designs
            if rng.random() < 0.5:
                stays = shape[0] == shape[1] and rng.random() < 0.7
                own.append(EvenMove(source, latency(first), rng.random(first), *shape, stays))
                continue
            own.append(Move(source, latency(first, *shape), rng.random((first, *shape))))
        moves.append(tuple(own))
    active = np.ones((n_designs, workload.n_layers), dtype=bool)
    active[:, 4:6] = rng.random((n_designs, 1)) < 0.5
    active[:, 6] = ~active[:, 4] & (rng.random(n_designs) < 0.5)
    active[:, 8] = rng.random(n_designs) < 0.7
    return PlacementProblem(
        workload,
        tuple(latency(n_designs, n) for n in n_options),
        tuple(rng.random((n_designs, n)) for n in n_options),
        tuple(moves),
        active,
    )
