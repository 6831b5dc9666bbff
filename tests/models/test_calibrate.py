import numpy as np
import pytest
import torch

from hwcost.errors import OfframpError
from hwcost.networks import uniform_precision
from models.brevitas_adapter import activation_quantizers, activation_scale, weight_layers, weight_scale
from models.calibrate import (
    N_BINS,
    ActivationRange,
    calibrate,
    measure_ranges,
    ranges_from_tensors,
    ranges_to_tensors,
    weight_thresholds,
)
from models.layers import FloatActivation
from models.network import EarlyExitNetwork, Mount
from models.train import empty_network, quantized_network
from tests.models.small import SPEC, warm_start


def error(values: np.ndarray, threshold: float, bits: int, signed: bool) -> float:
    """Mean squared error of a quantizer, one value after the other."""
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    step = threshold / (2 ** (bits - 1) if signed else high)
    return sum((min(max(round(v / step), low), high) * step - v) ** 2 for v in values.tolist()) / len(values)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("signed", [True, False])
def test_no_threshold_of_a_grid_is_better(bits: int, signed: bool) -> None:
    values = np.random.default_rng(bits).normal(size=2000)
    values = values if signed else np.maximum(values, 0)
    site = FloatActivation(signed)
    holder = torch.nn.Sequential(site)
    found = measure_ranges(holder, [torch.from_numpy(values)])["0"]
    assert found.counts.sum() == len(values)
    chosen = error(values, found.threshold(bits), bits, signed)
    best = min(error(values, t, bits, signed) for t in np.linspace(0.1, np.abs(values).max(), 60))
    assert chosen <= best * 1.05


def test_outliers_are_cut_at_few_bits_only() -> None:
    counts = np.zeros(N_BINS)
    counts[: N_BINS // 4] = 1000
    counts[-1] = 1
    found = ActivationRange(counts, 4.0, signed=False)
    assert found.threshold(2) < 1.5
    assert found.threshold(8) > found.threshold(2)


def test_ranges_survive_a_tensor_file() -> None:
    ranges = warm_start().ranges
    copies = ranges_from_tensors(ranges_to_tensors(ranges))
    assert copies.keys() == ranges.keys()
    for name, found in ranges.items():
        assert copies[name].maximum == found.maximum
        assert copies[name].signed == found.signed
        np.testing.assert_array_equal(copies[name].counts, found.counts)


def test_a_dead_activation_gets_a_range() -> None:
    holder = torch.nn.Sequential(FloatActivation(signed=False))
    found = measure_ranges(holder, [-torch.ones(10)])["0"]
    assert found.threshold(4) > 0


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_weight_thresholds_beat_the_largest_weight(bits: int) -> None:
    weight = torch.randn((5, 300), generator=torch.Generator().manual_seed(0))
    thresholds = weight_thresholds(weight, bits)
    levels = 2 ** (bits - 1) - 1

    def errors(threshold: torch.Tensor) -> torch.Tensor:
        step = threshold[:, None] / levels
        return ((weight / step).round().clamp(-levels, levels) * step - weight).square().sum(1)

    largest = weight.abs().amax(1)
    assert (errors(thresholds) <= errors(largest)).all()
    if bits == 2:
        assert (errors(thresholds) < 0.8 * errors(largest)).all()


def test_a_channel_of_zeros_gets_a_positive_threshold() -> None:
    assert (weight_thresholds(torch.zeros(2, 9), 4) > 0).all()


def test_calibration_sets_every_scale() -> None:
    mounts = (Mount(0, "gap"), Mount(2, "fc_hidden"))
    before = empty_network(SPEC, mounts, uniform_precision(3, 4, 4), 10, 16)
    after = quantized_network(SPEC, mounts, uniform_precision(3, 4, 4), warm_start())
    for name, layer in weight_layers(after).items():
        assert not torch.equal(weight_scale(layer), weight_scale(weight_layers(before)[name])), name
    ranges = warm_start().ranges
    for name, quantizer in activation_quantizers(after).items():
        bits = 4 if name.startswith(("blocks", "heads.gap_0")) else 8
        levels = 2 ** (bits - 1) if ranges[name].signed else 2**bits - 1
        expected = ranges[name].threshold(bits) / levels
        assert float(activation_scale(quantizer)) == pytest.approx(expected, rel=1e-4), name


def test_a_missing_range_is_named() -> None:
    network = empty_network(SPEC, (Mount(2, "fc"),), uniform_precision(3), 10, 16)
    ranges = dict(warm_start().ranges)
    del ranges["blocks.1.add.act"]
    with pytest.raises(OfframpError, match=r"blocks\.1\.add\.act"):
        calibrate(network, ranges)


def test_hooks_are_gone_afterwards() -> None:
    network = EarlyExitNetwork(SPEC, (Mount(2, "fc"),), 10, 16).eval()
    measure_ranges(network, [torch.zeros(1, 1, 16, 16)])
    assert not any(module._forward_hooks for module in network.modules())
