"""The graph of a placement problem, cut into a trunk and the heads that hang on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwcost.errors import OfframpError
from hwcost.workload import BoolArray, Workload


@dataclass(frozen=True)
class Part:
    """Layers that are decided together.

    Attributes:
        layers: Their indices, in execution order.
        given: The layer outside whose option they depend on; None where there is none.
        sources: Per layer the layers it reads; -1 is the network's input.
        last_use: Per layer the last one of the part that reads it; itself where none does.
    """

    layers: tuple[int, ...]
    given: int | None
    sources: tuple[tuple[int, ...], ...]
    last_use: tuple[int, ...]


@dataclass(frozen=True)
class Graph:
    """A trunk and heads.

    A head is a leaf: connected head layers that read one tensor of the trunk (or the network's input) and that
    the trunk does not read. Its best cost depends on the option of that tensor alone, so it is added to the
    tensor's own cost and the trunk is decided without it. Head layers in any other position belong to the trunk.
    """

    trunk: Part
    heads: tuple[Part, ...]


def cut(workload: Workload, active: BoolArray | None = None) -> Graph:
    """Cuts a workload's layers into trunk and heads.

    Args:
        workload: The graph.
        active: Which layers each design runs: (n_designs, n_layers); checked, not stored.

    Raises:
        OfframpError: A design leaves out a layer of the trunk, or part of a head.
    """
    sources = [tuple(int(s) for s in pair if s > -2) for pair in workload.sources]
    members = _head_components(workload, sources)
    heads = []
    for layers in members:
        outside = {s for i in layers for s in sources[i] if s not in layers}
        read = any(s in layers for i in range(workload.n_layers) if i not in layers for s in sources[i])
        if len(outside) == 1 and not read:
            source = outside.pop()
            heads.append(_part(sorted(layers), None if source < 0 else source, sources))
    # a head on a head is part of it, so what heads are given is in the trunk
    leaf = {i for head in heads for i in head.layers}
    if len(leaf) == workload.n_layers:
        heads, leaf = [], set()  # nothing to hang them on
    trunk = _part([i for i in range(workload.n_layers) if i not in leaf], None, sources)
    if active is not None:
        if not active[:, list(trunk.layers)].all():
            raise OfframpError(
                "expected every design to run all layers of the trunk; only heads may be left out"
            )
        for head in heads:
            own = active[:, list(head.layers)]
            if (own != own[:, :1]).any():
                name = workload.names[head.layers[0]]
                raise OfframpError(f"expected all or no layers of the head of {name!r} to be active")
    return Graph(trunk, tuple(heads))


def _head_components(workload: Workload, sources: list[tuple[int, ...]]) -> list[set[int]]:
    """Head layers connected through each other."""
    of: dict[int, set[int]] = {}
    for i in np.flatnonzero(workload.head).tolist():
        joined = {i}
        for source in sources[i]:
            joined |= of.get(source, set())
        for member in joined:
            of[member] = joined
    return list({id(component): component for component in of.values()}.values())


def _part(layers: list[int], given: int | None, sources: list[tuple[int, ...]]) -> Part:
    last = {i: i for i in layers}
    for i in layers:
        for source in sources[i]:
            if source in last:
                last[source] = i
    return Part(tuple(layers), given, tuple(sources[i] for i in layers), tuple(last[i] for i in layers))
