"""Depth-wise convolutions that are fast in training: their gradients on a CPU, all of them on a GPU."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models import cuda_depthwise
from models.fast_quantizer import kept_as_codes

SMALLEST_KERNEL = 5
"""From this kernel size on the weight gradient here beats the library's (7x7: 3 to 4 times, 3x3: slower)."""


class DepthwiseMixin(nn.Conv2d):
    """Goes before a convolution class: depth-wise kernels on a CPU take `_DepthwiseConv`, on a GPU theirs.

    A quantized input is kept as integers for the backward pass.
    """

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        with kept_as_codes(input):
            return self._convolve(input, weight, bias)

    def _convolve(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        kernel, (stride, _), padding = self.kernel_size[0], self.stride, self.padding
        if bias is None and cuda_depthwise.applies(
            input, weight, self.stride, padding, self.dilation, self.groups
        ):
            return cuda_depthwise.depthwise_conv(*_autocast(input, weight, "cuda"), stride)
        is_depthwise = self.groups == self.in_channels == self.out_channels and weight.shape[1] == 1
        if (
            not is_depthwise
            or kernel % 2 == 0
            or padding != (kernel // 2, kernel // 2)
            or input.device.type != "cpu"
            or not torch.is_grad_enabled()
            or bias is not None
        ):
            return super()._conv_forward(input, weight, bias)
        result: Tensor = _DepthwiseConv.apply(*_autocast(input, weight, "cpu"), stride)
        return result


def _autocast(x: Tensor, weight: Tensor, device: str) -> tuple[Tensor, Tensor]:
    """Both in the type that convolutions compute in: out here, where the casts have gradients of their own."""
    if not torch.is_autocast_enabled(device):
        return x, weight
    dtype = torch.get_autocast_dtype(device)
    return x.to(dtype), weight.to(dtype)


class _DepthwiseConv(torch.autograd.Function):
    """A depth-wise convolution padded by half its kernel."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return F.conv2d(x, weight, None, stride, weight.shape[2] // 2, 1, x.shape[1])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        gradient, stride, kernel = gradients[0], ctx.stride, weight.shape[2]
        of_x = of_weight = None
        if ctx.needs_input_grad[0]:
            # In float32 the library's routine for strides is faster than going over the zeros between.
            if stride == 1 or x.dtype == torch.bfloat16:
                of_x = _input_gradient(weight, gradient, stride, x)
            else:
                of_x = _library_gradients(x, weight, gradient, stride, 0)
        if ctx.needs_input_grad[1]:
            if kernel >= SMALLEST_KERNEL:
                of_weight = _weight_gradient(x, gradient, kernel, stride)
            else:
                of_weight = _library_gradients(x, weight, gradient, stride, 1)
        return of_x, of_weight, None


def _library_gradients(x: Tensor, weight: Tensor, gradient: Tensor, stride: int, which: int) -> Tensor:
    """PyTorch's gradient of the input (0) or the weight (1)."""
    padding = weight.shape[2] // 2
    wanted = [which == 0, which == 1, False]
    found: Tensor = torch.ops.aten.convolution_backward(
        gradient, x, weight, None, [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], x.shape[1], wanted
    )[which]
    return found


def _input_gradient(weight: Tensor, gradient: Tensor, stride: int, x: Tensor) -> Tensor:
    """The convolution of the output gradient, zeros between its values for a stride, with the kernel turned round.

    The library's own routine takes longer, with a stride in bfloat16 many times as long.

    Args:
        weight: (c, 1, kernel, kernel), the kernel odd.
        gradient: (n, c, h', w').
        stride: Of the convolution.
        x: (n, c, h, w); its values do not matter.

    Returns:
        (n, c, h, w).
    """
    if stride > 1:
        spread = torch.zeros_like(x)
        spread[..., ::stride, ::stride] = gradient
        gradient = spread
    return F.conv2d(gradient, weight.flip(2, 3), None, 1, weight.shape[2] // 2, 1, weight.shape[0])


def _weight_gradient(x: Tensor, gradient: Tensor, kernel: int, stride: int) -> Tensor:
    """The correlation of input and output gradient, as a depth-wise convolution over samples and channels.

    Every (sample, channel) is a channel of one image, the output gradient its kernel, dilated by the stride;
    the sum over samples comes last. The library's own routine for channels-last maps takes 3 to 4 times as long.

    Args:
        x: (n, c, h, w).
        gradient: (n, c, h', w').
        kernel: Side of the weights.
        stride: Of the convolution.

    Returns:
        (c, 1, kernel, kernel).
    """
    n, channels, height, width = x.shape
    image = x.permute(1, 0, 2, 3).reshape(1, channels * n, height, width)
    kernels = gradient.permute(1, 0, 2, 3).reshape(channels * n, 1, *gradient.shape[2:])
    result = F.conv2d(image, kernels, None, 1, kernel // 2, stride, channels * n)
    # With an odd side and stride 2 there may be one row more than the kernel has.
    return result[..., :kernel, :kernel].reshape(channels, n, kernel, kernel).sum(1, keepdim=True)
