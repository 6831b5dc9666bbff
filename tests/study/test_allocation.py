from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwcost.errors import OfframpError
from study.allocation import AllocationSpace
from tests.study.spaces import allocation_spaces


def brute_force(space: AllocationSpace) -> set[tuple[int, ...]]:
    """Every index vector within the budget, equal cores in ascending order of index."""
    legal = set()
    for row in product(*(range(len(counts)) for counts in space.n_pes)):
        if sum(counts[i] for counts, i in zip(space.n_pes, row, strict=True)) > space.budget:
            continue
        if all(row[a] <= row[b] for group in space.groups for a, b in pairwise(group)):
            legal.add(row)
    return legal


def canonical_default(space: AllocationSpace) -> set[tuple[int, ...]]:
    return {space.default}


@given(allocation_spaces())
@settings(max_examples=150, deadline=None)
def test_all_is_every_legal_allocation_once(space):
    rows = [tuple(row) for row in space.all().tolist()]
    assert len(rows) == len(set(rows))
    assert set(rows) == (brute_force(space) if space.searched else canonical_default(space))


@given(allocation_spaces(), st.data())
@settings(max_examples=150, deadline=None)
def test_whatever_the_genes_say_the_budget_is_met(space, data):
    genes = [data.draw(st.integers(0, len(counts) - 1)) for counts in space.n_pes]
    allocation = space.decode(genes)
    assert space.pes(allocation) <= space.budget
    assert allocation in (brute_force(space) if space.searched else canonical_default(space))
    # Nobody gets a larger array than was asked for.
    if space.searched:
        assert space.pes(allocation) <= space.pes(genes)
        if space.pes(genes) <= space.budget:
            assert space.pes(allocation) == space.pes(genes)


@given(allocation_spaces(max_cores=3))
@settings(max_examples=60, deadline=None)
def test_every_legal_allocation_has_genes(space):
    wanted = brute_force(space) if space.searched else canonical_default(space)
    choices = [range(n) for n in space.n_choices]
    assert {space.decode(genes) for genes in product(*choices)} == wanted
    for allocation in wanted:
        assert space.decode(space.encode(allocation)) == allocation


def test_the_largest_core_shrinks_first_and_only_as_far_as_needed():
    space = AllocationSpace(((64, 128, 256, 512),) * 2, (0, 0), ((0,), (1,)), budget=400)
    assert space.decode((3, 1)) == (2, 1)
    assert space.decode((1, 1)) == (1, 1)
    # 512 + 512: the first steps to 256, then the second (now the larger) to 256, then the first to 128.
    assert space.decode((3, 3)) == (1, 2)
    # Two shapes of one size: neither is the larger, the first core steps down.
    shapes = AllocationSpace(((64, 128, 128),) * 2, (0, 0), ((0,), (1,)), budget=200)
    assert shapes.decode((1, 2)) == (0, 2)
    # The first core has nothing below 512: the second steps down though it is the smaller one.
    mixed = AllocationSpace(((512,), (64, 128, 256)), (0, 0), ((0,), (1,)), budget=640)
    assert mixed.decode((0, 2)) == (0, 1)


def test_equal_cores_are_sorted_and_others_left_alone():
    space = AllocationSpace(((64, 128, 256),) * 3, (0, 0, 0), ((0, 2), (1,)), budget=1000)
    assert space.canonical((2, 1, 0)) == (0, 1, 2)
    assert space.all().dtype == np.int64


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_pes": ((64, 128), (128, 64))}, "sorted by MAC units"),
        ({"n_pes": ((64, 128), ())}, "sorted by MAC units"),
        ({"n_pes": ((64, 128),)}, "a catalogue for each of 2 cores"),
        ({"n_pes": ((64, 128), (64, 256))}, "one catalogue for the equal cores"),
        ({"groups": ((0,),)}, "every one of 2 cores in one group"),
        ({"groups": ((0, 1), (1,))}, "every one of 2 cores in one group"),
        ({"budget": 127}, "PE budget of at least 128"),
        ({"default": (1, 1), "budget": 200}, "PE budget of at least 256"),
    ],
)
def test_a_space_that_cannot_be_is_refused(change, message):
    values = {"n_pes": ((64, 128), (64, 128)), "default": (0, 0), "groups": ((0, 1),), "budget": 256}
    with pytest.raises(OfframpError, match=message) as caught:
        AllocationSpace(**{**values, **change})
    assert "\n" not in str(caught.value)
