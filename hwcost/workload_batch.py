"""Many networks of one family as arrays: a template with every layer any of them runs, and what each one runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hwcost.errors import OfframpError
from hwcost.workload import BoolArray, IntArray, Layer, Workload

BitArray = npt.NDArray[np.uint8]
_BIT_COLUMNS = ("weight_bits", "input_bits", "output_bits")


@dataclass(frozen=True, eq=False)
class WorkloadBatch:
    """Designs that run layers of one template, each at bits of its own.

    Only heads may be left out, and only as a whole. A segment of the template is a slot: a place where a design may
    have an exit.

    Attributes:
        template: Every layer any design may run, in execution order; its bits are the widest of any design.
        exits: Which slots of a design hold an exit: (n_designs, n_slots); the last one always does.
        active: Which layers a design runs: (n_designs, n_layers).
        weight_bits: (n_designs, n_layers), 0 for layers without weights.
        input_bits: (n_designs, n_layers).
        output_bits: (n_designs, n_layers).
    """

    template: Workload
    exits: BoolArray
    active: BoolArray
    weight_bits: BitArray
    input_bits: BitArray
    output_bits: BitArray

    def __post_init__(self) -> None:
        shape = len(self.active), self.template.n_layers
        if not shape[0]:
            raise OfframpError("expected at least one design in a batch of workloads, got none")
        for name in ("active", *_BIT_COLUMNS):
            array = getattr(self, name)
            if array.shape != shape:
                raise OfframpError(f"expected shape {shape} for {name} of a batch, got {array.shape}")
            widest = getattr(self.template, name, None)
            if widest is not None and (array.max(axis=0) > widest).any():
                raise OfframpError(
                    f"expected the template to have the widest {name} of any design in a batch"
                )
        slots = shape[0], self.n_slots
        if self.exits.shape != slots or not self.exits[:, -1].all():
            raise OfframpError(
                f"expected exits of shape {slots} with the last one in every design, got {self.exits.shape}"
            )
        if not self.active[:, ~self.template.head].all():
            raise OfframpError("expected every design of a batch to run all layers but heads")
        for name in _BIT_COLUMNS:
            least = np.minimum(getattr(self.template, name), 1)
            if (getattr(self, name) < least).any():
                raise OfframpError(f"expected at least 1 bit in {name} of a batch")

    @classmethod
    def of(cls, workload: Workload) -> WorkloadBatch:
        """A batch of one design that runs everything."""
        bits = {name: getattr(workload, name)[None].astype(np.uint8) for name in _BIT_COLUMNS}
        exits = np.ones((1, workload.n_segments), dtype=bool)
        return cls(workload, exits, np.ones((1, workload.n_layers), dtype=bool), **bits)

    @classmethod
    def from_layers(cls, layers: Sequence[Layer], exits: BoolArray, active: BoolArray) -> WorkloadBatch:
        """Builds a batch from rows whose bits are numbers or arrays (n_designs,).

        Args:
            layers: In execution order.
            exits: (n_designs, n_slots).
            active: (n_designs, n_layers).
        """
        n = len(active)
        bits = {name: np.empty((len(layers), n), dtype=np.uint8) for name in _BIT_COLUMNS}
        widest = []
        for i, layer in enumerate(layers):
            own: dict[str, Any] = {}
            for name, array in bits.items():
                values = np.asarray(getattr(layer, name))
                if values.min() < 0 or values.max() > 64:
                    raise OfframpError(f"expected 1 to 64 {name} in layer {layer.name!r}, got {values.max()}")
                array[i] = values
                own[name] = int(values.max())
            widest.append(replace(layer, **own))
        # designs last in memory: they are what loops run over
        columns = {name: array.T for name, array in bits.items()}
        return cls(Workload.from_layers(widest), exits, active, **columns)

    @property
    def n_designs(self) -> int:
        """Designs in the batch."""
        return len(self.active)

    @property
    def n_slots(self) -> int:
        """Places where a design may have an exit, the final one included."""
        return self.template.n_segments

    @property
    def weight_memory_bits(self) -> IntArray:
        """Storage for all weights of each design: (n_designs,)."""
        layers = np.flatnonzero(self.template.has_weights)
        stored = np.zeros(self.n_designs, dtype=np.int64)
        for i, elements in zip(layers, self.template.weight_elements[layers], strict=True):
            stored += (self.weight_bits[:, i] * self.active[:, i]).astype(np.int64) * elements
        return stored

    @property
    def activation_memory_bits(self) -> IntArray:
        """Largest sum of maps alive at once, as `Workload.activation_memory_bits`: (n_designs,)."""
        template = self.template
        outputs, inputs = template.output_elements, template.input_elements
        last_use = np.repeat(np.arange(template.n_layers)[:, None], self.n_designs, axis=1)
        latest = np.arange(template.n_layers)
        for i, pair in enumerate(template.sources):
            for source in pair[pair >= 0]:
                last_use[source] = np.where(self.active[:, i], i, last_use[source])
                latest[source] = i
        peak = np.zeros(self.n_designs, dtype=np.int64)
        for i in range(template.n_layers):
            alive = np.zeros(self.n_designs, dtype=np.int64)
            for tensor in np.flatnonzero(latest[: i + 1] >= i):
                here = self.active[:, tensor] & (last_use[tensor] >= i)
                alive += (self.output_bits[:, tensor] * here).astype(np.int64) * outputs[tensor]
            if -1 in template.sources[i]:
                alive += self.input_bits[:, i].astype(np.int64) * inputs[i]
            peak = np.maximum(peak, np.where(self.active[:, i], alive, 0))
        return peak

    def take(self, index: IntArray | slice) -> WorkloadBatch:
        """Some designs."""
        arrays = {name: getattr(self, name)[index] for name in ("exits", "active", *_BIT_COLUMNS)}
        return replace(self, **arrays)

    def workload(self, design: int) -> Workload:
        """One design as a workload of its own: its layers alone, its exits numbered 0, 1, ..."""
        kept = np.flatnonzero(self.active[design])
        place = np.full(self.template.n_layers + 2, -2)
        place[kept] = np.arange(kept.size)
        place[-2:] = -2, -1  # what -2 and -1 index
        # a segment without an exit of this design is part of the next one
        number = np.concatenate([[0], np.cumsum(self.exits[design])[:-1]])
        columns = {
            name: getattr(self.template, name)[kept]
            for name in Workload.__dataclass_fields__
            if name not in ("names", "sources", "segment", *_BIT_COLUMNS)
        }
        return Workload(
            names=tuple(self.template.names[i] for i in kept),
            sources=place[self.template.sources[kept]],
            segment=number[self.template.segment[kept]],
            **{name: getattr(self, name)[design, kept].astype(np.int64) for name in _BIT_COLUMNS},
            **columns,
        )
