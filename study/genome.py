"""A design as the search sees it, and the space of all of them.

Every gene is present in every genome, also those that cannot matter, because a conditional parameter drops out of
crossover. Genes are integer indices into the choices of the space; what they mean is a `Genome`, and genomes with
one phenotype share one canonical form and so one key.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from optuna.distributions import BaseDistribution, IntDistribution

from hwcost.errors import OfframpError
from models.architecture import Architecture
from study.allocation import AllocationSpace
from study.config import SpaceConfig
from study.levels import LevelSpace


@dataclass(frozen=True)
class Genome:
    """One design: what is trained, what it runs on, and how readily samples leave.

    Attributes:
        architecture: Exits, heads and bits.
        allocation: Catalogue index of the PE array per compute core.
        policy_target: See `SpaceConfig.policy_targets`.
        level: Index of the accelerator's voltage and frequency level.
    """

    architecture: Architecture
    allocation: tuple[int, ...]
    policy_target: float
    level: int

    def key(self) -> str:
        """SHA-256 (hex) that is equal for genomes with the same canonical form."""
        return self._key

    @functools.cached_property
    def _key(self) -> str:
        values = [self.architecture.key(), list(self.allocation), self.policy_target, self.level]
        return hashlib.sha256(json.dumps(values).encode()).hexdigest()


@dataclass(frozen=True)
class SearchSpace:
    """All genes with their choices.

    Attributes:
        config: Choices of heads, bits and policy targets.
        mounting_points: Blocks an early exit may follow, ascending.
        n_blocks: Blocks of the backbone.
        allocations: Legal PE allocations.
        levels: Voltage and frequency levels.
    """

    config: SpaceConfig
    mounting_points: tuple[int, ...]
    n_blocks: int
    allocations: AllocationSpace
    levels: LevelSpace

    def genes(self) -> dict[str, int]:
        """Number of choices of every gene, in the order in which they are suggested."""
        space = self.config
        counts = {f"exit_after_b{block}": len(space.exit_heads) + 1 for block in self.mounting_points}
        counts["final_head"] = len(space.final_heads)
        counts |= {f"weight_bits_b{block}": len(space.weight_bits) for block in range(self.n_blocks)}
        counts |= {f"activation_bits_b{block}": len(space.activation_bits) for block in range(self.n_blocks)}
        counts |= {"head_weight_bits": len(space.head_bits), "head_activation_bits": len(space.head_bits)}
        counts |= {f"pe_array_core{core}": n for core, n in enumerate(self.allocations.n_choices)}
        counts["level"] = len(self.levels.offered)
        counts["policy_target"] = len(space.policy_targets)
        return counts

    def ordered_genes(self) -> frozenset[str]:
        """Genes whose choices are ordered: bits, arrays by their size, levels by their clock, policy targets."""
        ordered = (
            "weight_bits",
            "activation_bits",
            "head_weight",
            "head_activation",
            "pe_array",
            "level",
            "policy_target",
        )
        return frozenset(name for name in self.genes() if name.startswith(ordered))

    def placement_genes(self) -> frozenset[str]:
        """Genes that change no network, but where and how strictly it runs."""
        return frozenset(n for n in self.genes() if n.startswith(("pe_array", "level", "policy_target")))

    def distributions(self) -> dict[str, BaseDistribution]:
        """The genes as Optuna distributions over indices."""
        return {name: IntDistribution(0, count - 1) for name, count in self.genes().items()}

    def legend(self, arrays: Sequence[Sequence[str]], levels: Sequence[str]) -> dict[str, list[str]]:
        """What each index of each gene means, for people.

        Args:
            arrays: Per compute core the labels of its catalogue.
            levels: What each level that is offered is.
        """
        space = self.config
        bits = {
            "weight_bits_b": [str(b) for b in space.weight_bits],
            "activation_bits_b": [str(b) for b in space.activation_bits],
        }
        meaning: dict[str, list[str]] = {}
        for name in self.genes():
            if name.startswith("exit_after"):
                meaning[name] = ["none", *space.exit_heads]
            elif name == "final_head":
                meaning[name] = list(space.final_heads)
            elif name.startswith("head_"):
                meaning[name] = [str(b) for b in space.head_bits]
            elif name == "policy_target":
                meaning[name] = [str(t) for t in space.policy_targets]
            elif name == "level":
                meaning[name] = list(levels)
            elif name.startswith("pe_array"):
                own = arrays[int(name.removeprefix("pe_array_core"))]
                meaning[name] = list(own) if self.allocations.searched else ["the accelerator's own"]
            else:
                meaning[name] = next(v for prefix, v in bits.items() if name.startswith(prefix))
        return meaning

    def decode(self, genes: Mapping[str, int]) -> Genome:
        """The canonical genome that indices stand for.

        Raises:
            OfframpError: A gene is missing or its index is outside its range.
        """
        counts = self.genes()
        for name, count in counts.items():
            value = genes.get(name)
            if value is None or not 0 <= value < count:
                raise OfframpError(
                    f"expected gene {name} in 0..{count - 1}, got {value}; is it another space?"
                )
        space = self.config
        exits = tuple(b for b in self.mounting_points if genes[f"exit_after_b{b}"] > 0)
        early = tuple(space.exit_heads[genes[f"exit_after_b{b}"] - 1] for b in exits)
        blocks = range(self.n_blocks)
        architecture = Architecture(
            exits=exits,
            heads=(*early, space.final_heads[genes["final_head"]]),
            weight_bits=tuple(space.weight_bits[genes[f"weight_bits_b{b}"]] for b in blocks),
            activation_bits=tuple(space.activation_bits[genes[f"activation_bits_b{b}"]] for b in blocks),
            head_weight_bits=space.head_bits[genes["head_weight_bits"]],
            head_activation_bits=space.head_bits[genes["head_activation_bits"]],
        )
        cores = [genes[f"pe_array_core{core}"] for core in range(self.allocations.n_cores)]
        target = space.policy_targets[genes["policy_target"]]
        level = self.levels.offered[genes["level"]]
        return self.canonical(Genome(architecture, self.allocations.decode(cores), target, level))

    def encode(self, genome: Genome) -> dict[str, int]:
        """Genes that decode to the canonical form of this genome.

        Raises:
            OfframpError: The genome has something the space does not offer.
        """
        space, architecture = self.config, genome.architecture
        try:
            genes = {f"exit_after_b{block}": 0 for block in self.mounting_points}
            for block, head in zip(architecture.exits, architecture.heads[:-1], strict=True):
                if block not in self.mounting_points:
                    raise ValueError(f"an exit after block {block}")
                genes[f"exit_after_b{block}"] = 1 + space.exit_heads.index(head)
            genes["final_head"] = space.final_heads.index(architecture.heads[-1])
            for block, bits in enumerate(architecture.weight_bits):
                genes[f"weight_bits_b{block}"] = space.weight_bits.index(bits)
            for block, bits in enumerate(architecture.activation_bits):
                genes[f"activation_bits_b{block}"] = space.activation_bits.index(bits)
            genes["head_weight_bits"] = self._head_index(architecture.head_weight_bits)
            genes["head_activation_bits"] = self._head_index(architecture.head_activation_bits)
            for core, index in enumerate(self.allocations.encode(genome.allocation)):
                genes[f"pe_array_core{core}"] = index
            genes["level"] = self.levels.offered.index(genome.level)
            genes["policy_target"] = space.policy_targets.index(genome.policy_target)
        except ValueError as error:
            raise OfframpError(f"expected a genome of this space, got one with {error}") from None
        if self.decode(genes) != self.canonical(genome):
            raise OfframpError(
                f"expected a genome of this space, got {genome}; it does not offer all of that"
            )
        return genes

    def _head_index(self, bits: int) -> int:
        # The canonical form writes 8 where head bits cannot matter, and a space may not offer 8.
        choices = self.config.head_bits
        return choices.index(bits) if bits in choices else len(choices) - 1

    def canonical(self, genome: Genome) -> Genome:
        """One genome for all that train, cost and decide the same.

        Bits that cannot matter, the order of equal cores, and the policy target of a network without early exits.
        """
        architecture = genome.architecture.canonical()
        target = self.config.policy_targets[0] if architecture.is_static else genome.policy_target
        return replace(
            genome,
            architecture=architecture,
            allocation=self.allocations.canonical(genome.allocation),
            policy_target=target,
        )

    def placements(self) -> tuple[np.ndarray, np.ndarray]:
        """Every allocation at every level: what a trained network may run on.

        Returns:
            Allocations (n_allocations * n_levels, n_cores) and the index of each one's level (n_allocations *
            n_levels,).
        """
        allocations = self.allocations.all()
        levels = np.array(self.levels.offered)
        return np.repeat(allocations, len(levels), axis=0), np.tile(levels, len(allocations))

    def log10_size(self) -> float:
        """Decimal logarithm of the number of gene strings with distinct allocations."""
        genes = sum(math.log10(n) for name, n in self.genes().items() if not name.startswith("pe_array"))
        return genes + math.log10(len(self.allocations.all()))

    def random(self, rng: np.random.Generator) -> dict[str, int]:
        """Genes of a random design, with the NUMBER of exits uniform.

        Independent coin flips per mounting point would give five to eight exits nearly always, whose heads alone
        break a worst-case bound; a uniform number spreads the start over the whole range of costs.
        """
        genes = {name: int(rng.integers(count)) for name, count in self.genes().items()}
        chosen = rng.permutation(len(self.mounting_points))[: rng.integers(len(self.mounting_points) + 1)]
        for position, block in enumerate(self.mounting_points):
            head = int(rng.integers(1, len(self.config.exit_heads) + 1))
            genes[f"exit_after_b{block}"] = head if position in chosen else 0
        return genes


def start_designs(space: SearchSpace, every_exit: bool = False) -> Iterator[tuple[dict[str, int], ...]]:
    """Designs every study starts from, the most telling first; each with cheaper variants to fall back on.

    Static at the highest bits; the paper's network A, E, F, H, K; exits at equal distances with the middle bit width
    everywhere; the cheapest in everything; the third with each other bit width, as bits decide most of what a design
    costs and what can be learned of them early tells most. A variant has the next lower bits everywhere, then another
    voltage and frequency level: where the first breaks a constraint, as the paper's heads do under a tight bound on
    weight memory, the next may not.

    Args:
        space: Of the study.
        every_exit: Networks with fewer exits follow from a trained one, so those that would have exits at equal
            distances have all of them, and equal distances are what they fall back on.

    Yields:
        Genes of one design and its variants, to be tried in this order.
    """
    config, points = space.config, space.mounting_points
    fc, fc_final = _preferred("fc", config.exit_heads), _preferred("fc", config.final_heads)
    gap, gap_final = _preferred("gap", config.exit_heads), _preferred("gap", config.final_heads)
    steps = range(len(config.weight_bits))
    middle = len(config.weight_bits) // 2
    spread = (points, points[2::3]) if every_exit else (points[2::3],)
    others = [(spread, fc, fc_final, range(step, step + 1)) for step in outward(len(steps))[1:]]
    for choices, head, final, bits in (
        (((),), fc, fc_final, steps[::-1]),
        ((tuple(block for block in (0, 4, 5, 7) if block in points),), fc, fc_final, steps[::-1]),
        (spread, fc, fc_final, steps[middle::-1]),
        ((points[len(points) // 2 :][:1],), gap, gap_final, steps[:1]),
        *others,
    ):
        yield tuple(
            space.encode(_uniform(space, exits, head, final, step, level))
            for level in _by_preference(space.levels)
            for step in bits
            for exits in choices
        )


def outward(count: int) -> list[int]:
    """Indices from the middle to the ends, of two as far from it the lower one first."""
    middle = count // 2
    return sorted(range(count), key=lambda index: (abs(index - middle), index))


def _preferred(kind: str, offered: tuple[str, ...]) -> str:
    return kind if kind in offered else offered[0]


def _by_preference(levels: LevelSpace) -> list[int]:
    """The default level, then the fastest first: where a bound on latency rules one out, the next may meet it."""
    return [levels.default, *(level for level in levels.offered[::-1] if level != levels.default)]


def _at_least(bits: int, offered: tuple[int, ...]) -> int:
    """The least width offered that is no smaller, else the largest: few choices for weights starve nothing else."""
    return next((width for width in offered if width >= bits), offered[-1])


def _uniform(
    space: SearchSpace, exits: tuple[int, ...], head: str, final: str, step: int, level: int
) -> Genome:
    """The same head at all exits and the same bits in all blocks, on the default allocation."""
    config, n = space.config, space.n_blocks
    bits = config.weight_bits[step]
    architecture = Architecture(
        exits=exits,
        heads=(*(head for _ in exits), final),
        weight_bits=(bits,) * n,
        activation_bits=(_at_least(bits, config.activation_bits),) * n,
        head_weight_bits=_at_least(bits, config.head_bits),
        head_activation_bits=config.head_bits[-1],
    )
    return Genome(architecture, space.allocations.default, config.policy_targets[0], level)
