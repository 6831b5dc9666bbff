"""The early-exit network: a backbone in segments, a head (or several kinds of it) behind each segment."""

import dataclasses

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from hwcost.errors import OfframpError
from hwcost.networks import Precision, uniform_precision
from models.architecture import HEAD_KINDS, REFERENCE_BITS, Architecture, check_bits
from models.backbone import Backbone, make_blocks, make_stem
from models.exit_policy import ExitPolicy
from models.gradient_share import with_gradient_share
from models.heads import ExitHead
from models.inference import EarlyExitResult, run_early_exit
from models.layers import FloatLayers, LayerFactory


@dataclasses.dataclass(frozen=True)
class Mount:
    """One head: the block it follows and its kind. A block may have several kinds while training."""

    block: int
    kind: str

    @property
    def name(self) -> str:
        """Its name among the modules, the same in every network."""
        return f"{self.kind}_{self.block}"


class EarlyExitNetwork(nn.Module):
    """Stem, blocks and the heads that are mounted.

    Args:
        spec: The backbone.
        mounts: Heads in order of their blocks; the last block must have one.
        classes: Number of logits.
        image_size: Side of the image in pixels; heads depend on the maps it makes.
        precision: Bits; a float network ignores them.
        layers: Makes the layers; float ones by default.

    Attributes:
        mounts: As given; one entry of what `forward` returns each.

    Raises:
        OfframpError: When a mount or a bit width does not fit.
    """

    def __init__(
        self,
        spec: Backbone,
        mounts: tuple[Mount, ...],
        classes: int,
        image_size: int,
        precision: Precision | None = None,
        layers: LayerFactory | None = None,
    ) -> None:
        super().__init__()
        precision = precision or uniform_precision(spec.n_blocks)
        layers = layers or FloatLayers()
        _check_mounts(spec, mounts)
        _check_precision(spec, precision)
        self.spec = spec
        self.mounts = mounts
        self.classes = classes
        self.image_size = image_size
        self.stem = make_stem(spec, layers)
        self.blocks = make_blocks(spec, precision, layers)
        self.heads = nn.ModuleDict()
        out_sizes = spec.out_sizes(image_size)
        for mount in mounts:
            is_final = mount.block == spec.n_blocks - 1
            self.heads[mount.name] = ExitHead(
                mount.kind,
                spec.blocks[mount.block].out_channels,
                out_sizes[mount.block],
                classes,
                REFERENCE_BITS if is_final else precision.head_weight_bits,
                REFERENCE_BITS if is_final else precision.head_activation_bits,
                layers,
            )

    @property
    def exit_blocks(self) -> tuple[int, ...]:
        """Blocks with at least one head, ascending; a segment ends behind each."""
        return tuple(sorted({mount.block for mount in self.mounts}))

    def forward_segment(
        self, segment: int, x: Tensor, exit_gradient: float = 1.0
    ) -> tuple[Tensor, list[Tensor]]:
        """Runs one segment and its heads.

        Args:
            segment: Index; segment 0 begins with the image.
            x: (n, c, h, w) what the segment before returned, or images.
            exit_gradient: Share of the gradient of an early exit that reaches the backbone.

        Returns:
            The map behind the segment and (n, classes) logits of each of its heads.
        """
        for module in self.segment_modules(segment):
            x = module(x)
        end = self.exit_blocks[segment]
        heads = [self.heads[mount.name] for mount in self.mounts if mount.block == end]
        seen = x if end == self.spec.n_blocks - 1 else with_gradient_share(x, exit_gradient)
        return x, [head(seen) for head in heads]

    def segment_modules(self, segment: int) -> list[nn.Module]:
        """What runs in one segment, one after the other, without its heads; the stem is part of segment 0."""
        ends = self.exit_blocks
        first = ends[segment - 1] + 1 if segment else 0
        blocks = list(self.blocks[first : ends[segment] + 1])
        return blocks if segment else [self.stem, *blocks]

    def predict(self, x: Tensor, policy: ExitPolicy) -> EarlyExitResult:
        """Runs what is needed and no more: a sample that leaves at an exit costs nothing behind it.

        Args:
            x: (n, c, h, w) normalized images, on the device of the network.
            policy: For as many exits as there are mounts.

        Raises:
            OfframpError: When the network is in training mode, a block has several heads, or the policy is for
                another number of exits.
        """
        if self.training:
            raise OfframpError("expected a network in evaluation mode, got one in training mode; call eval()")
        if len(self.exit_blocks) != len(self.mounts):
            raise OfframpError(
                f"expected one head behind each exit, got {len(self.mounts)} heads at {len(self.exit_blocks)} "
                "blocks; predict with the network of one architecture"
            )
        with torch.inference_mode():
            return run_early_exit(TorchSegments(self), x, len(x), policy)

    def forward(self, x: Tensor, exit_gradient: float = 1.0) -> list[Tensor]:
        """(n, c, h, w) images to (n, classes) logits of every mount; `exit_gradient` as in `forward_segment`."""
        logits: list[Tensor] = []
        for segment in range(len(self.exit_blocks)):
            x, here = self.forward_segment(segment, x, exit_gradient)
            logits += here
        return logits


