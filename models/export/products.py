"""How layers with weights appear in exported graphs.

The bias is an addition behind the product. As an input of a convolution, ONNX Runtime (1.32) rounds a float bias to
32-bit integers with the step (activation scale x weight scale) when it optimizes a graph with quantizers. That is
more than rounding error: it moved the logits of every image, by up to 0.5, on a network whose other differences
from PyTorch touch one image in three. An addition is left as it is. Compilers that want a bias fuse it.

A linear layer is a product with a matrix (in_features, out_features), so that nothing has to be transposed.
"""

from torch import Tensor

from models.plain_layers import PlainConv, PlainLinear


def channel_axis(plain: PlainConv | PlainLinear) -> int:
    """The axis of the exported weight along which the scale varies."""
    return 0 if isinstance(plain, PlainConv) else 1


def exported_layout(plain: PlainConv | PlainLinear, weight: Tensor) -> Tensor:
    """A weight (out_channels, ...) as it is exported: that of a linear layer transposed."""
    return (weight if isinstance(plain, PlainConv) else weight.t()).contiguous()


def product(plain: PlainConv | PlainLinear, x: Tensor, weight: Tensor) -> Tensor:
    """The layer with a weight in the exported layout.

    Args:
        plain: The layer.
        x: What it takes.
        weight: Quantized in the graph.
    """
    y = plain.convolve(x, weight) if isinstance(plain, PlainConv) else x @ weight
    if plain.bias is None:
        return y
    return y + plain.bias.view(1, -1, *[1] * (y.dim() - 2))
