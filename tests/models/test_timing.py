import dataclasses

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
    times = StepTimes(pretrain_step_seconds=1.0, qat_step_seconds=2.0, evaluation_image_seconds=0.5)
    assert times.pretrain_seconds(PretrainRecipe(epochs=3, batch_size=10), 100) == 30
    recipe = QatRecipe(epochs=0.5, batch_size=10, norm_batches=0)
    assert times.training_seconds(recipe, 100, 8) == 5 * 2 + 8 * 0.5
    assert times.training_seconds(dataclasses.replace(recipe, norm_batches=1), 100, 8) == 5 * 2 + 18 * 0.5