class TorchSegments:
    """A network in the form that `run_early_exit` drives."""

    def __init__(self, network: EarlyExitNetwork) -> None:
        self._network = network
        self.n_segments = len(network.exit_blocks)

    def run_segment(self, segment: int, x: Tensor) -> tuple[Tensor, npt.NDArray[np.float32]]:
        """See `models.inference.Segments`."""
        x, (logits,) = self._network.forward_segment(segment, x)
        return x, logits.float().cpu().numpy()

    def keep(self, x: Tensor, indices: npt.NDArray[np.int64]) -> Tensor:
        """See `models.inference.Segments`."""
        kept = x.index_select(0, torch.from_numpy(indices).to(x.device))
        # Selecting gives a contiguous copy; convolutions would change its memory format back in every layer.
        format_of_x = torch.contiguous_format if x.is_contiguous() else torch.channels_last
        return kept.contiguous(memory_format=format_of_x)


def architecture_mounts(architecture: Architecture, spec: Backbone) -> tuple[Mount, ...]:
    """The heads of an architecture on a backbone, the final one last.

    Raises:
        OfframpError: When the architecture is for another backbone.
    """
    if architecture.n_blocks != spec.n_blocks or not set(architecture.exits) <= set(spec.mounting_points):
        raise OfframpError(
            f"expected an architecture for {spec.name} ({spec.n_blocks} blocks, exits out of "
            f"{list(spec.mounting_points)}), got {architecture.n_blocks} blocks and exits "
            f"{list(architecture.exits)}; it belongs to another backbone"
        )
    blocks = (*architecture.exits, spec.n_blocks - 1)
    return tuple(Mount(block, kind) for block, kind in zip(blocks, architecture.heads, strict=True))


def all_mounts(spec: Backbone, head_kinds: tuple[str, ...], early: bool = True) -> tuple[Mount, ...]:
    """Every head kind behind every mounting point and the last block; without `early` behind the last block alone."""
    blocks = (*(spec.mounting_points if early else ()), spec.n_blocks - 1)
    return tuple(Mount(block, kind) for block in blocks for kind in head_kinds)


def initialize(network: nn.Module, generator: torch.Generator) -> None:
    """Draws fresh float weights (He et al. 2015, fan-out) in a fixed order of modules.

    Args:
        network: Its convolutions and linear layers are overwritten.
        generator: Source of every number, on the CPU.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels // module.groups
            _draw(module.weight, (2.0 / fan_out) ** 0.5, generator)
        elif isinstance(module, nn.Linear):
            _draw(module.weight, module.in_features**-0.5, generator)
            nn.init.zeros_(module.bias)


def _draw(weight: Tensor, deviation: float, generator: torch.Generator) -> None:
    with torch.no_grad():
        weight.copy_(torch.randn(weight.shape, generator=generator) * deviation)


def _check_mounts(spec: Backbone, mounts: tuple[Mount, ...]) -> None:
    allowed = (*spec.mounting_points, spec.n_blocks - 1)
    for mount in mounts:
        if mount.block not in allowed or mount.kind not in HEAD_KINDS:
            raise OfframpError(
                f"expected heads of {', '.join(HEAD_KINDS)} after blocks {list(allowed)}, got {mount.kind!r} "
                f"after block {mount.block}; use the backbone's mounting points"
            )
    blocks = [mount.block for mount in mounts]
    if (
        not blocks
        or blocks != sorted(blocks)
        or blocks[-1] != spec.n_blocks - 1
        or len(set(mounts)) < len(mounts)
    ):
        raise OfframpError(
            f"expected heads in order of their blocks, the last after block {spec.n_blocks - 1}, "
            f"got blocks {blocks}; sort them and add a final head"
        )


def _check_precision(spec: Backbone, precision: Precision) -> None:
    if len(precision.weight_bits) != spec.n_blocks:
        raise OfframpError(
            f"expected bits for {spec.n_blocks} blocks of {spec.name}, got {len(precision.weight_bits)}; "
            "the architecture belongs to another backbone"
        )
    for block, bits in enumerate(zip(precision.weight_bits, precision.activation_bits, strict=True)):
        for width in bits:
            check_bits(width, f"block {block}")
    check_bits(precision.head_weight_bits, "the head weights")
    check_bits(precision.head_activation_bits, "the head activations")
