import dataclasses
import hashlib
import json

import pydantic
import pytest

from hwcost.errors import OfframpError
from models.recipe import PretrainRecipe, QatRecipe


@pytest.mark.parametrize("recipe", [PretrainRecipe(), QatRecipe()])
def test_every_field_is_in_the_key(recipe: PretrainRecipe | QatRecipe) -> None:
    keys = {recipe.key()}
    for field in dataclasses.fields(recipe):
        value = getattr(recipe, field.name)
        other = "bfloat16" if isinstance(value, str) else value * 2 if value >= 1 else value * 0.5 + 0.001
        other = 0.5 if field.name in ("start_size", "exit_gradient") else other  # shares of 1
        keys.add(dataclasses.replace(recipe, **{field.name: other}).key())
    assert len(keys) == len(dataclasses.fields(recipe)) + 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", -1),
        ("batch_size", 1),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("momentum", 1.0),
        ("warmup", -0.1),
        ("distillation_weight", 1.5),
        ("distillation_temperature", 0.0),
        ("gradient_clip", 0.0),
        ("threads", 0),
        ("exit_weight", -1.0),
    ],
)
def test_bad_numbers_are_refused_by_name(field: str, value: float) -> None:
    for kind in (PretrainRecipe, QatRecipe):
        with pytest.raises(OfframpError, match=field):
            kind(**{field: value})  # type: ignore[arg-type]


def test_caches_from_before_a_field_was_there_are_found_again() -> None:
    later = {"precision", "final_learning_rate", "start_size", "full_size_from", "cutmix", "exit_gradient"}
    for recipe in (PretrainRecipe(), QatRecipe()):
        fields = {name: value for name, value in dataclasses.asdict(recipe).items() if name not in later}
        assert recipe.key() == hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def test_an_unknown_precision_and_a_schedule_that_climbs_are_refused() -> None:
    with pytest.raises(OfframpError, match="precision float32 or bfloat16, got 'float16'"):
        QatRecipe(precision="float16")  # type: ignore[arg-type]
    with pytest.raises(OfframpError, match="final_learning_rate"):
        PretrainRecipe(final_learning_rate=1.5)
    with pytest.raises(OfframpError, match=r"start_size in \[0.25, 1\], got 0.1"):
        PretrainRecipe(start_size=0.1)
    with pytest.raises(OfframpError, match=r"exit_gradient in \[0, 1\], got 1.5"):
        PretrainRecipe(exit_gradient=1.5)


def test_steps_round_to_whole_batches_and_never_to_none() -> None:
    recipe = QatRecipe(epochs=1.5, batch_size=100)
    assert recipe.steps(1000) == 15
    assert recipe.training_samples(1000) == 1500
    assert QatRecipe(epochs=0.001, batch_size=100).steps(1000) == 1


def test_a_batch_is_never_larger_than_the_split() -> None:
    # 0.1 epochs of 40 images round to one step, which can only see the 40 there are
    assert QatRecipe(epochs=0.1, batch_size=100).training_samples(40) == 40


def test_small_splits_are_passed_over_as_often_as_was_asked_for() -> None:
    recipe = QatRecipe(epochs=3, batch_size=100)
    assert (recipe.steps(40), recipe.training_samples(40)) == (3, 120)
    assert PretrainRecipe(epochs=3, batch_size=100).steps(40) == 3
    assert PretrainRecipe(epochs=3, batch_size=100).steps(250) == 6  # whole batches


def test_pydantic_embeds_them_and_refuses_unknown_keys() -> None:
    adapter = pydantic.TypeAdapter(QatRecipe)
    assert adapter.validate_python({"epochs": 3}).epochs == 3
    with pytest.raises(pydantic.ValidationError, match="colour"):
        adapter.validate_python({"colour": 1})
