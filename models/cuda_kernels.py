"""Triton kernels of `models.cuda_quantizer`; Triton comes with PyTorch where it has CUDA, so import this late."""

import triton
import triton.language as tl

BLOCK = 2048
"""Elements a program handles at once."""


@triton.jit
def quantize(  # type: ignore[no-untyped-def]
    x_ptr, scale_ptr, y_ptr, n, columns, low, high, SCALED: tl.constexpr, BLOCK: tl.constexpr
):
    """y = clamp(round(x / scale), low, high), times scale where SCALED; a scale for `columns` elements each."""
    offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = offsets < n
    x = tl.load(x_ptr + offsets, mask=inside, other=0.0).to(tl.float32)
    scale = tl.load(scale_ptr + offsets // columns, mask=inside, other=1.0)
    levels = nearest(_clamp(tl.div_rn(x, scale), low, high))
    y = levels * scale if SCALED else levels
    tl.store(y_ptr + offsets, y.to(y_ptr.dtype.element_ty), mask=inside)


@triton.jit
def differentiate(  # type: ignore[no-untyped-def]
    x_ptr, gradient_ptr, scale_ptr, result_ptr, sums_ptr, n, low, high, BLOCK: tl.constexpr
):
    """The gradient of x, and for each program its part of the gradient of the one scale."""
    program = tl.program_id(0)
    offsets = program * BLOCK + tl.arange(0, BLOCK)
    mask = offsets < n
    x = tl.load(x_ptr + offsets, mask=mask, other=0.0).to(tl.float32)
    gradient = tl.load(gradient_ptr + offsets, mask=mask, other=0.0).to(tl.float32)
    of_x, of_scale = _gradients(x, gradient, tl.load(scale_ptr), low, high)
    tl.store(result_ptr + offsets, of_x.to(result_ptr.dtype.element_ty), mask=mask)
    tl.store(sums_ptr + program, tl.sum(of_scale, 0))


@triton.jit
def differentiate_rows(  # type: ignore[no-untyped-def]
    x_ptr, gradient_ptr, scale_ptr, result_ptr, sums_ptr, columns, low, high,
    BLOCK: tl.constexpr, BLOCKS: tl.constexpr,
):  # fmt: skip
    """The gradient of x and of the scale of a row; one program a row, `BLOCKS` steps."""
    row = tl.program_id(0)
    scale = tl.load(scale_ptr + row)
    total = tl.zeros([BLOCK], tl.float32)
    for step in tl.static_range(BLOCKS):
        column = step * BLOCK + tl.arange(0, BLOCK)
        mask = column < columns
        offsets = row * columns + column
        x = tl.load(x_ptr + offsets, mask=mask, other=0.0).to(tl.float32)
        gradient = tl.load(gradient_ptr + offsets, mask=mask, other=0.0).to(tl.float32)
        of_x, of_scale = _gradients(x, gradient, scale, low, high)
        tl.store(result_ptr + offsets, of_x.to(result_ptr.dtype.element_ty), mask=mask)
        total += of_scale
    tl.store(sums_ptr + row, tl.sum(total, 0))


@triton.jit
def _gradients(x, gradient, scale, low, high):  # type: ignore[no-untyped-def]
    exact = tl.div_rn(x, scale)
    # One level further than the limits tells inside from outside as rounding without limits would.
    levels = nearest(_clamp(exact, low - 1, high + 1))
    kept = (levels >= low) & (levels <= high)
    of_x = tl.where(kept, gradient, 0.0)
    return of_x, gradient * tl.where(kept, levels - exact, _clamp(levels, low, high))


@triton.jit
def _clamp(x, low, high):  # type: ignore[no-untyped-def]
    """Of NaN NaN: a training that diverged must not look like one that did not."""
    return tl.where(x < low, low, tl.where(x > high, high, x))


@triton.jit
def nearest(x):  # type: ignore[no-untyped-def]
    """Half to even, for magnitudes below 2^22: a float32 above 1.5 * 2^23 has no bits left for fractions."""
    return (x + 12582912.0) - 12582912.0
