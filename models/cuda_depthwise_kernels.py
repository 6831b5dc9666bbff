"""Triton kernels of `models.cuda_depthwise`; Triton comes with PyTorch where it has CUDA, so import this late.

Maps are dense and channels-last: element (n, h, w, c) lies at ((n H + h) W + w) C + c. A program takes some
positions of the result and some channels; neighbouring threads take neighbouring channels.
"""

import triton
import triton.language as tl


@triton.jit
def forward(  # type: ignore[no-untyped-def]
    x_ptr, weight_ptr, y_ptr, n_positions, channels, height, width, out_height, out_width,
    KERNEL: tl.constexpr, STRIDE: tl.constexpr, POSITIONS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """y(n, h, w, c) = sum over (i, j) of x(n, h STRIDE - pad + i, w STRIDE - pad + j, c) weight(i, j, c)."""
    position = tl.program_id(0) * POSITIONS + tl.arange(0, POSITIONS)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    there, known = position < n_positions, channel < channels
    column = position % out_width
    row = (position // out_width) % out_height
    image = position // (out_width * out_height)
    total = tl.zeros([POSITIONS, CHANNELS], tl.float32)
    for i in range(KERNEL):  # not unrolled: 49 steps would take the compiler many seconds
        h = row * STRIDE + (i - KERNEL // 2)
        for j in tl.static_range(KERNEL):
            w = column * STRIDE + (j - KERNEL // 2)
            inside = there & (h >= 0) & (h < height) & (w >= 0) & (w < width)
            at = ((image * height + h) * width + w) * channels
            x = tl.load(
                x_ptr + at[:, None] + channel[None, :], mask=inside[:, None] & known[None, :], other=0.0
            )
            weight = tl.load(weight_ptr + (i * KERNEL + j) * channels + channel, mask=known, other=0.0)
            total += x.to(tl.float32) * weight.to(tl.float32)[None, :]
    at = position * channels
    tl.store(
        y_ptr + at[:, None] + channel[None, :],
        total.to(y_ptr.dtype.element_ty),
        mask=there[:, None] & known[None, :],
    )


@triton.jit
def backward_input(  # type: ignore[no-untyped-def]
    gradient_ptr, weight_ptr, of_x_ptr, n_positions, channels, height, width, out_height, out_width,
    KERNEL: tl.constexpr, STRIDE: tl.constexpr, POSITIONS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """The gradient of x: each of its elements gathers from the outputs it went into."""
    position = tl.program_id(0) * POSITIONS + tl.arange(0, POSITIONS)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    there, known = position < n_positions, channel < channels
    column = position % width
    row = (position // width) % height
    image = position // (width * height)
    total = tl.zeros([POSITIONS, CHANNELS], tl.float32)
    for i in range(KERNEL):
        above = row + (KERNEL // 2 - i)
        h = above // STRIDE
        for j in tl.static_range(KERNEL):
            left = column + (KERNEL // 2 - j)
            w = left // STRIDE
            inside = there & (above >= 0) & (h < out_height) & (left >= 0) & (w < out_width)
            if STRIDE > 1:
                inside = inside & (above % STRIDE == 0) & (left % STRIDE == 0)
            at = ((image * out_height + h) * out_width + w) * channels
            gradient = tl.load(
                gradient_ptr + at[:, None] + channel[None, :],
                mask=inside[:, None] & known[None, :],
                other=0.0,
            )
            weight = tl.load(weight_ptr + (i * KERNEL + j) * channels + channel, mask=known, other=0.0)
            total += gradient.to(tl.float32) * weight.to(tl.float32)[None, :]
    at = position * channels
    tl.store(
        of_x_ptr + at[:, None] + channel[None, :],
        total.to(of_x_ptr.dtype.element_ty),
        mask=there[:, None] & known[None, :],
    )


@triton.jit
def backward_weight(  # type: ignore[no-untyped-def]
    x_ptr, gradient_ptr, sums_ptr, n_positions, channels, height, width, out_height, out_width,
    STEPS: tl.constexpr, KERNEL: tl.constexpr, STRIDE: tl.constexpr, COLUMNS: tl.constexpr,
    POSITIONS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """A part of the gradient of one row of the weights: that of STEPS times POSITIONS outputs.

    COLUMNS is KERNEL or the next power of two: all columns of the row at once.
    """
    part, i = tl.program_id(0), tl.program_id(2)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    known = channel < channels
    j = tl.arange(0, COLUMNS)
    total = tl.zeros([COLUMNS, POSITIONS, CHANNELS], tl.float32)
    for step in range(STEPS):
        position = (part * STEPS + step) * POSITIONS + tl.arange(0, POSITIONS)
        there = position < n_positions
        column = position % out_width
        row = (position // out_width) % out_height
        image = position // (out_width * out_height)
        gradient = tl.load(
            gradient_ptr + (position * channels)[:, None] + channel[None, :],
            mask=there[:, None] & known[None, :],
            other=0.0,
        )
        h = row * STRIDE + i - KERNEL // 2
        w = (column * STRIDE)[None, :] + j[:, None] - KERNEL // 2
        inside = (there & (h >= 0) & (h < height))[None, :] & (w >= 0) & (w < width) & (j < KERNEL)[:, None]
        at = (((image * height + h) * width)[None, :] + w) * channels
        x = tl.load(
            x_ptr + at[:, :, None] + channel[None, None, :],
            mask=inside[:, :, None] & known[None, None, :],
            other=0.0,
        )
        total += x.to(tl.float32) * gradient.to(tl.float32)[None, :, :]
    tap = (part * KERNEL + i) * KERNEL + j
    tl.store(
        sums_ptr + (tap * channels)[:, None] + channel[None, :],
        tl.sum(total, 1),
        mask=(j < KERNEL)[:, None] & known[None, :],
    )
