from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwcost.errors import OfframpError
from models.architecture import HEAD_KINDS, Architecture
from study.genome import Genome, outward, start_designs
from tests.study.spaces import designs, small_space, spaces


@given(designs())
@settings(max_examples=200, deadline=None)
def test_round_trip(design):
    space, genes = design
    genome = space.decode(genes)
    again = space.encode(genome)
    assert again.keys() == space.genes().keys()
    assert all(0 <= again[name] < count for name, count in space.genes().items())
    assert space.decode(again) == genome
    assert space.decode(again).key() == genome.key()


@given(designs())
@settings(max_examples=200, deadline=None)
def test_canonical_form_is_its_own_canonical_form(design):
    space, genes = design
    genome = space.decode(genes)
    assert space.canonical(genome) == genome
    assert space.allocations.pes(genome.allocation) <= space.allocations.budget


@given(designs(), st.data())
@settings(max_examples=200, deadline=None)
def test_one_other_gene_is_one_other_design_exactly_where_it_matters(design, data):
    """Two genomes have one key exactly when everything that is trained, costed or decided is the same."""
    space, genes = design
    name = data.draw(st.sampled_from(sorted(space.genes())))
    changed = {**genes, name: data.draw(st.integers(0, space.genes()[name] - 1))}
    one, two = space.decode(genes), space.decode(changed)

    def phenotype(genome):
        a = genome.architecture
        early = a.heads[:-1]
        inner = any(head != "fc" for head in early)  # `fc` alone quantizes no activation of its own
        return (
            a.exits, a.heads, a.weight_bits, a.activation_bits,
            a.head_weight_bits if early else None,
            a.head_activation_bits if inner else None,
            tuple(tuple(sorted(genome.allocation[c] for c in group)) for group in space.allocations.groups),
            genome.policy_target if early else None,
            genome.level,
        )  # fmt: skip

    assert (one.key() == two.key()) == (phenotype(one) == phenotype(two))


def test_what_cannot_matter_does_not_change_the_key():
    space = small_space()
    static = {name: 0 for name in space.genes()}
    key = space.decode(static).key()
    for name in ("head_weight_bits", "head_activation_bits", "policy_target"):
        assert space.decode({**static, name: 1}).key() == key
    # The same genes matter once there is an exit with an activation of its own.
    with_exit = {**static, "exit_after_b1": 3}
    assert space.config.exit_heads[2] == "gap"
    keys = {space.decode({**with_exit, name: 1}).key() for name in ("head_weight_bits", "policy_target")}
    assert space.decode(with_exit).key() not in keys
    assert len(keys) == 2
    # Cores 0 and 2 are equal: swapping their arrays is no other design; core 1 is another kind.
    swapped = [{**static, "pe_array_core0": a, "pe_array_core2": b} for a, b in ((0, 3), (3, 0))]
    assert len({space.decode(genes).key() for genes in swapped}) == 1
    assert space.decode({**static, "pe_array_core1": 2}).key() != space.decode(swapped[0]).key()


