"""What is to be computed: one row a layer, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from hwcost.errors import OfframpError

# Floats tell whole numbers apart up to here.
_MOST_OPERATIONS = 2.0**53
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

# Columns that decide what a layer costs on a core; two layers equal in them cost the same.
COST_COLUMNS = (
    "op",
    "b",
    "k",
    "c",
    "g",
    "ox",
    "oy",
    "fx",
    "fy",
    "stride",
    "ix",
    "iy",
    "weight_bits",
    "input_bits",
    "output_bits",
    "psum_bits",
)


class Op(IntEnum):
    """Kinds of layers. Global pooling is POOL with a window of the whole map."""

    CONV = 0
    LINEAR = 1
    POOL = 2
    ADD = 3


@dataclass(frozen=True)
class Layer:
    """One layer; sizes in elements, precisions in bits.

    Attributes:
        name: Unique within its workload, e.g. `b3.depthwise`.
        op: Kind of layer.
        k: Output channels per group.
        c: Input channels per group.
        g: Groups; a depth-wise convolution, pooling and addition have k = c = 1 and g = channels.
        ox: Output width.
        oy: Output height.
        fx: Filter or pooling window width.
        fy: Filter or pooling window height.
        stride: Step of the window in both directions.
        ix: Width of the input map without padding; 0 stands for `ox * stride` ("same" padding), for pooling
            for what its windows cover.
        iy: Height of the input map, likewise.
        b: Batch.
        weight_bits: Bits of a weight (0 for layers without weights).
        input_bits: Bits of an input activation.
        output_bits: Bits of a finished output.
        psum_bits: Bits of a partial sum.
        segment: Index of the exit this layer is executed for first (0-based).
        head: Whether the layer belongs to an exit head.
        sources: Indices of the layers whose outputs are read; -1 is the network input.
            One entry, two for ADD.
    """

    name: str
    op: Op
    k: int = 1
    c: int = 1
    g: int = 1
    ox: int = 1
    oy: int = 1
    fx: int = 1
    fy: int = 1
    stride: int = 1
    ix: int = 0
    iy: int = 0
    b: int = 1
    weight_bits: int = 8
    input_bits: int = 8
    output_bits: int = 8
    psum_bits: int = 16
    segment: int = 0
    head: bool = False
    sources: tuple[int, ...] = (-1,)

    def unpadded(self) -> Layer:
        """The layer with the size of its input map filled in."""

        def size(out: int, window: int) -> int:
            return (out - 1) * self.stride + window if self.op == Op.POOL else out * self.stride

        return replace(self, ix=self.ix or size(self.ox, self.fx), iy=self.iy or size(self.oy, self.fy))


@dataclass(frozen=True, eq=False)
class Workload:
    """A network as arrays of shape (n_layers,), in execution order.

    Fields have the meaning and units they have in `Layer`; `sources` has shape (n_layers, 2), its second
    column is -2 where a layer has one producer only.
    """

    names: tuple[str, ...]
    op: IntArray
    b: IntArray
    k: IntArray
    c: IntArray
    g: IntArray
    ox: IntArray
    oy: IntArray
    fx: IntArray
    fy: IntArray
    stride: IntArray
    ix: IntArray
    iy: IntArray
    weight_bits: IntArray
    input_bits: IntArray
    output_bits: IntArray
    psum_bits: IntArray
    segment: IntArray
    head: BoolArray
    sources: IntArray = field(repr=False)

    def __post_init__(self) -> None:
        n = len(self.names)
        if n == 0:
            raise OfframpError("expected at least one layer in a workload, got none")
        if len(set(self.names)) != n:
            repeated = sorted({name for name in self.names if self.names.count(name) > 1})
            raise OfframpError(f"expected unique layer names, got {repeated[0]!r} more than once; rename it")
        for item in fields(self):
            if item.name == "names":
                continue
            array = getattr(self, item.name)
            shape = (n, 2) if item.name == "sources" else (n,)
            if array.shape != shape:
                raise OfframpError(f"expected shape {shape} for {item.name}, got {array.shape}")
            array.flags.writeable = False
        self._check_values()

    def _check_values(self) -> None:
        for column in ("b", "k", "c", "g", "ox", "oy", "fx", "fy", "stride", "ix", "iy"):
            self._require(column, getattr(self, column) >= 1, "at least 1")
        self._check_sizes()
        for column in ("input_bits", "output_bits", "psum_bits"):
            values = getattr(self, column)
            self._require(column, (values >= 1) & (values <= 64), "1 to 64 bits")
        weighted = self.has_weights
        self._require(
            "weight_bits",
            np.where(weighted, (self.weight_bits >= 1) & (self.weight_bits <= 64), self.weight_bits == 0),
            "1 to 64 bits where a layer has weights, 0 elsewhere",
        )
        channelwise = (self.k == 1) & (self.c == 1)
        self._require("k", weighted | channelwise, "1 (and c = 1, g = channels) for pooling and addition")
        steps = np.diff(self.segment)
        if self.segment[0] != 0 or np.any((steps < 0) | (steps > 1)):
            raise OfframpError(
                "expected segments 0, 1, 2, ... in execution order; sort the layers by segment"
            )
        index = np.arange(len(self.names))
        self._require("sources", self.sources.max(axis=1) < index, "layers that run earlier")
        two = self.sources[:, 1] > -2
        self._require("sources", two == (self.op == Op.ADD), "two producers for an addition, one elsewhere")

    def _check_sizes(self) -> None:
        """Refuses layers whose operations are not counted exactly as 64-bit integers and floats."""
        loops = [getattr(self, column).astype(np.float64) for column in ("b", "g", "k", "c")]
        outer = np.prod(loops, axis=0)
        maps = np.maximum(1.0 * self.ix * self.iy, 1.0 * self.ox * self.oy * self.fx * self.fy)
        self._require("ox", outer * maps <= _MOST_OPERATIONS, "at most 2^53 operations and inputs (by sizes)")

    def _require(self, column: str, good: npt.NDArray[np.bool_], expected: str) -> None:
        bad = np.flatnonzero(~np.asarray(good))
        if bad.size:
            i = int(bad[0])
            value = getattr(self, column)[i].tolist()
            raise OfframpError(f"expected {expected} in {column} of layer {self.names[i]!r}, got {value}")

    @classmethod
    def from_layers(cls, layers: Sequence[Layer]) -> Workload:
        """Builds the arrays from rows in execution order."""
        layers = [layer.unpadded() for layer in layers]

        def column(name: str) -> IntArray:
            return np.array([int(getattr(layer, name)) for layer in layers], dtype=np.int64)

        numeric = {f.name: column(f.name) for f in fields(Layer) if f.name not in ("name", "head", "sources")}
        for layer in layers:
            if len(layer.sources) > 2:
                raise OfframpError(
                    f"expected at most two sources of layer {layer.name!r}, got {len(layer.sources)}; add them in "
                    "turn"
                )
        sources = [(*layer.sources, -2)[:2] for layer in layers]
        return cls(
            names=tuple(layer.name for layer in layers),
            head=np.array([layer.head for layer in layers], dtype=np.bool_),
            sources=np.array(sources, dtype=np.int64).reshape(len(layers), 2),
            **numeric,
        )

    @property
    def n_layers(self) -> int:
        """Number of layers."""
        return len(self.names)

    @property
    def n_segments(self) -> int:
        """Number of exits, the final one included."""
        return int(self.segment[-1]) + 1

    @property
    def has_weights(self) -> BoolArray:
        """Which layers multiply with weights: (n_layers,)."""
        return (self.op == Op.CONV) | (self.op == Op.LINEAR)

    @property
    def operations(self) -> IntArray:
        """Multiply-accumulates, comparisons or additions of each layer: (n_layers,)."""
        return self.b * self.g * self.k * self.c * self.ox * self.oy * self.fx * self.fy

    @property
    def macs(self) -> IntArray:
        """Multiply-accumulates of each layer, 0 for pooling and addition: (n_layers,)."""
        return np.where(self.has_weights, self.operations, 0)

    @property
    def weight_elements(self) -> IntArray:
        """Weights of each layer (no biases): (n_layers,)."""
        return np.where(self.has_weights, self.g * self.k * self.c * self.fx * self.fy, 0)

    @property
    def output_elements(self) -> IntArray:
        """Outputs of each layer: (n_layers,)."""
        return self.b * self.g * self.k * self.ox * self.oy

    @property
    def map_elements(self) -> IntArray:
        """Elements of one map a layer reads, without padding: (n_layers,)."""
        return self.b * self.g * self.c * self.ix * self.iy

    @property
    def input_elements(self) -> IntArray:
        """Inputs of each layer without padding (an addition has two maps): (n_layers,)."""
        return np.where(self.op == Op.ADD, 2, 1) * self.map_elements

    @property
    def weight_memory_bits(self) -> int:
        """Storage for all weights (normalisation folded, biases left out)."""
        return int((self.weight_elements * self.weight_bits).sum())

    @property
    def activation_memory_bits(self) -> int:
        """Largest sum of maps alive at once: the running layer's inputs and output, and kept sources."""
        last_use = np.arange(self.n_layers)
        for i, pair in enumerate(self.sources):
            for source in pair[pair >= 0]:
                last_use[source] = i
        bits = self.output_elements * self.output_bits
        peak = 0
        for i in range(self.n_layers):
            alive = int(bits[: i + 1][last_use[: i + 1] >= i].sum())
            if -1 in self.sources[i]:
                alive += int(self.map_elements[i] * self.input_bits[i])
            peak = max(peak, alive)
        return peak

    def cost_rows(self) -> IntArray:
        """The columns that decide a layer's cost on a core: (n_layers, len(COST_COLUMNS))."""
        return np.stack([getattr(self, name) for name in COST_COLUMNS], axis=1)
