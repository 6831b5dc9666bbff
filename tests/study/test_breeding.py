from __future__ import annotations

import numpy as np
import pytest

from study.breeding import Breeder, as_rows

COUNTS = np.array([5, 2, 1, 3, 4, 4])


def test_children_take_each_gene_from_a_parent_or_mutate_one_on_average():
    rng = np.random.default_rng(0)
    parents = np.array([[0, 0, 0, 0, 0, 0], [1, 1, 0, 1, 1, 1]])
    children = Breeder(COUNTS).children(parents, np.zeros(2), 4000, rng)
    assert (children >= 0).all()
    assert (children < COUNTS).all()
    foreign = (children[:, [0, 3, 4, 5]] > 1).sum(axis=1)
    # Five genes have a choice, each mutates once in five: to a value of neither parent in part of the cases.
    expected = (3 / 4 + 1 / 2 + 2 / 3 + 2 / 3) / 5
    assert foreign.mean() == pytest.approx(expected, abs=0.05)


def test_without_crossover_a_child_is_a_mutated_copy():
    rng = np.random.default_rng(1)
    parents = np.array([[0] * 6, [1, 1, 0, 1, 1, 1]])
    children = Breeder(COUNTS, crossover_probability=0.0).children(parents, np.zeros(2), 2000, rng)
    changed = np.minimum((children != parents[0]).sum(axis=1), (children != parents[1]).sum(axis=1))
    assert changed.mean() == pytest.approx(1.0, abs=0.1)


def test_mutation_takes_every_other_choice_alike():
    rng = np.random.default_rng(2)
    children = Breeder(np.array([5])).children(np.array([[2]]), np.zeros(1), 4000, rng)
    found = np.bincount(children[:, 0], minlength=5) / 4000
    assert found[2] == 0.0  # the only gene mutates always
    assert found[[0, 1, 3, 4]] == pytest.approx(0.25, abs=0.03)


def test_the_better_of_two_becomes_a_parent():
    rng = np.random.default_rng(3)
    parents = np.arange(10)[:, None].repeat(1, axis=1)
    breeder = Breeder(np.array([10]), crossover_probability=0.0)
    chosen = parents[breeder._tournaments(np.arange(10), 20_000, rng), 0]
    # The best of ten wins whenever it is drawn: 1 - 0.9^2.
    assert (chosen == 0).mean() == pytest.approx(0.19, abs=0.02)
    assert (chosen == 9).mean() == pytest.approx(0.01, abs=0.01)


def test_neighbours_are_all_designs_one_gene_away():
    designs = np.array([[0, 0, 0, 0, 0, 0], [4, 1, 0, 2, 3, 3]])
    found = Breeder(COUNTS).neighbours(designs)
    assert len(found) == 2 * int((COUNTS - 1).sum())
    for design in designs:
        assert len({tuple(row) for row in found if (row != design).sum() == 1}) == (COUNTS - 1).sum()
    assert Breeder(np.array([1, 1])).neighbours(designs[:, :2]).shape == (0, 2)


def test_rows_follow_the_names():
    assert as_rows([{"a": 1, "b": 2}], ["b", "a"]).tolist() == [[2, 1]]
    assert as_rows([], ["b", "a"]).shape == (0, 2)