@given(spaces(), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_every_gene_is_in_every_random_design(space, seed):
    genes = space.random(np.random.default_rng(seed))
    assert genes.keys() == space.genes().keys() == space.distributions().keys() == legend_of(space).keys()
    assert all(type(value) is int for value in genes.values())
    space.decode(genes)
    for name, meanings in legend_of(space).items():
        assert len(meanings) == space.genes()[name]


def test_number_of_exits_of_random_designs_is_uniform():
    space, rng = small_space(), np.random.default_rng(0)
    counts = np.bincount(
        [len(space.decode(space.random(rng)).architecture.exits) for _ in range(4000)], minlength=4
    )
    # Binomial(4000, 1/4) has a standard deviation of 27; coin flips per point would give 500 of each extreme.
    assert abs(counts - 1000).max() < 5 * 27


def legend_of(space):
    levels = [f"level {index}" for index in space.levels.offered]
    return space.legend([[f"{n} PEs" for n in counts] for counts in space.allocations.n_pes], levels)


@given(spaces())
@settings(max_examples=60, deadline=None)
def test_start_designs_are_of_their_space(space):
    for variants in start_designs(space):
        genomes = [space.decode(genes) for genes in variants]
        assert genomes[0].level == space.levels.default
        levels = list(dict.fromkeys(genome.level for genome in genomes))
        assert sorted(levels) == sorted(space.levels.offered)
        for level in levels:
            bits = [genome.architecture.weight_bits[0] for genome in genomes if genome.level == level]
            assert bits == sorted(set(bits), reverse=True)
    first = space.decode(next(iter(start_designs(space)))[0]).architecture
    assert first.is_static
    assert set(first.weight_bits) == {space.config.weight_bits[-1]}


def test_few_bits_for_weights_starve_no_activation_or_head():
    """Their steps are not those of the weights: one choice of weights is no lowest step."""
    for offered, expected in (((8,), {8: (8, 8)}), ((3, 8), {3: (4, 3), 8: (8, 8)})):
        space = small_space(weight_bits=offered, activation_bits=(2, 4, 8))
        for variants in start_designs(space):
            for genes in variants:
                found = space.decode(genes).architecture
                (bits,) = set(found.weight_bits)
                assert set(found.activation_bits) == {expected[bits][0]}
                if not found.is_static:
                    assert found.head_weight_bits == expected[bits][1]


def test_where_exits_can_be_left_out_start_designs_have_all_of_them_and_fall_back_on_fewer():
    space = small_space()
    plain = [[space.decode(g).architecture for g in variants] for variants in start_designs(space)]
    whole = [[space.decode(g).architecture for g in v] for v in start_designs(space, every_exit=True)]
    assert len(plain) == len(whole)
    for number, (before, now) in enumerate(zip(plain, whole, strict=True)):
        if number in (0, 1, 3):  # static, the paper's, the cheapest
            assert now == before
            continue
        assert [a.exits for a in now[::2]] == [space.mounting_points] * len(before)
        assert now[1::2] == before


def test_start_designs_of_a_full_space_are_what_they_say():
    space = small_space()
    designs = [space.decode(variants[0]).architecture for variants in start_designs(space)]
    static, paper, middle, cheapest, *others = designs
    assert static == Architecture.static(5)
    assert (paper.exits, set(paper.heads), set(paper.weight_bits)) == ((0,), {"fc"}, {8})
    assert (cheapest.exits, set(cheapest.heads)) == ((1,), {"gap"})
    assert (set(cheapest.weight_bits), set(cheapest.activation_bits)) == ({2}, {4})
    assert set(middle.weight_bits) == {4}
    assert [set(other.weight_bits) for other in others] == [{2}, {8}]
    assert all((other.exits, other.heads) == (middle.exits, middle.heads) for other in others)


def test_bit_widths_are_tried_from_the_middle_outwards():
    assert [outward(count) for count in (1, 2, 3, 5)] == [[0], [1, 0], [1, 0, 2], [2, 1, 3, 0, 4]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight_bits_b2": 3}, r"gene weight_bits_b2 in 0..2, got 3"),
        ({"weight_bits_b2": -1}, r"gene weight_bits_b2 in 0..2, got -1"),
        ({"policy_target": None}, r"gene policy_target in 0..4, got None"),
    ],
)
def test_genes_of_another_space_are_refused_by_name(change, message):
    space = small_space()
    genes = {name: 0 for name in space.genes()} | change
    with pytest.raises(OfframpError, match=message):
        space.decode(genes)
    del genes[next(iter(change))]
    with pytest.raises(OfframpError, match="got None"):
        space.decode(genes)


def test_genomes_of_another_space_are_refused():
    space = small_space(head_bits=(2, 4))
    architecture = Architecture((1,), ("gap", "fc"), (8,) * 5, (8,) * 5, 4, 4)
    genome = Genome(architecture, (1, 1, 1), 0.01, 0)
    assert space.decode(space.encode(genome)) == genome
    for wrong in (
        replace(genome, architecture=replace(architecture, weight_bits=(3,) * 5)),
        replace(genome, architecture=replace(architecture, exits=(2,))),
        replace(genome, architecture=replace(architecture, head_weight_bits=8)),
        replace(genome, architecture=replace(architecture, weight_bits=(8,) * 6, activation_bits=(8,) * 6)),
        replace(genome, architecture=replace(architecture, weight_bits=(8,) * 4, activation_bits=(8,) * 4)),
        replace(genome, policy_target=0.5),
        replace(genome, allocation=(3, 2, 3)),  # over the budget
        replace(genome, allocation=(1, 3, 1)),  # the second core has three arrays only
        replace(genome, allocation=(1, 1)),
    ):
        with pytest.raises(OfframpError):
            space.encode(wrong)


def test_size_counts_every_choice():
    space = small_space()
    kinds = len(HEAD_KINDS)
    # 3 points with any head or none, a final head, 3^5 weight and 2^5 activation bits, 5 x 5 head bits, 5 targets.
    strings = (kinds + 1) ** 3 * kinds * 3**5 * 2**5 * 25 * 5 * len(space.allocations.all())
    assert 10 ** space.log10_size() == pytest.approx(strings, rel=1e-9)
