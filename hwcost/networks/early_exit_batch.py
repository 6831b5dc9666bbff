"""Many early-exit networks of one backbone as one batch of workloads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwcost.errors import OfframpError
from hwcost.networks.early_exit import NetworkBits, lay_out
from hwcost.networks.heads import HEAD_KINDS
from hwcost.networks.precision import Precision
from hwcost.networks.trunk import Backbone, trunk_of
from hwcost.workload import BoolArray, IntArray
from hwcost.workload_batch import WorkloadBatch


@dataclass(frozen=True)
class EarlyExitGenes:
    """One network.

    Attributes:
        exits: Blocks an early exit follows, ascending.
        heads: Kind of each exit's head, the final head last.
        precision: Bits.
    """

    exits: tuple[int, ...]
    heads: tuple[str, ...]
    precision: Precision


@dataclass(frozen=True, eq=False)
class EarlyExitGenomes:
    """What tells early-exit networks of one backbone apart, a row a network.

    Attributes:
        exits: Whether an early exit follows each of the backbone's mounting points: (n, n_mounting_points).
        heads: Kind of head at each mounting point and at the end, as an index in `HEAD_KINDS`; read where there is
            an exit: (n, n_mounting_points + 1).
        weight_bits: Per block: (n, n_blocks).
        activation_bits: Per block: (n, n_blocks).
        head_weight_bits: Of all heads but the final one: (n,).
        head_activation_bits: Likewise: (n,).
    """

    exits: BoolArray
    heads: IntArray
    weight_bits: IntArray
    activation_bits: IntArray
    head_weight_bits: IntArray
    head_activation_bits: IntArray

    @classmethod
    def of(cls, backbone: Backbone, networks: Sequence[EarlyExitGenes]) -> EarlyExitGenomes:
        """Rows of networks given one by one, as `early_exit_workload` takes them."""
        n, points = len(networks), {block: i for i, block in enumerate(backbone.mounting_points)}
        exits = np.zeros((n, len(points)), dtype=bool)
        heads = np.zeros((n, len(points) + 1), dtype=np.int64)
        for i, network in enumerate(networks):
            ascending = list(network.exits) == sorted(set(network.exits))
            known = set(network.exits) <= set(points) and set(network.heads) <= set(HEAD_KINDS)
            if not (ascending and known and len(network.heads) == len(network.exits) + 1):
                raise OfframpError(
                    f"expected ascending exits of {list(backbone.mounting_points)} and a head of "
                    f"{', '.join(HEAD_KINDS)} for each and the final one, got "
                    f"{list(network.exits)} and {list(network.heads)} in network {i}"
                )
            slots = [points[block] for block in network.exits]
            exits[i, slots] = True
            heads[i, [*slots, -1]] = [HEAD_KINDS.index(kind) for kind in network.heads]
        precisions = [network.precision for network in networks]
        return cls(
            exits,
            heads,
            np.array([p.weight_bits for p in precisions]),
            np.array([p.activation_bits for p in precisions]),
            np.array([p.head_weight_bits for p in precisions]),
            np.array([p.head_activation_bits for p in precisions]),
        )


def early_exit_batch(
    backbone: Backbone, genomes: EarlyExitGenomes, image_size: int, classes: int, batch: int = 1
) -> WorkloadBatch:
    """Lays many early-exit networks out over one template.

    Slot k of the batch is the exit behind mounting point k, the last one the final exit; costs up to a slot without
    an exit are those of the trunk and the heads up to there. Each design costs what `early_exit_workload` makes cost.

    Args:
        backbone: A table of inverted residuals, or anything with a trunk.
        genomes: The networks.
        image_size: Side of the square image in pixels.
        classes: Number of classes.
        batch: Images at once.

    Raises:
        OfframpError: Exits, heads or bits do not fit the backbone.
    """
    _check(backbone, genomes)
    blocks = (*backbone.mounting_points, backbone.n_blocks - 1)
    there = np.concatenate([genomes.exits, np.ones((len(genomes.exits), 1), dtype=bool)], axis=1)
    used = {
        block: tuple(
            kind
            for h, kind in enumerate(HEAD_KINDS)
            if (there[:, slot] & (genomes.heads[:, slot] == h)).any()
        )
        for slot, block in enumerate(blocks)
    }
    # a mounting point nobody uses keeps its slot through a segment without a head
    bits = NetworkBits(
        list(genomes.weight_bits.T),
        list(genomes.activation_bits.T),
        genomes.head_weight_bits,
        genomes.head_activation_bits,
    )
    layout = lay_out(trunk_of(backbone, image_size), used, bits, classes, batch)
    active = np.ones((len(layout.layers), len(there)), dtype=bool)
    for i, head in enumerate(layout.head):
        if head is not None:
            slot, kind = head
            active[i] = there[:, slot] & (genomes.heads[:, slot] == HEAD_KINDS.index(kind))
    return WorkloadBatch.from_layers(layout.layers, there, active.T)


def _check(backbone: Backbone, genomes: EarlyExitGenomes) -> None:
    n, points, blocks = len(genomes.exits), len(backbone.mounting_points), backbone.n_blocks
    shapes = {
        "exits": (n, points),
        "heads": (n, points + 1),
        "weight_bits": (n, blocks),
        "activation_bits": (n, blocks),
        "head_weight_bits": (n,),
        "head_activation_bits": (n,),
    }
    for name, shape in shapes.items():
        values = getattr(genomes, name)
        if values.shape != shape:
            raise OfframpError(f"expected shape {shape} for {name} of early-exit genomes, got {values.shape}")
        if name.endswith("bits") and n and (values.min() < 1 or values.max() > 32):
            raise OfframpError(f"expected 1 to 32 bits in {name}, got {values.min()} to {values.max()}")
    if n and (genomes.heads.min() < 0 or genomes.heads.max() >= len(HEAD_KINDS)):
        raise OfframpError(f"expected head kinds 0..{len(HEAD_KINDS) - 1}, got {genomes.heads.max()}")
