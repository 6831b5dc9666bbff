"""Depth-wise convolutions that are fast in training: their weight gradient on a CPU, all of them on a GPU."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models import cuda_depthwise
from models.fast_quantizer import kept_as_codes

SMALLEST_KERNEL = 5
"""From this kernel size on the gradient here beats the library's (7x7: 3 to 4 times, 3x3: slower)."""


class DepthwiseMixin(nn.Conv2d):
    """Goes before a convolution class: large depth-wise kernels on a CPU take `_DepthwiseConv`, all on a GPU theirs.

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
            or kernel < SMALLEST_KERNEL
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
        gradient, stride, padding = gradients[0], ctx.stride, weight.shape[2] // 2
        of_x = of_weight = None
        if ctx.needs_input_grad[0]:
            steps, pads = [stride, stride], [padding, padding]
            of_x = torch.ops.aten.convolution_backward(
                gradient,
                x,
                weight,
                None,
                steps,
                pads,
                [1, 1],
                False,
                [0, 0],
                x.shape[1],
                [True, False, False],
            )[0]
        if ctx.needs_input_grad[1]:
            of_weight = _weight_gradient(x, gradient, weight.shape[2], stride)
        return of_x, of_weight, None


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
