"""What has to be decided across cores, for many designs at once: one option per layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwcost.errors import OfframpError
from hwcost.workload import BoolArray, IntArray, Workload

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Move:
    """Bringing one source of a layer to where the layer runs.

    Attributes:
        source: Index of the layer whose output moves; -1 for the network's input.
        latency_cycles: (n_designs or 1, n_options of the source, n_options of the layer); the network's input has
            one option.
        energy_pj: The same shape.
    """

    source: int
    latency_cycles: Array
    energy_pj: Array


@dataclass(frozen=True, eq=False)
class EvenMove:
    """Bringing one source of a layer where every way costs the same, as between cores with equal links.

    It says what a `Move` with these costs in every entry says, in less space and with less to search.

    Attributes:
        source: Index of the layer whose output moves; -1 for the network's input.
        latency_cycles: (n_designs or 1,).
        energy_pj: The same shape.
        n_from: Options of the source.
        n_to: Options of the layer.
        stays: Whether option i of the source and option i of the layer are one place, where nothing moves.
    """

    source: int
    latency_cycles: Array
    energy_pj: Array
    n_from: int
    n_to: int
    stays: bool

    def __post_init__(self) -> None:
        if self.stays and self.n_from != self.n_to:
            raise OfframpError(f"expected as many options to stay at, got {self.n_from} and {self.n_to}")
        if min(self.latency_cycles.min(), self.energy_pj.min()) < 0:
            raise OfframpError("expected no negative costs of a move")

    def spread(self) -> Move:
        """The same as a full table."""
        moving = np.ones((1, self.n_from, self.n_to))
        if self.stays:
            moving[0, np.arange(self.n_from), np.arange(self.n_to)] = 0.0
        return Move(
            self.source, self.latency_cycles[:, None, None] * moving, self.energy_pj[:, None, None] * moving
        )


@dataclass(frozen=True, eq=False)
class PlacementProblem:
    """Options of every layer of one graph with their costs; layers run one after another.

    An option is a place (a core, or a set of cores a layer is split over), possibly with a way of running there.
    Costs that are infinite mark options that are not to be had.

    Attributes:
        workload: The graph: execution order, `sources`, `head`, `segment`. Its sizes and bits are not read.
        latency_cycles: Per layer: (n_designs, n_options of the layer).
        energy_pj: Per layer, the same shape.
        moves: Per layer, one entry a source.
        active: Which layers a design runs: (n_designs, n_layers); a head is active as a whole or not at all,
            layers of the trunk always are. None where every design runs every layer.
    """

    workload: Workload
    latency_cycles: tuple[Array, ...]
    energy_pj: tuple[Array, ...]
    moves: tuple[tuple[Move | EvenMove, ...], ...]
    active: BoolArray | None = None

    def __post_init__(self) -> None:
        n = self.workload.n_layers
        if not len(self.latency_cycles) == len(self.energy_pj) == len(self.moves) == n:
            raise OfframpError(f"expected costs and moves for {n} layers in a placement problem")
        if self.active is not None and self.active.shape != (self.n_designs, n):
            raise OfframpError(f"expected active of shape {(self.n_designs, n)}, got {self.active.shape}")

    @property
    def n_designs(self) -> int:
        """Designs decided at once."""
        return int(self.latency_cycles[0].shape[0])


@dataclass(frozen=True, eq=False)
class Placement:
    """The option chosen for every layer and what it costs, moves included.

    Attributes:
        option: (n_designs, n_layers); 0 where a layer is not active.
        latency_cycles: (n_designs, n_layers); 0 where a layer is not active.
        energy_pj: (n_designs, n_layers); likewise.
    """

    option: IntArray
    latency_cycles: Array
    energy_pj: Array
