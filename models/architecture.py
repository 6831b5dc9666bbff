"""The genes that training depends on: where exits sit, what they look like, how many bits everything has."""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from hwcost.errors import OfframpError
from hwcost.networks import Precision

ALLOWED_BITS = (2, 3, 4, 6, 8)
"""Bit widths a block or a head may have. One bit is left out: its quantizer gives NaN and no gradient."""

HEAD_KINDS = ("fc", "fc_hidden", "gap", "conv1", "conv2")
"""Exit heads: the paper's two, global average pooling with one linear layer, and the same behind one or two
depth-wise separable convolutions (see `hwcost.networks.heads`)."""

HEADS_WITH_INNER_ACTIVATIONS = frozenset({"fc_hidden", "gap", "conv1", "conv2"})
"""Heads that quantize an activation of their own; `fc` only pools values that are quantized already."""

REFERENCE_BITS = 8
"""Bits of the stem, the final head and the static reference."""


@dataclasses.dataclass(frozen=True)
class Architecture:
    """An early-exit network up to its weights.

    Attributes:
        exits: Block indices after which an early exit sits, ascending; empty for a static network.
        heads: Head kind of each early exit, in the order of `exits`, then that of the final exit:
            len(exits) + 1 entries.
        weight_bits: Bits of the weights, one entry a block.
        activation_bits: Bits of the activations inside and after a block, one entry a block.
        head_weight_bits: Bits of the weights of the early-exit heads (the final head has 8).
        head_activation_bits: Bits of the activations inside the early-exit heads.
    """

    exits: tuple[int, ...]
    heads: tuple[str, ...]
    weight_bits: tuple[int, ...]
    activation_bits: tuple[int, ...]
    head_weight_bits: int = REFERENCE_BITS
    head_activation_bits: int = REFERENCE_BITS

    def __post_init__(self) -> None:
        if not self.weight_bits or len(self.weight_bits) != len(self.activation_bits):
            raise OfframpError(
                f"expected one weight and one activation bit width per block, got {len(self.weight_bits)} "
                f"weight and {len(self.activation_bits)} activation entries; give both for every block"
            )
        if any(late <= early for early, late in zip(self.exits, self.exits[1:], strict=False)):
            raise OfframpError(
                f"expected exits in ascending order without repeats, got {list(self.exits)}; sort them"
            )
        if self.exits and not (self.exits[0] >= 0 and self.exits[-1] < len(self.weight_bits)):
            raise OfframpError(
                f"expected exits after blocks 0..{len(self.weight_bits) - 1}, got {list(self.exits)}; "
                "use the backbone's mounting points"
            )
        if len(self.heads) != len(self.exits) + 1:
            raise OfframpError(
                f"expected {len(self.exits) + 1} heads (one per early exit and the final one), "
                f"got {len(self.heads)}; the last entry is the final head"
            )
        for head in self.heads:
            if head not in HEAD_KINDS:
                raise OfframpError(
                    f"expected a head out of {', '.join(HEAD_KINDS)}, got {head!r}; choose one of them"
                )
        for block, (weight, activation) in enumerate(
            zip(self.weight_bits, self.activation_bits, strict=True)
        ):
            check_bits(weight, f"block {block}")
            check_bits(activation, f"block {block}")
        check_bits(self.head_weight_bits, "the head weights")
        check_bits(self.head_activation_bits, "the head activations")

    @classmethod
    def static(cls, n_blocks: int, head: str = "fc", bits: int = REFERENCE_BITS) -> "Architecture":
        """The network without early exits, the same bits everywhere."""
        return cls((), (head,), (bits,) * n_blocks, (bits,) * n_blocks)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Architecture":
        """Reads what `to_dict` wrote; unknown and missing fields are refused.

        Raises:
            OfframpError: When a field is unknown, missing or out of its range.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        if set(fields) != known:
            raise OfframpError(
                f"expected the architecture fields {sorted(known)}, got {sorted(fields)}; "
                "the file is of another version or damaged"
            )
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()
        }
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, strings and integers, ready for JSON."""
        plain = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}

    def canonical(self) -> "Architecture":
        """The representative of architectures that train the same network on every backbone.

        Bits nothing has are set to 8: those of head weights where there is no early exit, those of head
        activations where no early exit quantizes an activation of its own. Bits of blocks stay, although a backbone,
        which is not known here, may have stages without weights or quantizers, such as one of max-pooling alone:
        architectures that differ in bits of such a stage alone train and cost the same but have keys of their own.
        """
        early = self.heads[:-1]
        has_activations = any(head in HEADS_WITH_INNER_ACTIVATIONS for head in early)
        return dataclasses.replace(
            self,
            head_weight_bits=self.head_weight_bits if early else REFERENCE_BITS,
            head_activation_bits=self.head_activation_bits if has_activations else REFERENCE_BITS,
        )

    def key(self) -> str:
        """SHA-256 (hex) over the canonical form: equal for architectures that train the same network."""
        return self._key

    @functools.cached_property
    def _key(self) -> str:
        return hashlib.sha256(json.dumps(self.canonical().to_dict(), sort_keys=True).encode()).hexdigest()

    @property
    def n_blocks(self) -> int:
        """Blocks of the backbone."""
        return len(self.weight_bits)

    @property
    def n_exits(self) -> int:
        """Exits, the final one included."""
        return len(self.heads)

    @property
    def is_static(self) -> bool:
        """Whether there is no early exit."""
        return not self.exits

    def precision(self) -> Precision:
        """The same bits in the form the cost tables take."""
        return Precision(
            weight_bits=self.weight_bits,
            activation_bits=self.activation_bits,
            head_weight_bits=self.head_weight_bits,
            head_activation_bits=self.head_activation_bits,
        )


def check_bits(bits: int, where: str) -> None:
    """Refuses a bit width outside `ALLOWED_BITS`.

    Args:
        bits: The bit width.
        where: What it belongs to, for the error text.

    Raises:
        OfframpError: When the width is not allowed.
    """
    if isinstance(bits, bool) or bits not in ALLOWED_BITS:
        advice = "1-bit weights need the binary quantizer" if bits == 1 else "choose one of them"
        allowed = ", ".join(str(width) for width in ALLOWED_BITS)
        raise OfframpError(f"expected bits in {allowed} for {where}, got {bits!r}; {advice}")
