import dataclasses

from models.architecture import Architecture
from models.seeds import derive_seed
from models.static_reference import StaticReference, train_static_reference
from models.train import train_architecture
from tests.models.small import HEADS, QAT, SPEC, digits, warm_start


def make() -> StaticReference:
    recipe = dataclasses.replace(QAT, epochs=0.5)
    return train_static_reference(SPEC, HEADS, digits(), warm_start(), recipe, seed=3)


def test_both_trainings_and_every_final_head() -> None:
    static = make()
    assert set(static.jointly) == set(HEADS)
    for result in (static.alone, *static.jointly.values()):
        assert result.validation.n_exits == 1
        assert result.validation.n_samples == 200
        assert result.training_samples == static.alone.training_samples
    assert static.reference.validation.accuracies[0] > 0.9
    assert static.jointly["gap"].validation.accuracies[0] > 0.3
    assert not static.jointly["fc"].validation.equals(static.jointly["gap"].validation)


def test_the_better_one_counts() -> None:
    static = make()
    best = max(static.accuracy_alone, static.accuracy_jointly)
    assert float(static.reference.validation.accuracies[-1]) == best
    assert static.trained in ("alone", "jointly")
    assert static.best("fc") is static.reference
    assert static.best("gap") is static.jointly["gap"]
    swapped = StaticReference(static.jointly["fc"], {**static.jointly, "fc": static.alone})
    assert swapped.accuracy_alone == static.accuracy_jointly


def test_alone_is_the_static_architecture_itself() -> None:
    static = make()
    recipe = dataclasses.replace(QAT, epochs=0.5)
    again = train_architecture(
        Architecture.static(SPEC.n_blocks), SPEC, digits(), warm_start(), recipe, derive_seed("alone", 3)
    )
    assert again.validation.equals(static.alone.validation)
