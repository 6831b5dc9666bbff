"""What each part of the recipes brings: variants and the comparison; the trainings are those of tests/models."""

from __future__ import annotations

import pytest

from benchmarks.recipe import WHOLE, compare, picked, pretrain_variants, qat_variants
from hwcost.errors import OfframpError
from study.config import StudyConfig


def test_every_variant_differs_from_the_whole_recipe_in_one_thing() -> None:
    variants = pretrain_variants(StudyConfig(), 10, mirror_safe=False)
    whole = variants[WHOLE]
    for name, variant in variants.items():
        of_recipe = [f for f in vars(whole.recipe) if getattr(variant.recipe, f) != getattr(whole.recipe, f)]
        of_images = [
            f for f in vars(whole.augment) if getattr(variant.augment, f) != getattr(whole.augment, f)
        ]
        changed = len(of_recipe) + len(of_images) + (not variant.early_exits)
        assert changed == (0 if name == WHOLE else 1), name


def test_changes_are_against_the_same_seed() -> None:
    found = {WHOLE: [[0.5, 0.7], [0.6, 0.8]], "better": [[0.5, 0.75], [0.8, 0.82]]}
    rows = compare("a title", dict.fromkeys(found), [3, 4], lambda name, seed: found[name][seed - 3])
    assert rows[0]["final_exit"]["change_range"] == [0.0, 0.0]
    assert rows[1]["final_exit"]["change_range"] == pytest.approx([0.02, 0.05])
    assert rows[1]["mean_over_exits"]["change_median"] == pytest.approx((0.025 + 0.11) / 2)


def test_without_early_exits_the_final_one_alone_is_compared(capsys: pytest.CaptureFixture[str]) -> None:
    found = {WHOLE: [0.5, 0.7], "no early exits": [0.73]}
    rows = compare("a title", dict.fromkeys(found), [0], lambda name, seed: found[name])
    assert rows[1]["final_exit"]["change_median"] == pytest.approx(0.03)
    assert "mean_over_exits" not in rows[1]
    last = capsys.readouterr().out.splitlines()[-1].split()
    assert last[:4] == ["no", "early", "exits", "-"]


def test_some_variants_are_compared_with_the_whole_recipe() -> None:
    config = StudyConfig()
    variants, recipes = pretrain_variants(config, 10, mirror_safe=False), qat_variants(config.qat)
    some, of_qat = picked(variants, recipes, ["no early exits", "bfloat16"])
    assert list(some) == [WHOLE, "no early exits"]
    assert list(of_qat) == [WHOLE, "bfloat16"]
    assert picked(variants, recipes, None) == (variants, recipes)
    with pytest.raises(OfframpError, match="expected --only out of whole recipe; no label smoothing"):
        picked(variants, recipes, ["no such part"])
