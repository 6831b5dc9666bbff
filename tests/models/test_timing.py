import dataclasses

import pytest
from torch import Tensor

from hwcost.errors import OfframpError
from models.backbones.open import open_backbone
from models.pretraining import Pretraining
from models.recipe import PretrainRecipe, QatRecipe
from models.timing import MOST_TIMED, StepTimes, estimate_step_seconds
from tests.models.small import HEADS, SPEC


def _pretrain(batch_size: int) -> PretrainRecipe:
    return PretrainRecipe(batch_size=batch_size, threads=1)


def test_times_are_measured_and_grow_with_the_batch() -> None:
    small = estimate_step_seconds(SPEC, HEADS, 10, 16, _pretrain(8), QatRecipe(batch_size=8))
    large = estimate_step_seconds(SPEC, HEADS, 10, 16, _pretrain(256), QatRecipe(batch_size=256))
    assert 0 < small.pretrain_step_seconds < large.pretrain_step_seconds
    assert 0 < small.qat_step_seconds < large.qat_step_seconds
    assert large.evaluation_image_seconds * 256 < large.qat_step_seconds


def test_a_batch_that_would_not_fit_is_not_run_to_know_its_time() -> None:
    size = 1000 * MOST_TIMED
    timed = estimate_step_seconds(
        SPEC, HEADS, 10, 16, _pretrain(MOST_TIMED), QatRecipe(batch_size=MOST_TIMED)
    )
    scaled = estimate_step_seconds(SPEC, HEADS, 10, 16, _pretrain(size), QatRecipe(batch_size=size))
    # Both are measured, on a machine that may not be quiet.
    for name in ("pretrain_step_seconds", "qat_step_seconds"):
        assert 100 < getattr(scaled, name) / getattr(timed, name) < 10_000


def test_totals_count_steps_and_images() -> None:
    times = StepTimes(1.0, 2.0, 0.5, image_size=32)  # of a step of either training, of an image
    assert times.pretrain_seconds(PretrainRecipe(epochs=3, batch_size=10), 100) == 30
    recipe = QatRecipe(epochs=0.5, batch_size=10, norm_batches=0)
    assert times.training_seconds(recipe, 100, 8) == 5 * 2 + 8 * 0.5
    assert times.training_seconds(dataclasses.replace(recipe, norm_batches=1), 100, 8) == 5 * 2 + 18 * 0.5


def test_steps_on_small_images_count_by_their_area() -> None:
    times = StepTimes(1.0, 2.0, 0.5, image_size=32)
    recipe = PretrainRecipe(epochs=10, batch_size=10, start_size=0.5, full_size_from=0.6)
    # 16 pixels in steps 0 to 30, then a rise by 16 in 30 steps, to multiples of 4: 18 is passed in step 34, and so on
    steps = {16: 34, 20: 8, 24: 7, 28: 8, 32: 43}
    expected = sum(n * (side / 32) ** 2 for side, n in steps.items())
    assert times.pretrain_seconds(recipe, 100) == pytest.approx(expected)
    always_half = dataclasses.replace(recipe, full_size_from=1.0, epochs=1)
    assert times.pretrain_seconds(always_half, 10) == pytest.approx(0.25)


def test_splits_smaller_than_a_batch_take_less_time_a_step() -> None:
    times = StepTimes(1.0, 2.0, 0.5, image_size=32)
    assert times.pretrain_seconds(PretrainRecipe(epochs=3, batch_size=100), 50) == pytest.approx(1.5)
    recipe = QatRecipe(epochs=3, batch_size=100, norm_batches=2)
    assert times.training_seconds(recipe, 50, 8) == pytest.approx(3 * 2.0 / 2 + (8 + 2 * 50) * 0.5)


def test_a_timed_step_is_one_on_whole_images(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = set()
    compute = Pretraining._compute

    def noted(self: Pretraining, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        seen.add(images.shape[-1])
        return compute(self, images, labels)

    monkeypatch.setattr(Pretraining, "_compute", noted)
    recipe = dataclasses.replace(_pretrain(8), start_size=0.5, full_size_from=1.0)
    estimate_step_seconds(SPEC, HEADS, 10, 16, recipe, QatRecipe(batch_size=8))
    assert seen == {16}


def test_small_images_that_a_backbone_cannot_take_are_refused_where_the_split_is_known() -> None:
    halved = open_backbone("tests.models.backbones.user_backbone:halved", 1.0, 1, 32)
    recipe = dataclasses.replace(_pretrain(8), start_size=0.5)
    with pytest.raises(OfframpError, match=r"start_size"):
        estimate_step_seconds(halved, ("gap",), 10, 32, recipe, QatRecipe(batch_size=8), n_train=80)
