"""The pieces of a network that become files: all of it, each backbone segment, each head."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from models.network import EarlyExitNetwork

IMAGE, FEATURES, LOGITS = "image", "features", "logits"


@dataclasses.dataclass(frozen=True)
class Part:
    """One file.

    Attributes:
        name: Of the file, without its suffix.
        module: Takes one tensor and returns one, or one per exit.
        input_name: Of what it takes.
        input_shape: Of one sample, without the batch.
        output_names: Of what it returns.
    """

    name: str
    module: nn.Module
    input_name: str
    input_shape: tuple[int, ...]
    output_names: tuple[str, ...]

    def example(self, n: int = 1) -> Tensor:
        """Zeros of the right shape for `n` samples."""
        return torch.zeros(n, *self.input_shape)


class WholeNetwork(nn.Module):
    """A network that returns a tuple, as exporters want it."""

    def __init__(self, network: EarlyExitNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """(n, c, h, w) to (n, classes) per exit."""
        return tuple(self.network(image))


class BackboneSegment(nn.Module):
    """The blocks of one segment, the stem in front of the first; no head."""

    def __init__(self, network: EarlyExitNetwork, segment: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*network.segment_modules(segment))

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) to (n, c', h', w')."""
        result: Tensor = self.layers(x)
        return result


def exit_names(network: EarlyExitNetwork) -> tuple[str, ...]:
    """Names of the exits, as in the cost tables: `exit3` behind block 3, `final` at the end."""
    last = network.exit_blocks[-1]
    return tuple("final" if block == last else f"exit{block}" for block in network.exit_blocks)


def network_parts(network: EarlyExitNetwork) -> list[Part]:
    """Everything that is exported of a network with one head behind each exit.

    Args:
        network: In evaluation mode.

    Returns:
        The whole network, then segment and head of each exit in their order.
    """
    shape = (network.spec.in_channels, network.image_size, network.image_size)
    parts = [Part("network", WholeNetwork(network), IMAGE, shape, exit_names(network))]
    x = torch.zeros(1, *shape)
    for segment, mount in enumerate(network.mounts):
        body = BackboneSegment(network, segment)
        parts.append(
            Part(
                f"segment_{segment}",
                body,
                FEATURES if segment else IMAGE,
                tuple(x.shape[1:]),
                (FEATURES + "_out",),
            )
        )
        with torch.no_grad():
            x = body(x)
        parts.append(
            Part(f"head_{segment}", network.heads[mount.name], FEATURES, tuple(x.shape[1:]), (LOGITS,))
        )
    return parts
