import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from hwcost.errors import OfframpError
from hwcost.networks import load_backbone
from models.architecture import Architecture
from models.checkpoint import CheckpointKeys, load_checkpoint
from models.evaluate import exit_predictions
from models.loop import collect_logits
from models.network import architecture_mounts
from models.objective import NonFiniteLoss
from models.train import (
    QatOptimizer,
    empty_network,
    evaluate_splits,
    quantized_network,
    train_architecture,
    train_network,
)
from tests.models.small import MIXED, QAT, SPEC, digits, warm_start


def uniform(bits: int, **changes: object) -> Architecture:
    n = SPEC.n_blocks
    made = Architecture((0, 1), ("fc", "gap", "fc"), (bits,) * n, (bits,) * n, bits, bits)
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def test_equal_arguments_give_equal_predictions_whatever_came_before() -> None:
    first = train_architecture(MIXED, SPEC, digits(), warm_start(), QAT, seed=5)
    torch.manual_seed(99)
    torch.rand(1000)
    second = train_architecture(MIXED, SPEC, digits(), warm_start(), QAT, seed=5)
    assert first.validation.equals(second.validation)
    assert first.calibration.equals(second.calibration)
    assert first.final_loss == second.final_loss
    other = train_architecture(MIXED, SPEC, digits(), warm_start(), QAT, seed=6)
    assert not first.validation.equals(other.validation)


def test_architectures_of_one_network_give_one_result() -> None:
    quick = dataclasses.replace(QAT, epochs=0.2)
    static = Architecture.static(SPEC.n_blocks)
    renamed = dataclasses.replace(static, head_weight_bits=2, head_activation_bits=3)
    first = train_architecture(static, SPEC, digits(), warm_start(), quick, 0)
    assert first.validation.equals(
        train_architecture(renamed, SPEC, digits(), warm_start(), quick, 0).validation
    )


def test_8_bit_keeps_the_accuracy_of_the_float_network() -> None:
    result = train_architecture(uniform(8), SPEC, digits(), warm_start(), QAT, 0)
    assert result.validation.n_exits == 3
    assert result.validation.n_samples == 200
    assert result.calibration.n_samples == 200
    assert result.validation.accuracies[-1] > warm_start().accuracies["fc_2"] - 0.04
    assert result.training_samples == QAT.training_samples(len(digits().train_images))
    assert result.seconds > 0
    assert np.isfinite(result.final_loss)


def test_training_repairs_what_2_bits_broke() -> None:
    architecture = uniform(2)
    network = quantized_network(
        SPEC, architecture_mounts(architecture, SPEC), architecture.precision(), warm_start()
    )
    before = evaluate_splits(network, digits())[1]
    after = train_architecture(
        architecture, SPEC, digits(), warm_start(), dataclasses.replace(QAT, epochs=4), 0
    )
    assert np.isfinite(after.validation.confidence).all()
    assert after.validation.accuracies[-1] > max(before.accuracies[-1] + 0.1, 0.4)


def test_mixed_precision_trains_as_well_and_is_evaluated_in_float32() -> None:
    mixed = train_architecture(uniform(4), SPEC, digits(), warm_start(), QAT, 0)
    half = dataclasses.replace(QAT, precision="bfloat16")
    found = train_architecture(uniform(4), SPEC, digits(), warm_start(), half, 0)
    assert not found.validation.equals(mixed.validation)
    assert found.validation.equals(
        train_architecture(uniform(4), SPEC, digits(), warm_start(), half, 0).validation
    )
    assert abs(found.validation.accuracies - mixed.validation.accuracies).max() < 0.05
    assert found.final_loss == pytest.approx(mixed.final_loss, rel=0.1)


def test_distillation_brings_the_exits_closer_to_the_teacher() -> None:
    data, warm = digits(), warm_start()
    architecture = uniform(4)
    teacher = torch.softmax(warm.teacher_logits, dim=1)

    def distance(distillation_weight: float) -> float:
        network = quantized_network(
            SPEC, architecture_mounts(architecture, SPEC), architecture.precision(), warm
        )
        recipe = dataclasses.replace(QAT, epochs=2, distillation_weight=distillation_weight)
        train_network(network, data, warm.teacher_logits, recipe, seed=0)
        student = torch.log_softmax(collect_logits(network, data.train_images, data)[:, -1], dim=1)
        return float((teacher * (teacher.clamp_min(1e-9).log() - student)).sum(1).mean())

    assert distance(1.0) < distance(0.0)


@pytest.mark.parametrize("learning_rate", [float("inf"), 1e30])
def test_a_loss_that_is_not_finite_ends_with_its_reason(learning_rate: float) -> None:
    recipe = dataclasses.replace(QAT, learning_rate=learning_rate, epochs=1)
    with pytest.raises(NonFiniteLoss, match="finite"):
        train_architecture(uniform(8), SPEC, digits(), warm_start(), recipe, 0)


