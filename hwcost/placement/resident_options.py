"""Weights that stay on the chip: what a layer costs with them streamed or resident, and the room they take."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hwcost.chip.accelerator import Accelerator
from hwcost.chip.core import ComputeCore
from hwcost.placement.shares import split_channels
from hwcost.placement.split import SplitOptions
from hwcost.placement.weight_memory import weight_memory
from hwcost.workload import BoolArray, IntArray

Array = np.ndarray


def with_weight_memory_shared(accelerator: Accelerator, share: float) -> Accelerator:
    """The accelerator with a share of each core's weight memory set aside: streamed weights have the rest."""
    return replace(
        accelerator, compute_cores=tuple(_with_share(core, share) for core in accelerator.compute_cores)
    )


def _with_share(core: ComputeCore, share: float) -> ComputeCore:
    memory = weight_memory(core)
    if memory is None:
        return core
    smaller = replace(memory, size_bits=max(1, int(memory.size_bits * (1 - share))))
    return replace(core, memories=tuple(smaller if m is memory else m for m in core.memories))


@dataclass(frozen=True, eq=False)
class ResidentOptions:
    """Costs of every option of every layer with weights streamed or resident.

    A core sets none, half or all of its weight memory aside for residents. With none, nothing is resident there;
    with all, nothing can be streamed there. A layer that is split streams only where all cores set the same aside.

    Attributes:
        streamed: With none set aside.
        half_streamed: With half set aside.
        resident: With resident weights; infinite where a core has no memory for them.
        room_bits: What each core's weight memory holds: (n_designs or 1, n_cores).
        weight_bits: Of each layer: (n_designs or 1, n_layers).
    """

    streamed: SplitOptions
    half_streamed: SplitOptions
    resident: SplitOptions
    room_bits: Array
    weight_bits: Array

    @property
    def needed_bits(self) -> Array:
        """Room an option with resident weights takes on each core: (n_designs, n_layers, n_options, n_cores)."""
        share = np.diff(self.resident.bounds, axis=-1) / split_channels(self.resident.workload)[:, None, None]
        needed = share * self.weight_bits[..., None, None]
        active = self.resident.active
        return np.asarray(needed if active is None else needed * active[:, :, None, None])

    def streams(self, shares: Array) -> tuple[BoolArray, BoolArray]:
        """Where options can stream with none and with half set aside: (n_designs, n_options) each.

        Args:
            shares: What each core sets aside: 0, 0.5 or 1: (n_designs, n_cores).
        """
        n_cores = shares.shape[1]
        n_distributed = self.streamed.latency_cycles.shape[2] - n_cores

        def everywhere(share: float) -> BoolArray:
            alone = shares == share
            together = np.repeat(alone.all(axis=1, keepdims=True), n_distributed, axis=1)
            return np.concatenate([alone, together], axis=1)

        return everywhere(0.0), everywhere(0.5)

    def chosen(self, option: IntArray, resident: BoolArray, shares: Array) -> SplitOptions:
        """The options with the costs they have in a placement; those not chosen have any."""
        half = ~self.streams(shares)[0][np.arange(len(option))[:, None], option]
        half &= self.streamed.workload.has_weights
        merged = {}
        for name in ("latency_cycles", "energy_pj", "operand_energy_pj"):
            whole, halved, kept = (
                getattr(options, name) for options in (self.streamed, self.half_streamed, self.resident)
            )
            axes = (..., *(None,) * (whole.ndim - 2))
            merged[name] = np.where(resident[axes], kept, np.where(half[axes], halved, whole))
        return replace(self.streamed, **merged)

    def streamed_costs(self, shares: Array) -> tuple[Array, Array]:
        """Latency and energy of streamed layers: (n_designs, n_layers, n_options) each; infinite where not to be."""
        with_none, with_half = self.streams(shares)
        costs = []
        for whole, half in (
            (self.streamed.latency_cycles, self.half_streamed.latency_cycles),
            (self.streamed.total_energy_pj, self.half_streamed.total_energy_pj),
        ):
            chosen = np.where(with_none[:, None], whole, np.where(with_half[:, None], half, np.inf))
            # layers without weights run as ever
            costs.append(np.where(self.streamed.workload.has_weights[:, None], chosen, whole))
        return costs[0], costs[1]
