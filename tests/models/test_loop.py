import itertools

import pytest
import torch
from torch import nn

from hwcost.networks import uniform_precision
from models.augment import normalize_batch
from models.loop import batch_indices, collect_logits, measure_norms, torch_threads, weight_groups
from models.network import Mount
from models.train import quantized_network
from tests.models.small import SPEC, digits, warm_start


def test_threads_are_restored_even_after_an_error() -> None:
    before = torch.get_num_threads()
    seen = []

    def fail() -> None:
        with torch_threads(before + 1):
            seen.append(torch.get_num_threads())
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert seen == [before + 1]
    assert torch.get_num_threads() == before


def test_every_sample_comes_once_per_shuffle() -> None:
    batches = batch_indices(10, 4, torch.Generator().manual_seed(0))
    numbers = torch.cat(list(itertools.islice(batches, 5))).tolist()
    assert sorted(numbers[:10]) == list(range(10)) == sorted(numbers[10:])
    assert numbers[:10] != numbers[10:]
    assert all(len(batch) == 4 for batch in itertools.islice(batches, 5))


def test_batches_are_never_larger_than_the_data() -> None:
    assert len(next(batch_indices(3, 8, torch.Generator()))) == 3


def test_decay_is_for_matrices_only() -> None:
    network = quantized_network(SPEC, (Mount(2, "fc"),), uniform_precision(3), warm_start())
    groups = weight_groups(network, 0.1, [])
    decayed, plain = ([p for p in group["params"]] for group in groups)  # type: ignore[attr-defined]
    assert len(decayed) + len(plain) == len(list(network.parameters()))
    assert all(parameter.dim() > 1 for parameter in decayed)
    assert [group["weight_decay"] for group in groups] == [0.1, 0.0]


def test_measured_norms_are_those_of_one_large_batch() -> None:
    data = digits()
    network = nn.Sequential(nn.BatchNorm2d(1))
    indices = iter([torch.arange(0, 300), torch.arange(300, 600)])
    measure_norms(network, data, indices, 2)
    pixels = normalize_batch(data.train_images[:600], data.mean, data.std)
    norm = network[0]
    torch.testing.assert_close(norm.running_mean[0], pixels.mean(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(norm.running_var[0], pixels.var(), rtol=1e-2, atol=1e-3)
    assert norm.momentum == 0.1


def test_logits_do_not_depend_on_the_batch_size() -> None:
    data = digits()
    network = quantized_network(SPEC, (Mount(0, "gap"), Mount(2, "fc")), uniform_precision(3), warm_start())
    whole = collect_logits(network, data.validation_images, data)
    parts = collect_logits(network, data.validation_images, data, batch_size=64)
    assert whole.shape == (200, 2, 10)
    torch.testing.assert_close(whole, parts, rtol=1e-3, atol=1e-3)
