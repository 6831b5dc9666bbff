"""How layers with weights appear in exported graphs: integers times integers, then a factor, then the bias.

Read by a runtime as float values, all of them are integers below 2^24, so sums are exact in any order and the files
give the logits of PyTorch bit by bit (see `models.plain_layers`). Factor and bias are nodes of their own: as an
input of the convolution, ONNX Runtime (1.32) rounds a float bias to 32-bit integers when it optimizes a graph with
quantizers, which moved the logits of every image by up to 0.5.

A linear layer is a product with a matrix (in_features, out_features), so that nothing has to be transposed.
"""

from torch import Tensor

from models.plain_layers import PlainConv, PlainLayer


def exported_layout(plain: PlainLayer, weight: Tensor) -> Tensor:
    """A weight (out_channels, ...) as it is exported: that of a linear layer transposed."""
    return (weight if isinstance(plain, PlainConv) else weight.t()).contiguous()


def scaled_product(plain: PlainLayer, integers: Tensor, weight: Tensor) -> Tensor:
    """What a layer makes of its input on the integer grid.

    Args:
        plain: The layer.
        integers: Its input, divided by its step.
        weight: Integers in the exported layout.
    """
    y = plain.multiply(integers, weight) if isinstance(plain, PlainConv) else integers @ weight
    y = y * plain.per_channel(plain.factor, y.dim())
    return y if plain.bias is None else y + plain.per_channel(plain.bias, y.dim())
