"""Cutting heads off the trunk."""

from __future__ import annotations

from hwcost.placement.graph import cut
from hwcost.workload import Layer, Op, Workload
from tests.hwcost.placement.graphs import residual_with_heads


def test_heads_are_leaves_of_the_tensor_they_read() -> None:
    graph = cut(residual_with_heads())
    assert graph.trunk.layers == (0, 1, 2, 3, 7)
    assert [(head.layers, head.given) for head in graph.heads] == [((4, 5), 3), ((6,), 3), ((8,), 7)]
    # the residual source is needed until the addition; the trunk's own last use leaves heads out
    assert dict(zip(graph.trunk.layers, graph.trunk.last_use, strict=True)) == {0: 3, 1: 2, 2: 3, 3: 7, 7: 7}


def chain(heads: tuple[bool, ...], sources: tuple[int, ...]) -> Workload:
    return Workload.from_layers(
        [
            Layer(f"l{i}", Op.CONV, k=4, c=4, ox=4, oy=4, head=head, sources=(source,))
            for i, (head, source) in enumerate(zip(heads, sources, strict=True))
        ]
    )


def test_a_head_that_the_trunk_reads_is_trunk() -> None:
    graph = cut(chain((False, True, False), (-1, 0, 1)))
    assert graph.trunk.layers == (0, 1, 2)
    assert not graph.heads


def test_a_head_on_the_input_is_given_nothing() -> None:
    graph = cut(chain((False, True), (-1, -1)))
    (head,) = graph.heads
    assert head.given is None


def test_a_head_on_a_head_is_one_head() -> None:
    graph = cut(chain((False, True, True, True), (-1, 0, 1, 1)))
    (head,) = graph.heads
    assert head.layers == (1, 2, 3)
    assert head.given == 0


def test_a_network_of_heads_alone_is_a_trunk() -> None:
    graph = cut(chain((True, True), (-1, 0)))
    assert graph.trunk.layers == (0, 1)
    assert not graph.heads
