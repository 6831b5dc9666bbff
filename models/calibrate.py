"""Where quantizers cut: the threshold of least squared error, from histograms for activations."""

import dataclasses
from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from hwcost.errors import OfframpError
from models import brevitas_adapter
from models.layers import FloatActivation

N_BINS = 2048
"""Bins of a histogram; at 8 bits a step still spans several of them."""

N_CANDIDATES = 96
"""Thresholds tried per activation, evenly from a 96th of the largest magnitude to all of it."""

N_WEIGHT_CANDIDATES = 32
"""Thresholds tried per output channel."""

_PREFIX = "range."


@dataclasses.dataclass(frozen=True, eq=False)
class ActivationRange:
    """The distribution of one activation.

    Attributes:
        counts: (N_BINS,) values in each of the equal bins from `-maximum` (signed) or 0 to `maximum`.
        maximum: Largest magnitude seen, above 0.
        signed: Whether values below zero occur.
    """

    counts: np.ndarray
    maximum: float
    signed: bool

    def threshold(self, bits: int) -> float:
        """The threshold of a quantizer with `bits` that has the least mean squared error.

        A signed quantizer represents -threshold and stops one step short of +threshold; an unsigned one
        represents 0 and threshold.
        """
        low = -self.maximum if self.signed else 0.0
        centres = low + (np.arange(N_BINS) + 0.5) * (self.maximum - low) / N_BINS
        thresholds = self.maximum * np.arange(1, N_CANDIDATES + 1) / N_CANDIDATES
        steps = thresholds[:, None] / (2 ** (bits - 1) if self.signed else 2**bits - 1)
        smallest = -(2 ** (bits - 1)) if self.signed else 0
        largest = 2 ** (bits - 1) - 1 if self.signed else 2**bits - 1
        quantized = np.clip(np.round(centres / steps), smallest, largest) * steps  # (candidates, bins)
        errors = (quantized - centres) ** 2 @ self.counts
        return float(thresholds[int(np.argmin(errors))])


def measure_ranges(network: nn.Module, batches: Iterable[Tensor]) -> dict[str, ActivationRange]:
    """Histograms of everything a quantized twin of a float network quantizes.

    Args:
        network: A float network in evaluation mode.
        batches: Normalized images; run through twice.

    Returns:
        One range for each `FloatActivation`, by module name.
    """
    images = list(batches)
    sites = {name: site for name, site in network.named_modules() if isinstance(site, FloatActivation)}
    maxima = dict.fromkeys(sites, 0.0)
    counts = {name: torch.zeros(N_BINS, dtype=torch.float64) for name in sites}

    def see_maximum(name: str, y: Tensor) -> None:
        maxima[name] = max(maxima[name], float(y.abs().max()))

    def see_values(name: str, y: Tensor) -> None:
        maximum = maxima[name]
        low = -maximum if sites[name].signed else 0.0
        counts[name] += torch.histc(y.float(), N_BINS, low, maximum).double().cpu()

    for see in (see_maximum, see_values):
        handles = [
            site.register_forward_hook(lambda _module, _inputs, y, name=name, see=see: see(name, y))
            for name, site in sites.items()
        ]
        try:
            with torch.no_grad():
                for batch in images:
                    network(batch)
        finally:
            for handle in handles:
                handle.remove()
        # A dead activation still needs some range for its quantizer.
        maxima = {name: maximum or 1.0 for name, maximum in maxima.items()}
    return {name: ActivationRange(counts[name].numpy(), maxima[name], sites[name].signed) for name in sites}


def ranges_to_tensors(ranges: Mapping[str, ActivationRange]) -> dict[str, Tensor]:
    """One float64 tensor of N_BINS + 2 numbers per range, for a tensor file."""
    return {
        f"{_PREFIX}{name}": torch.from_numpy(np.concatenate([[found.maximum, found.signed], found.counts]))
        for name, found in ranges.items()
    }


def ranges_from_tensors(tensors: Mapping[str, Tensor]) -> dict[str, ActivationRange]:
    """Reads what `ranges_to_tensors` made; other tensors are passed over."""
    ranges = {}
    for name, tensor in tensors.items():
        if name.startswith(_PREFIX):
            values = tensor.numpy()
            ranges[name.removeprefix(_PREFIX)] = ActivationRange(
                values[2:], float(values[0]), bool(values[1])
            )
    return ranges


def calibrate(network: nn.Module, ranges: Mapping[str, ActivationRange]) -> None:
    """Sets every scale of a quantized network that has its float weights already.

    Args:
        network: With Brevitas layers.
        ranges: Of its float twin.

    Raises:
        OfframpError: When a quantizer has no range.
    """
    for name, quantizer in brevitas_adapter.activation_quantizers(network).items():
        if name not in ranges:
            raise OfframpError(
                f"expected a measured range for {name}, got none; pre-train with its head kind"
            )
        if ranges[name].signed != brevitas_adapter.is_signed(quantizer):
            raise OfframpError(
                f"expected {name} signed as in the float network, got the opposite; pre-train again"
            )
        threshold = ranges[name].threshold(brevitas_adapter.activation_bits(quantizer))
        brevitas_adapter.set_activation_threshold(quantizer, threshold)
    for layer in brevitas_adapter.weight_layers(network).values():
        bits = brevitas_adapter.weight_bits(layer)
        brevitas_adapter.set_weight_thresholds(layer, weight_thresholds(layer.weight.detach(), bits))


def weight_thresholds(weight: Tensor, bits: int) -> Tensor:
    """Thresholds of least squared error of a symmetric quantizer, per output channel.

    Args:
        weight: (out_channels, ...).
        bits: Of the weights; integers run from -(2^(bits-1) - 1) to 2^(bits-1) - 1.

    Returns:
        (out_channels,) above 0.
    """
    rows = weight.flatten(1)
    largest = rows.abs().amax(1).clamp_min(1e-8)
    levels = 2 ** (bits - 1) - 1
    best, best_error = largest, torch.full_like(largest, torch.inf)
    for candidate in range(N_WEIGHT_CANDIDATES, 0, -1):
        threshold = largest * (candidate / N_WEIGHT_CANDIDATES)
        step = (threshold / levels)[:, None]
        error = ((rows / step).round().clamp(-levels, levels) * step - rows).square().sum(1)
        best = torch.where(error < best_error, threshold, best)
        best_error = torch.minimum(error, best_error)
    return best
