import numpy as np
import pytest
import torch

from hwcost.errors import OfframpError
from models.exit_policy import ExitPolicy
from models.inference import EarlyExitResult, executed_macs, exits_taken
from models.loop import collect_logits
from models.network import EarlyExitNetwork, Mount, architecture_mounts
from models.scores import SCORES, ScoreName, read_logits, readings_score
from models.train import quantized_network
from tests.models.small import MIXED, SPEC, digits, warm_start

N = 60


@pytest.fixture(scope="module")
def network() -> EarlyExitNetwork:
    """Float64: the order of sums, which depends on the batch, then changes no level of a quantizer."""
    mounts = architecture_mounts(MIXED, SPEC)
    return quantized_network(SPEC, mounts, MIXED.precision(), warm_start()).double().eval()


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    data = digits()
    pixels = data.validation_images[:N].double() / 255
    mean, std = (torch.tensor(v, dtype=torch.float64).view(1, -1, 1, 1) for v in (data.mean, data.std))
    return ((pixels - mean) / std).to(memory_format=torch.channels_last)


@pytest.fixture(scope="module")
def all_logits(network: EarlyExitNetwork, images: torch.Tensor) -> np.ndarray:
    with torch.no_grad():
        return torch.stack(network(images), dim=1).numpy()  # (n, n_exits, classes)


def policy(score: ScoreName, all_logits: np.ndarray) -> ExitPolicy:
    """Thresholds that let some samples leave at every exit."""
    if score == "patience":
        return ExitPolicy(np.array([1.0, 1.0, -np.inf]), score)
    everybody = ExitPolicy(np.array([np.inf, np.inf, -np.inf]), score, np.array([0.7, 1.3, 1.0]))
    found = read_logits(all_logits, everybody.temperatures if everybody.temperatures is not None else 1.0)
    scores = readings_score(score, found.confidence, found.entropy, found.margin)
    early = np.median(scores[:, :2], axis=0) + 1e-6
    return ExitPolicy(np.append(early, -np.inf), score, everybody.temperatures)


def received(
    network: EarlyExitNetwork, x: torch.Tensor, chosen: ExitPolicy
) -> tuple[EarlyExitResult, list[int]]:
    """The result, and the samples that went into each block, counted outside of what is tested."""
    counts = [0] * len(network.blocks)

    def count(index: int, given: torch.Tensor) -> None:
        counts[index] += len(given)

    handles = [
        block.register_forward_pre_hook(lambda _m, inputs, index=index: count(index, inputs[0]))
        for index, block in enumerate(network.blocks)
    ]
    try:
        return network.predict(x, chosen), counts
    finally:
        for handle in handles:
            handle.remove()


@pytest.mark.parametrize("score", SCORES)
def test_it_equals_running_everything_and_choosing_afterwards(
    score: ScoreName, network: EarlyExitNetwork, images: torch.Tensor, all_logits: np.ndarray
) -> None:
    chosen = policy(score, all_logits)
    result, counts = received(network, images, chosen)
    expected = exits_taken(all_logits, chosen)
    np.testing.assert_array_equal(result.exits, expected)
    np.testing.assert_allclose(result.logits, all_logits[np.arange(N), expected], rtol=1e-6, atol=1e-6)
    left = np.bincount(expected, minlength=3)
    assert (left[1:] > 0).all()
    assert left[0] > 0 or score == "patience"  # nobody has agreed with anybody at the first exit
    assert result.samples.tolist() == [N, N - left[0], N - left[0] - left[1]]
    assert counts == result.samples.tolist()  # one block a segment in this network
    np.testing.assert_allclose(result.exit_ratios, left / N)
    np.testing.assert_array_equal(result.predicted, result.logits.argmax(1))


def test_one_image_at_a_time_is_the_same(
    network: EarlyExitNetwork, images: torch.Tensor, all_logits: np.ndarray
) -> None:
    chosen = policy("max_softmax", all_logits)
    whole = network.predict(images, chosen)
    samples = np.zeros(3, dtype=np.int64)
    for index in range(N):
        one, counts = received(network, images[index : index + 1], chosen)
        assert one.exits[0] == whole.exits[index]
        assert counts == [1 if segment <= one.exits[0] else 0 for segment in range(3)]
        np.testing.assert_allclose(one.logits[0], whole.logits[index], rtol=1e-6, atol=1e-6)
        samples += one.samples
    np.testing.assert_array_equal(samples, whole.samples)


def test_nothing_runs_behind_the_exit_all_take(network: EarlyExitNetwork, images: torch.Tensor) -> None:
    result, counts = received(network, images, ExitPolicy(np.array([-np.inf, np.inf, -np.inf])))
    assert counts == [N, 0, 0]
    assert result.samples.tolist() == counts
    assert set(result.exits) == {0}
    result, counts = received(network, images, ExitPolicy.never_early(3))
    assert counts == [N, N, N]
    assert set(result.exits) == {2}


def test_the_order_of_the_images_is_kept(
    network: EarlyExitNetwork, images: torch.Tensor, all_logits: np.ndarray
) -> None:
    chosen = policy("margin", all_logits)
    order = torch.randperm(N, generator=torch.Generator().manual_seed(3))
    straight, shuffled = network.predict(images, chosen), network.predict(images[order], chosen)
    np.testing.assert_array_equal(straight.exits[order.numpy()], shuffled.exits)


def test_the_accuracy_is_the_one_the_policy_promises(
    network: EarlyExitNetwork, all_logits: np.ndarray
) -> None:
    """float32, as it is used: the batch the study evaluates and the batches here give the same exits."""
    data = digits()
    plain = quantized_network(SPEC, network.mounts, MIXED.precision(), warm_start()).eval()
    logits = collect_logits(plain, data.validation_images[:N], data).numpy()
    chosen = policy("max_softmax", all_logits)
    assert (exits_taken(logits, chosen) == exits_taken(all_logits, chosen)).mean() >= 0.95


def test_executed_macs() -> None:
    assert executed_macs([4, 2, 1], [100, 50, 10]) == 4 * 100 + 2 * 50 + 10


def test_misuse_is_refused(network: EarlyExitNetwork, images: torch.Tensor) -> None:
    with pytest.raises(OfframpError, match="policy for 3 exits, the final one included, got one for 2"):
        network.predict(images, ExitPolicy.never_early(2))
    with pytest.raises(OfframpError, match="at least one image"):
        network.predict(images[:0], ExitPolicy.never_early(3))
    network.train()
    with pytest.raises(OfframpError, match="evaluation mode"):
        network.predict(images, ExitPolicy.never_early(3))
    network.eval()
    several = EarlyExitNetwork(SPEC, (Mount(2, "fc"), Mount(2, "gap")), 10, 16).eval()
    with pytest.raises(OfframpError, match="one head behind each exit, got 2 heads at 1 blocks"):
        several.predict(images.float(), ExitPolicy.never_early(2))
