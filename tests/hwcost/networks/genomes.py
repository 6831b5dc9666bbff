"""Random early-exit networks, as a batch and one by one."""

from __future__ import annotations

import numpy as np

from hwcost.networks import HEAD_KINDS, Precision, early_exit_workload
from hwcost.networks.backbone import BackboneSpec, BlockSpec
from hwcost.networks.early_exit_batch import EarlyExitGenomes, early_exit_batch
from hwcost.workload import Workload
from hwcost.workload_batch import WorkloadBatch

# residual blocks, a stride, a first block without expansion, a block no exit may follow
SPEC = BackboneSpec(
    name="small",
    in_channels=3,
    stem_channels=8,
    blocks=(
        BlockSpec(8, 1, 8, 3, 1),
        BlockSpec(8, 4, 8, 3, 1),
        BlockSpec(8, 4, 16, 5, 2),
        BlockSpec(16, 4, 16, 3, 1),
        BlockSpec(16, 4, 24, 3, 2),
    ),
    mounting_points=(0, 2, 3),
)
IMAGE_SIZE, CLASSES = 16, 10


def random_genomes(n: int, seed: int, bits: tuple[int, ...] = (2, 3, 5, 8)) -> EarlyExitGenomes:
    rng = np.random.default_rng(seed)
    points = len(SPEC.mounting_points)
    return EarlyExitGenomes(
        exits=rng.random((n, points)) < 0.5,
        heads=rng.integers(0, len(HEAD_KINDS), (n, points + 1)),
        weight_bits=rng.choice(bits, (n, SPEC.n_blocks)),
        activation_bits=rng.choice(bits, (n, SPEC.n_blocks)),
        head_weight_bits=rng.choice(bits, n),
        head_activation_bits=rng.choice(bits, n),
    )


def batch_of(genomes: EarlyExitGenomes) -> WorkloadBatch:
    return early_exit_batch(SPEC, genomes, IMAGE_SIZE, CLASSES)


def single_workloads(genomes: EarlyExitGenomes) -> list[Workload]:
    """The same networks by the way that makes one at a time."""
    found = []
    for i, exits in enumerate(genomes.exits):
        precision = Precision(
            tuple(genomes.weight_bits[i].tolist()),
            tuple(genomes.activation_bits[i].tolist()),
            int(genomes.head_weight_bits[i]),
            int(genomes.head_activation_bits[i]),
        )
        kinds = genomes.heads[i][np.append(exits, True)]
        found.append(
            early_exit_workload(
                SPEC,
                tuple(np.array(SPEC.mounting_points)[exits].tolist()),
                tuple(HEAD_KINDS[kind] for kind in kinds),
                precision,
                IMAGE_SIZE,
                CLASSES,
            )
        )
    return found
