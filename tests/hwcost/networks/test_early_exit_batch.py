"""Batches of early-exit networks; that they equal single ones is in `tests/hwcost/test_workload_batch.py`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hwcost.errors import OfframpError
from hwcost.networks import HEAD_KINDS
from tests.hwcost.networks.genomes import SPEC, batch_of, random_genomes


def test_slots_are_mounting_points_used_or_not() -> None:
    genomes = random_genomes(6, seed=0)
    exits = genomes.exits.copy()
    exits[:, 1] = False
    batch = batch_of(replace(genomes, exits=exits))
    assert batch.n_slots == len(SPEC.mounting_points) + 1
    assert np.array_equal(batch.exits[:, :-1], exits)
    # nobody has a head at the second mounting point, so the template has none there
    heads = batch.template.segment[batch.template.head]
    assert 1 not in heads.tolist()


def test_a_design_runs_exactly_its_heads() -> None:
    genomes = random_genomes(8, seed=1)
    batch = batch_of(genomes)
    for design in range(8):
        running = {name for i, name in enumerate(batch.template.names) if batch.active[design, i]}
        for slot, block in enumerate((*SPEC.mounting_points, SPEC.n_blocks - 1)):
            for h, kind in enumerate(HEAD_KINDS):
                prefix = "final" if block == SPEC.n_blocks - 1 else f"exit{block}"
                kinds_there = {n.split(".")[1] for n in batch.template.names if n.startswith(f"{prefix}.")}
                stem = f"{prefix}.{kind}." if kind in kinds_there else None
                if stem is None:
                    continue
                expected = bool(batch.exits[design, slot] and genomes.heads[design, slot] == h)
                assert any(name.startswith(stem) for name in running) == expected


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"exits": np.ones((4, 2), dtype=bool)}, "exits"),
        ({"heads": np.full((4, 4), 99)}, "head kinds"),
        ({"weight_bits": np.full((4, 5), 0)}, "1 to 32 bits in weight_bits"),
        ({"head_activation_bits": np.full(3, 8)}, "shape"),
    ],
)
def test_refuses_genomes_that_do_not_fit(change: dict[str, np.ndarray], word: str) -> None:
    with pytest.raises(OfframpError, match=word):
        batch_of(replace(random_genomes(4, seed=2), **change))
