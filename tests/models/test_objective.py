import pytest
import torch
import torch.nn.functional as F

from models.objective import exit_weights, joint_loss, learning_rate_factor


def test_the_loss_is_the_sum_of_plain_losses() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = [torch.randn((6, 4), generator=generator) for _ in range(3)]
    labels = torch.arange(6) % 4
    teacher = torch.randn((6, 4), generator=generator)
    weights, distilled, temperature = torch.tensor([0.5, 0.5, 1.0]), torch.tensor([0.3, 0.0, 1.0]), 2.0
    expected = torch.zeros(())
    for exit_logits, weight, share in zip(logits, weights, distilled, strict=True):
        hard = F.cross_entropy(exit_logits, labels, label_smoothing=0.1)
        soft = F.kl_div(
            F.log_softmax(exit_logits / temperature, 1),
            F.softmax(teacher / temperature, 1),
            reduction="batchmean",
        )
        expected = expected + weight * ((1 - share) * hard + share * soft * temperature**2)
    found = joint_loss(logits, labels, teacher, weights, distilled, temperature, 0.1)
    torch.testing.assert_close(found, expected)


def test_probabilities_of_classes_weigh_the_losses_of_the_classes() -> None:
    generator = torch.Generator().manual_seed(1)
    logits = [torch.randn((5, 4), generator=generator) for _ in range(2)]
    teacher = torch.randn((5, 4), generator=generator)
    probabilities = torch.rand((5, 4), generator=generator)
    probabilities = probabilities / probabilities.sum(1, keepdim=True)
    weights, distilled = torch.tensor([0.7, 1.0]), torch.tensor([0.4, 0.0])

    def loss(labels: torch.Tensor, rows: slice) -> torch.Tensor:
        return joint_loss([x[rows] for x in logits], labels, teacher[rows], weights, distilled, 2.0, 0.1)

    expected = torch.zeros(())
    for row in range(5):
        for label in range(4):
            hard = loss(torch.tensor([label]), slice(row, row + 1))
            expected = expected + probabilities[row, label] * hard / 5
    torch.testing.assert_close(loss(probabilities, slice(None)), expected)


def test_a_student_equal_to_its_teacher_has_no_distillation_loss() -> None:
    teacher = torch.randn((6, 4), generator=torch.Generator().manual_seed(0))
    labels = torch.zeros(6, dtype=torch.int64)
    loss = joint_loss([teacher], labels, teacher, torch.ones(1), torch.ones(1), 3.0, 0.0)
    assert float(loss) == pytest.approx(0.0, abs=1e-6)


def test_the_teacher_gets_no_gradient() -> None:
    teacher = torch.randn((6, 4), requires_grad=True)
    student = torch.randn((6, 4), requires_grad=True)
    joint_loss(
        [student], torch.zeros(6, dtype=torch.int64), teacher, torch.ones(1), torch.ones(1), 2.0, 0.0
    ).backward()
    assert teacher.grad is None
    assert student.grad is not None


def test_early_exits_share_their_weight() -> None:
    torch.testing.assert_close(exit_weights([False, False, True], 0.6), torch.tensor([0.3, 0.3, 1.0]))
    torch.testing.assert_close(exit_weights([True], 0.6), torch.tensor([1.0]))
    torch.testing.assert_close(exit_weights([False, True, True], 1.0), torch.tensor([1.0, 0.5, 0.5]))


@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("n_steps", [1, 7, 100])
def test_the_learning_rate_rises_once_and_falls_to_nearly_zero(warmup: float, n_steps: int) -> None:
    factors = [learning_rate_factor(step, n_steps, warmup) for step in range(n_steps)]
    assert all(0 < factor <= 1 for factor in factors)
    peak = factors.index(max(factors))
    assert factors[:peak] == sorted(factors[:peak])
    assert factors[peak:] == sorted(factors[peak:], reverse=True)
    assert abs(peak - warmup * n_steps) <= 1
    if n_steps == 100:
        assert max(factors) > 0.97
        assert factors[-1] < 0.01


def test_the_learning_rate_may_stay_above_zero() -> None:
    assert [learning_rate_factor(step, 10, 0.0, final=1.0) for step in range(10)] == [1.0] * 10
    factors = [learning_rate_factor(step, 100, 0.2, final=0.25) for step in range(100)]
    assert min(factors[20:]) >= 0.25
    assert factors[-1] < 0.26
    assert max(factors) > 0.97
