import pytest

from hwcost.errors import OfframpError
from models.seeds import derive_seed, training_seed


def test_each_part_changes_the_seed_and_nothing_else_does() -> None:
    seeds = {
        training_seed(study, key, rung, replicate)
        for study in (0, 1)
        for key in ("a", "b")
        for rung in (0, 1)
        for replicate in (0, 1)
    }
    assert len(seeds) == 16
    assert training_seed(1, "a", 0, 1) in seeds
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_the_seed_is_pinned() -> None:
    # Stored results are looked up by what was trained: a changed derivation must be noticed.
    assert training_seed(7, "abc", 0, 0) == 6436965242266457300


def test_parts_do_not_run_together() -> None:
    assert derive_seed("ab", "c") != derive_seed("a", "bc")


def test_negative_indices_are_refused() -> None:
    with pytest.raises(OfframpError, match="at least 0"):
        training_seed(0, "a", -1, 0)
