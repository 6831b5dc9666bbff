import dataclasses

from models.static_reference import train_jointly
from models.train import TrainResult
from tests.models.small import HEADS, QAT, SPEC, digits, warm_start


def make(seed: int = 3) -> dict[str, TrainResult]:
    recipe = dataclasses.replace(QAT, epochs=0.5)
    return train_jointly(SPEC, HEADS, digits(), warm_start(), recipe, seed)


def test_every_final_head_from_one_training() -> None:
    jointly = make()
    assert set(jointly) == set(HEADS)
    for result in jointly.values():
        assert result.validation.n_exits == result.calibration.n_exits == 1
        assert result.validation.n_samples == 200
        assert result.training_samples == jointly["fc"].training_samples
        assert result.final_loss == jointly["fc"].final_loss
    assert jointly["fc"].validation.accuracies[0] > 0.9
    assert jointly["gap"].validation.accuracies[0] > 0.3
    assert not jointly["fc"].validation.equals(jointly["gap"].validation)


def test_equal_seeds_give_equal_networks_and_others_do_not() -> None:
    one, two, other = make(), make(), make(seed=4)
    assert all(one[kind].validation.equals(two[kind].validation) for kind in HEADS)
    assert not one["fc"].validation.equals(other["fc"].validation)
