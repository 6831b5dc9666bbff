"""How many bits each block and head has."""

from __future__ import annotations

from dataclasses import dataclass

from hwcost.errors import OfframpError

# The image, the stem, the final head: always 8 bit.
FIXED_BITS = 8
# Accumulators: 16 bit at every precision of up to 8 bit.
PSUM_BITS = 16


@dataclass(frozen=True)
class Precision:
    """Bits of weights and activations.

    Attributes:
        weight_bits: Per block.
        activation_bits: Per block: every activation inside it and its output (after a residual addition).
            A block's input has the bits of the block before, the stem's output 8.
        head_weight_bits: Of all heads but the final one, which has 8.
        head_activation_bits: Of the pooled features of `gap` and the hidden layer of `fc_hidden`.
    """

    weight_bits: tuple[int, ...]
    activation_bits: tuple[int, ...]
    head_weight_bits: int = FIXED_BITS
    head_activation_bits: int = FIXED_BITS

    def __post_init__(self) -> None:
        if len(self.weight_bits) != len(self.activation_bits):
            raise OfframpError(
                f"expected as many activation bits as weight bits, got {len(self.activation_bits)} and "
                f"{len(self.weight_bits)}; give one of each per block"
            )
        heads = (self.head_weight_bits, self.head_activation_bits)
        for bits in (*self.weight_bits, *self.activation_bits, *heads):
            if not 1 <= bits <= 32:
                raise OfframpError(f"expected 1 to 32 bits, got {bits}")


def uniform_precision(n_blocks: int, weight_bits: int = 8, activation_bits: int = 8) -> Precision:
    """The same bits for all blocks and all heads but the final one."""
    return Precision((weight_bits,) * n_blocks, (activation_bits,) * n_blocks, weight_bits, activation_bits)