def test_weights_that_are_not_finite_after_the_last_step_end_with_their_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No loss follows the last step, and a folded network has integers, which have no NaN."""
    recipe, step, factors = dataclasses.replace(QAT, epochs=0.3), QatOptimizer.step, list[float]()

    def breaks_the_last(self: QatOptimizer, factor: float) -> None:
        step(self, factor)
        factors.append(factor)
        if len(factors) == recipe.steps(len(digits().train_images)):
            self.weights[0].data.view(-1)[0] = torch.nan

    monkeypatch.setattr(QatOptimizer, "step", breaks_the_last)
    with pytest.raises(
        NonFiniteLoss, match=r"finite weights after training, got NaN or infinity in .*weight"
    ):
        train_architecture(uniform(8), SPEC, digits(), warm_start(), recipe, 0)


def test_a_logit_that_is_not_finite_is_refused() -> None:
    logits = torch.zeros(4, 2, 10)
    logits[1, 0, 3] = torch.nan
    with pytest.raises(NonFiniteLoss, match="finite logits"):
        exit_predictions(logits, torch.zeros(4, dtype=torch.int64))


def test_the_checkpoint_gives_the_predictions_again(tmp_path: Path) -> None:
    path = tmp_path / "network.safetensors"
    data = digits()
    result = train_architecture(MIXED, SPEC, data, warm_start(), QAT, 0, checkpoint=path)
    network = empty_network(SPEC, architecture_mounts(MIXED, SPEC), MIXED.precision(), 10, 16)
    load_checkpoint(path, network, CheckpointKeys(MIXED, SPEC.name, 10, 16, data.fingerprint, QAT.key()))
    calibration, validation = evaluate_splits(network, data)
    assert calibration.equals(result.calibration)
    assert validation.equals(result.validation)


def test_temperatures_are_fitted_on_the_calibration_split_or_not_at_all() -> None:
    data = digits()
    quick = dataclasses.replace(QAT, epochs=0.2)
    scaled = train_architecture(MIXED, SPEC, data, warm_start(), quick, 0)
    raw = train_architecture(MIXED, SPEC, data, warm_start(), quick, 0, temperature_scaling=False)
    assert raw.validation.temperatures is None
    assert scaled.validation.temperatures is not None
    np.testing.assert_array_equal(scaled.validation.temperatures, scaled.calibration.temperatures)
    np.testing.assert_array_equal(scaled.validation.correct, raw.validation.correct)
    assert (scaled.validation.temperatures != 1).all()
    np.testing.assert_allclose(scaled.validation.raw_calibration_errors, raw.validation.calibration_errors)


def test_another_backbone_is_refused() -> None:
    n = load_backbone("paper").n_blocks
    with pytest.raises(OfframpError, match="warm start of paper"):
        train_architecture(Architecture.static(n), load_backbone("paper"), digits(), warm_start(), QAT, 0)


def test_a_head_kind_that_was_not_pre_trained_is_refused() -> None:
    warm = warm_start()
    without = {name: tensor for name, tensor in warm.state.items() if ".gap_" not in name}
    with pytest.raises(OfframpError, match=r"heads\.gap_1"):
        train_architecture(uniform(8), SPEC, digits(), dataclasses.replace(warm, state=without), QAT, 0)


def test_data_and_warm_start_are_not_changed() -> None:
    data, warm = digits(), warm_start()
    before = {name: tensor.clone() for name, tensor in warm.state.items()}
    images = data.train_images.clone()
    train_architecture(MIXED, SPEC, data, warm, dataclasses.replace(QAT, epochs=0.2), 0)
    assert torch.equal(images, data.train_images)
    assert all(torch.equal(before[name], tensor) for name, tensor in warm.state.items())


def test_predictions_agree_with_a_plain_loop() -> None:
    logits = torch.randn((7, 2, 5), generator=torch.Generator().manual_seed(0))
    labels = torch.arange(7) % 5
    found = exit_predictions(logits, labels)
    for sample in range(7):
        for column in range(2):
            row = torch.softmax(logits[sample, column].double(), 0)
            top = sorted(row.tolist(), reverse=True)
            assert found.confidence[sample, column] == pytest.approx(top[0])
            assert found.correct[sample, column] == (int(row.argmax()) == int(labels[sample]))
            assert found.entropy is not None
            assert found.margin is not None
            assert found.entropy[sample, column] == pytest.approx(-sum(p * np.log(p) for p in top), rel=1e-5)
            assert found.margin[sample, column] == pytest.approx(top[0] - top[1], abs=1e-6)
