"""Weights `resident`: which layers keep their weights on the chip, and which core runs which layer.

The weight memories are a capacity that layers compete for, so this is no shortest path. With a price per bit of each
core's room it is one, and each layer then is resident where that pays. Prices are raised where more was taken than
there is (subgradient steps on the Lagrangian). What each step would keep is cut to what fits, the most gain per bit
first, and the layers are placed again, exactly, with just these residents to be had. The best of all steps and of a
few ways of setting memory aside is taken, and layers are moved while that improves it. Not exact; never worse than
streaming everything.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from hwcost.placement.problem import Move, Placement, PlacementProblem
from hwcost.placement.resident_moves import WayCosts, improve
from hwcost.placement.resident_options import ResidentOptions
from hwcost.placement.schedule import Schedule
from hwcost.placement.solve import solve
from hwcost.workload import BoolArray, IntArray

Array = np.ndarray
# Steps of the prices for each way of setting memory aside.
PRICE_STEPS = 4
# Times the room that is left over is handed out again.
REFILLS = 3


@dataclass(eq=False)
class ResidentPlacement:
    """The best placement of each design so far.

    Attributes:
        score: What is minimised: (n_designs,).
        option: (n_designs, n_layers).
        resident: Whether a layer's weights stay: (n_designs, n_layers).
        shares: Memory set aside: (n_designs, n_cores).
        latency_cycles: Moves included: (n_designs, n_layers).
        energy_pj: Moves and leakage included: (n_designs, n_layers).
    """

    score: Array
    option: IntArray
    resident: BoolArray
    shares: Array
    latency_cycles: Array
    energy_pj: Array

    @classmethod
    def of(cls, placed: Placement, resident: BoolArray, shares: Array, objective: str) -> ResidentPlacement:
        """Scores a placement."""
        latency, energy = placed.latency_cycles.sum(axis=1), placed.energy_pj.sum(axis=1)
        score = {"latency": latency, "energy": energy, "edp": latency * energy}[objective]
        return cls(
            score.copy(),
            placed.option.copy(),
            resident.copy(),
            shares.copy(),
            placed.latency_cycles.copy(),
            placed.energy_pj.copy(),
        )

    def keep(self, rows: IntArray, found: ResidentPlacement) -> None:
        """Takes over what was found for some designs where it is better."""
        better = found.score < self.score[rows] * (1 - 1e-12)
        for item in fields(self):
            getattr(self, item.name)[rows[better]] = getattr(found, item.name)[better]

    def weights(self, objective: str) -> tuple[Array, Array]:
        """What a cycle and a picojoule count, for `edp` on the tangent of log latency + log energy here."""
        latency, energy = self.latency_cycles.sum(axis=1), self.energy_pj.sum(axis=1)
        if objective == "latency":
            return np.ones_like(latency), 0.5 / energy
        if objective == "energy":
            return 1e-9 * energy / latency, np.ones_like(energy)
        return 1 / latency, 1 / energy


def share_candidates(n_cores: int) -> list[Array]:
    """Ways of setting memory aside: half or all of it everywhere, or all of it on all cores but one."""
    found = [np.full(n_cores, 0.5), np.ones(n_cores)]
    for core in range(n_cores if n_cores > 1 else 0):
        for share in (0.0, 0.5):
            shares = np.ones(n_cores)
            shares[core] = share
            found.append(shares)
    return found


def schedule_resident(options: ResidentOptions, objective: str) -> Schedule:
    """Chooses options, residents and the memory set aside for them.

    Args:
        options: Costs.
        objective: `latency`, `energy` or `edp` of an input that leaves at the last exit.
    """
    best = place_residents(options, objective)
    placed = Placement(best.option, best.latency_cycles, best.energy_pj)
    return options.chosen(best.option, best.resident, best.shares).schedule(placed)


def place_residents(options: ResidentOptions, objective: str) -> ResidentPlacement:
    """The best placement found; see `schedule_resident`."""
    problem = options.streamed.problem()
    placed = solve(problem, objective)
    n, n_cores = len(placed.option), options.room_bits.shape[1]
    nothing = np.zeros(placed.option.shape, dtype=bool)
    best = ResidentPlacement.of(placed, nothing, np.zeros((n, n_cores)), objective)
    weighted = options.resident.workload.has_weights
    if not np.isfinite(options.resident.latency_cycles[:, weighted]).any():
        return best
    weights = best.weights(objective)
    for candidate in share_candidates(n_cores):
        _try_shares(options, problem, best, np.broadcast_to(candidate, (n, n_cores)), weights, objective)
    if objective == "edp":
        _try_shares(options, problem, best, best.shares.copy(), best.weights(objective), objective)
    _improve(options, problem, best, objective)
    return best


def _improve(
    options: ResidentOptions, problem: PlacementProblem, best: ResidentPlacement, objective: str
) -> None:
    """Moves layers of the best placements, then places the others again around the residents found."""
    room = best.shares * options.room_bits
    costs = _Costs.of(options, best.shares, room, best.weights(objective))
    fits = np.isfinite(costs.kept)
    there = np.arange(fits.shape[2]) < np.array([v.shape[1] for v in problem.latency_cycles])[:, None]
    ways = WayCosts(
        np.stack([costs.streamed_latency, costs.kept_latency], axis=3),
        np.stack([costs.streamed_energy, costs.kept_energy], axis=3),
        costs.needed,
        room,
    )
    for values in (ways.latency_cycles, ways.energy_pj):
        values[..., 1] = np.where(fits, values[..., 1], np.inf)
        values[:, ~there] = np.inf
    option, resident = improve(ways, problem, best.option, best.resident, objective)
    rows = np.arange(len(option))
    granted = np.zeros(fits.shape, dtype=bool)
    granted[rows[:, None], np.arange(option.shape[1]), option] = resident
    placed = solve(costs.problem(problem, granted), "weighted", costs.weights)
    kept = granted[rows[:, None], np.arange(option.shape[1]), placed.option]
    best.keep(rows, ResidentPlacement.of(placed, kept, best.shares.copy(), objective))


def _try_shares(
    options: ResidentOptions,
    problem: PlacementProblem,
    best: ResidentPlacement,
    shares: Array,
    weights: tuple[Array, Array],
    objective: str,
) -> None:
    """Searches with memory set aside in one way: (n_designs, n_cores)."""
    room = shares * options.room_bits
    costs = _Costs.of(options, shares, room, weights)
    weighted = options.resident.workload.has_weights
    rows = np.flatnonzero(costs.solvable(np.isfinite(costs.kept))[:, weighted].all(axis=1))
    if not rows.size:
        return
    costs, room, part = costs.take(rows), room[rows], _take_designs(problem, rows)
    price, scale = np.zeros(room.shape), costs.gain_per_bit()
    for step in range(PRICE_STEPS):
        paid = (costs.needed * price[:, None, None]).sum(axis=3)
        wanted = costs.kept + paid < costs.streamed
        placed = solve(costs.problem(part, wanted, paid), "weighted", costs.weights)
        at = np.arange(len(rows))[:, None], np.arange(wanted.shape[1]), placed.option
        takes = np.where(wanted[at][..., None], costs.needed[at], 0.0)
        used = np.zeros(wanted.shape, dtype=bool)
        option = placed.option
        for _ in range(REFILLS):
            granted = grant(costs.gain(), costs.needed, room, used, option, per_bit=step % 2 == 0)
            good = np.flatnonzero(costs.solvable(granted)[:, weighted].all(axis=1))
            if not good.size:
                break
            lot = costs.take(good)
            final = solve(lot.problem(_take_designs(part, good), granted[good]), "weighted", lot.weights)
            at = np.arange(good.size)[:, None], np.arange(wanted.shape[1]), final.option
            found = ResidentPlacement.of(final, granted[good][at], shares[rows[good]], objective)
            best.keep(rows[good], found)
            option[good] = final.option
            used[good] = False
            used[good[:, None], at[1], at[2]] = granted[good][at]
        over = (takes.sum(axis=1) - room) / np.maximum(room, 1.0)
        price = np.maximum(0.0, price + scale[:, None] * np.clip(over, -1.0, 3.0) / (step + 1))


def grant(
    gain: Array, takes: Array, room: Array, used: BoolArray, option: IntArray, per_bit: bool
) -> BoolArray:
    """Which options may keep their weights: at most one of a layer, as long as it fits.

    Those in use come first. Then either the options that layers have now and the others after them, the most gain per
    bit first; or all options, the most gain first, which packs large layers before small ones. Layers that were
    placed without their weights may so find room on another core.

    Args:
        gain: (n_designs, n_layers, n_options); infinite where a layer cannot be streamed, -inf where its weights
            cannot stay.
        takes: Bits on each core: (n_designs, n_layers, n_options, n_cores).
        room: (n_designs, n_cores).
        used: Options in use: (n_designs, n_layers, n_options).
        option: The options that layers have: (n_designs, n_layers).
        per_bit: Which of the two orders.

    Returns:
        (n_designs, n_layers, n_options).
    """
    n, _, n_options = gain.shape
    size = takes.sum(axis=3)
    with np.errstate(divide="ignore", invalid="ignore"):
        density = np.where((size > 0) & (gain > 0), gain / size, -np.inf)
    own = (np.arange(n_options) == option[:, :, None]) & per_bit
    rank = np.where(used, 2, np.where(own, 1, 0))
    first = density if per_bit else gain
    # ties are layers that cannot be streamed at all: most of them first, or those that are harder to fit
    ties = size if per_bit else -size
    keys = (ties.reshape(n, -1), -first.reshape(n, -1), -rank.reshape(n, -1))
    order = np.lexsort(keys, axis=1)
    left, granted = room.astype(np.float64), np.zeros(gain.shape, dtype=bool)
    rows = np.arange(n)
    for pair in order.T:
        layer, at = np.divmod(pair, n_options)
        wants = takes[rows, layer, at]
        fits = (wants <= left).all(axis=1) & (density[rows, layer, at] > -np.inf)
        fits &= ~granted[rows, layer].any(axis=1)
        left -= np.where(fits[:, None], wants, 0.0)
        granted[rows, layer, at] = fits
    return granted


@dataclass(frozen=True, eq=False)
class _Costs:
    """Costs of options with memory set aside in one way.

    Attributes:
        streamed_latency: (n, n_layers, n_options); likewise the energy and what is kept.
        streamed: Weighted sum of the two; likewise `kept`, infinite where the weights alone exceed the room.
        needed: Bits on each core of resident weights: (n, n_layers, n_options, n_cores).
        weights: What a cycle and a picojoule count: (n,) each.
    """

    streamed_latency: Array
    streamed_energy: Array
    kept_latency: Array
    kept_energy: Array
    streamed: Array
    kept: Array
    needed: Array
    weights: tuple[Array, Array]

    @classmethod
    def of(cls, options: ResidentOptions, shares: Array, room: Array, weights: tuple[Array, Array]) -> _Costs:
        """For all designs: shares and room (n_designs, n_cores)."""
        latency, energy = options.streamed_costs(shares)
        kept_latency, kept_energy = options.resident.latency_cycles, options.resident.total_energy_pj
        cycle, picojoule = (values[:, None, None] for values in weights)
        needed = options.needed_bits
        n = len(shares)
        needed = np.broadcast_to(needed, (n, *needed.shape[1:]))
        kept = kept_latency * cycle + kept_energy * picojoule
        kept = np.where((needed > room[:, None, None]).any(axis=3), np.inf, kept)
        kept[:, ~options.resident.workload.has_weights] = np.inf
        streamed = latency * cycle + energy * picojoule
        return cls(latency, energy, kept_latency, kept_energy, streamed, kept, needed, weights)

    def take(self, rows: IntArray) -> _Costs:
        """Some designs."""
        return _Costs(
            self.streamed_latency[rows],
            self.streamed_energy[rows],
            self.kept_latency[rows],
            self.kept_energy[rows],
            self.streamed[rows],
            self.kept[rows],
            self.needed[rows],
            (self.weights[0][rows], self.weights[1][rows]),
        )

    def solvable(self, resident: BoolArray) -> BoolArray:
        """Which layers have a finite option where only these may be resident: (n, n_layers)."""
        best = np.minimum(self.streamed, np.where(resident, self.kept, np.inf))
        return np.asarray(np.isfinite(best).any(axis=2))

    def gain(self) -> Array:
        """What residency saves against streaming the layer in the best way: (n, n_layers, n_options)."""
        best = self.streamed.min(axis=2, keepdims=True)
        with np.errstate(invalid="ignore"):
            return np.asarray(np.where(np.isfinite(self.kept), best - self.kept, -np.inf))

    def gain_per_bit(self) -> Array:
        """What a bit of room is worth on average, where layers can be streamed as well: (n,)."""
        size = self.needed.sum(axis=3)
        with np.errstate(invalid="ignore"):
            gain = self.streamed - self.kept
        counts = np.isfinite(gain) & (gain > 0) & (size > 0)
        total = np.where(counts, gain, 0.0).sum(axis=(1, 2))
        return np.asarray(total / np.maximum(np.where(counts, size, 0.0).sum(axis=(1, 2)), 1.0))

    def problem(
        self, part: PlacementProblem, resident: BoolArray, paid: Array | float = 0.0
    ) -> PlacementProblem:
        """The problem with some options resident, which may have to pay for their room."""
        latency = np.where(resident, self.kept_latency, self.streamed_latency)
        kept = self.kept_energy + paid / self.weights[1][:, None, None]
        energy = np.where(resident, kept, self.streamed_energy)
        n_options = [values.shape[1] for values in part.latency_cycles]
        return replace(
            part,
            latency_cycles=tuple(latency[:, i, :n] for i, n in enumerate(n_options)),
            energy_pj=tuple(energy[:, i, :n] for i, n in enumerate(n_options)),
        )


def _take_designs(problem: PlacementProblem, rows: IntArray) -> PlacementProblem:
    def some(values: Array) -> Array:
        return values[rows] if len(values) > 1 else values

    return replace(
        problem,
        latency_cycles=tuple(some(values) for values in problem.latency_cycles),
        energy_pj=tuple(some(values) for values in problem.energy_pj),
        moves=tuple(
            tuple(Move(m.source, some(m.latency_cycles), some(m.energy_pj)) for m in moves)
            for moves in problem.moves
        ),
        active=None if problem.active is None else problem.active[rows],
    )
