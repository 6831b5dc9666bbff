"""The part of a study's space that a table can hold in full: two heads, two groups of blocks, the paper's exits.

A search on recorded networks is honest only where every proposal has the result of its own training. Answering a
proposal with the nearest recorded network would make plateaus that no real space has, and reward whatever is blind to
them. So the genes are coupled until all networks they name can be trained: any of the four early exits of the network
of arXiv 2512.04705's second table (A, E, F, H), one kind of head for all exits, one bit width (weights and
activations) for the first half of the blocks and one for the second. What needs no training stays whole: every PE
allocation and every policy target, at the nominal clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal, get_args

import numpy as np
from optuna.distributions import BaseDistribution, IntDistribution

from hwcost.errors import OfframpError
from models.architecture import Architecture
from study.genome import Genome, SearchSpace, outward

EXITS = (0, 4, 5, 7)
HEADS = ("fc", "gap")
BITS = (4, 6, 8)

Part = Literal["exits", "bits", "arrays"]
"""Of the space: exits with their heads and policy targets; bit widths; PE arrays."""

PARTS: tuple[Part, ...] = get_args(Part)


@dataclass(frozen=True)
class RecordedSpace:
    """Genes of the part, each an index into its choices.

    Attributes:
        whole: The study's space.
        searched: What has genes; the rest is as in the static reference: no exits, 8 bit, the default arrays.
    """

    whole: SearchSpace
    searched: tuple[Part, ...] = PARTS

    def __post_init__(self) -> None:
        offered = self.whole.config
        for what, wanted, there in (
            ("exits after blocks", EXITS, self.whole.mounting_points),
            ("early heads", HEADS, offered.exit_heads),
            ("final heads", HEADS, offered.final_heads),
            ("weight bits", BITS, offered.weight_bits),
            ("activation bits", BITS, offered.activation_bits),
        ):
            if not set(wanted) <= set(there):
                raise OfframpError(
                    f"expected a preset with {what} {list(wanted)}, got {list(there)}; choose another --preset"
                )

    def genes(self) -> dict[str, int]:
        """Number of choices of every gene."""
        return {name: n for name, n in self._all_genes().items() if self._part(name) in self.searched}

    def _all_genes(self) -> dict[str, int]:
        counts = {f"exit_after_b{block}": 2 for block in EXITS}
        counts |= {"head": len(HEADS), "early_bits": len(BITS), "late_bits": len(BITS)}
        counts |= {f"pe_array_core{core}": n for core, n in enumerate(self.whole.allocations.n_choices)}
        counts["policy_target"] = len(self.whole.config.policy_targets)
        return counts

    @staticmethod
    def _part(gene: str) -> Part:
        return "bits" if gene.endswith("_bits") else "arrays" if gene.startswith("pe_array") else "exits"

    def ordered_genes(self) -> frozenset[str]:
        """Bits, arrays by their size, policy targets."""
        return frozenset(name for name in self.genes() if not name.startswith(("exit_after", "head")))

    def placement_genes(self) -> frozenset[str]:
        """Genes that change no network."""
        return frozenset(n for n in self.genes() if n.startswith(("pe_array", "policy_target")))

    def distributions(self) -> dict[str, BaseDistribution]:
        """The genes as Optuna distributions over indices."""
        return {name: IntDistribution(0, count - 1) for name, count in self.genes().items()}

    def decode(self, genes: Mapping[str, int]) -> Genome:
        """The canonical design that indices stand for."""
        genes = self._static() | dict(genes)
        cores = [genes[f"pe_array_core{core}"] for core in range(self.whole.allocations.n_cores)]
        architecture = self._architecture(
            tuple(block for block in EXITS if genes[f"exit_after_b{block}"]),
            HEADS[genes["head"]],
            BITS[genes["early_bits"]],
            BITS[genes["late_bits"]],
        )
        target = self.whole.config.policy_targets[genes["policy_target"]]
        return self.whole.canonical(
            Genome(architecture, self.whole.allocations.decode(cores), target, self.whole.levels.nominal)
        )

    def encode(self, genome: Genome) -> dict[str, int]:
        """Genes that decode to a design of this part."""
        architecture, allocations = genome.architecture, self.whole.allocations
        genes = {f"exit_after_b{block}": int(block in architecture.exits) for block in EXITS}
        genes["head"] = HEADS.index(architecture.heads[-1])
        genes["early_bits"] = BITS.index(architecture.weight_bits[0])
        genes["late_bits"] = BITS.index(architecture.weight_bits[-1])
        genes |= {f"pe_array_core{c}": i for c, i in enumerate(allocations.encode(genome.allocation))}
        genes["policy_target"] = self.whole.config.policy_targets.index(genome.policy_target)
        return self._own(genes)

    def random(self, rng: np.random.Generator) -> dict[str, int]:
        """Genes of a random design with the number of exits uniform, as a study's own random designs."""
        genes = {name: int(rng.integers(count)) for name, count in self.genes().items()}
        chosen = rng.permutation(len(EXITS))[: rng.integers(len(EXITS) + 1)]
        if "exits" not in self.searched:
            return genes
        return genes | {f"exit_after_b{block}": int(i in chosen) for i, block in enumerate(EXITS)}

    def architectures(self) -> list[Architecture]:
        """Every network once."""
        placements = [
            tuple(b for b, on in zip(EXITS, row, strict=True) if on) for row in product((0, 1), repeat=4)
        ]
        if "exits" not in self.searched:
            placements = [()]
        heads = HEADS if "exits" in self.searched else HEADS[:1]
        bits = BITS if "bits" in self.searched else BITS[-1:]
        found = [self._architecture(*choice) for choice in product(placements, heads, bits, bits)]
        return list({architecture.key(): architecture for architecture in found}.values())

    def founders(self, every_exit: bool) -> Iterator[Sequence[dict[str, int]]]:
        """Start designs as `study.genome.start_designs` has them, each with variants of lower bits.

        Static; all the paper's exits; half of them at the middle bits; the cheapest in everything; half of the exits
        at the other bit widths.

        Args:
            every_exit: All exits instead of half of them, as networks with fewer follow.
        """
        highest, middle = len(BITS) - 1, len(BITS) // 2
        spread = EXITS if every_exit else EXITS[1::2]
        others = [step for step in outward(len(BITS))[1:] if not (every_exit and step == highest)]
        for exits, head, levels in (
            ((), "fc", range(highest, -1, -1)),
            (EXITS, "fc", range(highest, -1, -1)),
            (spread, "fc", range(middle, -1, -1)),
            (EXITS[2:3], "gap", range(1)),
            *((spread, "fc", range(step, step + 1)) for step in others),
        ):
            yield [self._own(self._genes(exits, head, level)) for level in levels]

    def _own(self, genes: Mapping[str, int]) -> dict[str, int]:
        return {name: genes[name] for name in self.genes()}

    def _static(self) -> dict[str, int]:
        """The static reference."""
        return self._genes((), HEADS[0], len(BITS) - 1)

    def _genes(self, exits: tuple[int, ...], head: str, level: int) -> dict[str, int]:
        allocations = self.whole.allocations
        genes = {f"exit_after_b{block}": int(block in exits) for block in EXITS}
        genes |= {"head": HEADS.index(head), "early_bits": level, "late_bits": level}
        default = allocations.encode(allocations.default)
        return genes | {f"pe_array_core{core}": i for core, i in enumerate(default)} | {"policy_target": 0}

    def _architecture(self, exits: tuple[int, ...], head: str, early: int, late: int) -> Architecture:
        n, half = self.whole.n_blocks, self.whole.n_blocks // 2
        bits = (early,) * half + (late,) * (n - half)
        return Architecture(exits, (head,) * (len(exits) + 1), bits, bits).canonical()
