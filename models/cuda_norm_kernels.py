"""Triton kernels of `models.cuda_norm`; import this late, as `models.cuda_kernels`.

All of them see a map as rows of columns. A column is a channel; or, where a row of channels is narrow, several rows
are one, and column j is channel j modulo the channels: lines of memory are whole then, and no lane of a tile idles.
A program takes `STEPS` tiles below each other. `units` times `UNIT` columns, so that the compiler knows a divisor of
their number: without it, it reads one element at a time.
"""

import triton
import triton.language as tl

from models.cuda_kernels import nearest

NOTHING, CLAMP, QUANTIZE = (tl.constexpr(kind) for kind in range(3))
"""What follows a BatchNorm."""


@triton.jit
def measure(  # type: ignore[no-untyped-def]
    x_ptr, means_ptr, squares_ptr, rows, units,
    UNIT: tl.constexpr, BLOCK_ROWS: tl.constexpr, BLOCK_COLUMNS: tl.constexpr, STEPS: tl.constexpr,
):  # fmt: skip
    """For each column of a program's rows: their mean, and the sum of squared distances from it."""
    columns = units * UNIT
    chunk, column, row = _place(columns, BLOCK_ROWS, BLOCK_COLUMNS, STEPS)
    count = tl.zeros([BLOCK_ROWS, 1], tl.float32)
    mean = tl.zeros([BLOCK_ROWS, BLOCK_COLUMNS], tl.float32)
    squares = tl.zeros([BLOCK_ROWS, BLOCK_COLUMNS], tl.float32)
    # Welford's recurrence for each place of the tile: a sum of squares less the square of a sum loses the variance
    # of a channel far from zero.
    for step in range(STEPS):
        inside = row + step * BLOCK_ROWS < rows
        mask = inside & (column < columns)
        offsets = (row + step * BLOCK_ROWS) * columns + column
        x = tl.load(x_ptr + offsets, mask=mask, other=0.0).to(tl.float32)
        x = tl.where(mask, x, mean)  # changes nothing
        distance = x - mean
        mean += distance * (1.0 / (step + 1))
        squares += distance * (x - mean)
        count += inside.to(tl.float32)
    of_all = (tl.sum(mean * count, 0) / tl.sum(count, 0))[None, :]
    distance = mean - of_all
    squares += count * distance * distance
    offsets, mask = chunk * columns + column, column < columns
    tl.store(means_ptr + offsets, of_all, mask=mask)
    tl.store(squares_ptr + offsets, tl.sum(squares, 0)[None, :], mask=mask)


@triton.jit
def conclude(  # type: ignore[no-untyped-def]
    means_ptr, squares_ptr, mean_ptr, inverse_ptr, running_mean_ptr, running_variance_ptr, threshold_ptr, scale_ptr,
    n, rows, channels, parts, part_rows, fold, momentum, epsilon, smallest, levels,
    QUANTIZES: tl.constexpr, BLOCK_PARTS: tl.constexpr, BLOCK_CHANNELS: tl.constexpr, LOOPS: tl.constexpr,
):  # fmt: skip
    """Mean and inverse deviation of channels, their running statistics, and the scale of the quantizer.

    Args:
        n: Values of a channel.
        rows: Of the map as `measure` saw it, `fold` rows of channels in one.
        parts: For each channel; `fold` of `part_rows` rows each, the last `fold` of what is left.
    """
    channel = tl.program_id(0) * BLOCK_CHANNELS + tl.arange(0, BLOCK_CHANNELS)[None, :]
    part = tl.arange(0, BLOCK_PARTS)[:, None]
    total = tl.zeros([BLOCK_PARTS, BLOCK_CHANNELS], tl.float32)
    for loop in range(LOOPS):
        mask, offsets, count = _parts(
            loop, part, channel, rows, channels, parts, part_rows, fold, BLOCK_PARTS
        )
        total += count * tl.load(means_ptr + offsets, mask=mask, other=0.0)
    mean = (tl.sum(total, 0) / n)[None, :]
    total = tl.zeros([BLOCK_PARTS, BLOCK_CHANNELS], tl.float32)
    for loop in range(LOOPS):
        mask, offsets, count = _parts(
            loop, part, channel, rows, channels, parts, part_rows, fold, BLOCK_PARTS
        )
        distance = tl.load(means_ptr + offsets, mask=mask, other=0.0) - mean
        total += tl.load(squares_ptr + offsets, mask=mask, other=0.0)
        total += tl.where(mask, count * distance * distance, 0.0)
    squares = tl.sum(total, 0)[None, :]
    mask = channel < channels
    tl.store(mean_ptr + channel, mean, mask=mask)
    tl.store(inverse_ptr + channel, tl.div_rn(1.0, tl.sqrt_rn(squares / n + epsilon)), mask=mask)
    running = tl.load(running_mean_ptr + channel, mask=mask, other=0.0)
    tl.store(running_mean_ptr + channel, momentum * mean + (1 - momentum) * running, mask=mask)
    running = tl.load(running_variance_ptr + channel, mask=mask, other=0.0)
    running = momentum * (squares / (n - 1)) + (1 - momentum) * running
    tl.store(running_variance_ptr + channel, running, mask=mask)
    if QUANTIZES:
        threshold = tl.load(threshold_ptr)
        scale = tl.div_rn(tl.where(threshold < smallest, smallest, threshold), levels)
        if tl.program_id(0) == 0:
            tl.store(scale_ptr, scale)


@triton.jit
def apply(  # type: ignore[no-untyped-def]
    x_ptr, mean_ptr, inverse_ptr, weight_ptr, bias_ptr, scale_ptr, y_ptr, rows, units, channels, low, high,
    KIND: tl.constexpr, UNIT: tl.constexpr, BLOCK_ROWS: tl.constexpr, BLOCK_COLUMNS: tl.constexpr,
    STEPS: tl.constexpr,
):  # fmt: skip
    """The normalized map and what follows."""
    columns = units * UNIT
    _chunk, column, row = _place(columns, BLOCK_ROWS, BLOCK_COLUMNS, STEPS)
    channel = _modulo(column, channels, UNIT)
    mean, inverse, weight, bias = _channel(mean_ptr, inverse_ptr, weight_ptr, bias_ptr, channel)
    scale, reciprocal = _scale(scale_ptr, KIND)
    for step in range(STEPS):
        mask = (row + step * BLOCK_ROWS < rows) & (column < columns)
        offsets = (row + step * BLOCK_ROWS) * columns + column
        x = tl.load(x_ptr + offsets, mask=mask, other=0.0)
        _deviation, z = _normalized(x, mean, inverse, weight, bias)
        if KIND == QUANTIZE:
            z = nearest(_clamp(_quotient(z, scale, reciprocal), low, high)) * scale
        elif KIND == CLAMP:
            z = _clamp(z, low, high)
        tl.store(y_ptr + offsets, z.to(y_ptr.dtype.element_ty), mask=mask)


@triton.jit
def gather(  # type: ignore[no-untyped-def]
    x_ptr, gradient_ptr, mean_ptr, inverse_ptr, weight_ptr, bias_ptr, scale_ptr,
    products_ptr, sums_ptr, of_scale_ptr, rows, units, channels, low, high,
    KIND: tl.constexpr, UNIT: tl.constexpr, BLOCK_ROWS: tl.constexpr, BLOCK_COLUMNS: tl.constexpr,
    STEPS: tl.constexpr,
):  # fmt: skip
    """For each column of a program's rows: parts of the gradients of weight and bias; one of that of the scale."""
    columns = units * UNIT
    chunk, column, row = _place(columns, BLOCK_ROWS, BLOCK_COLUMNS, STEPS)
    channel = _modulo(column, channels, UNIT)
    mean, inverse, weight, bias = _channel(mean_ptr, inverse_ptr, weight_ptr, bias_ptr, channel)
    scale, reciprocal = _scale(scale_ptr, KIND)
    if KIND == QUANTIZE:
        of_scale = tl.zeros([BLOCK_ROWS, BLOCK_COLUMNS], tl.float32)
    products = tl.zeros([BLOCK_ROWS, BLOCK_COLUMNS], tl.float32)
    sums = tl.zeros([BLOCK_ROWS, BLOCK_COLUMNS], tl.float32)
    for step in range(STEPS):
        mask = (row + step * BLOCK_ROWS < rows) & (column < columns)
        offsets = (row + step * BLOCK_ROWS) * columns + column
        x = tl.load(x_ptr + offsets, mask=mask, other=0.0)
        gradient = tl.load(gradient_ptr + offsets, mask=mask, other=0.0).to(tl.float32)
        deviation, z = _normalized(x, mean, inverse, weight, bias)
        of_z, addition = _passed(z, gradient, scale, reciprocal, low, high, KIND)
        sums += of_z
        products += of_z * deviation
        if KIND == QUANTIZE:
            of_scale += addition
    offsets, mask = chunk * columns + column, column < columns
    tl.store(products_ptr + offsets, tl.sum(products, 0)[None, :], mask=mask)
    tl.store(sums_ptr + offsets, tl.sum(sums, 0)[None, :], mask=mask)
    if KIND == QUANTIZE:
        tl.store(of_scale_ptr + tl.program_id(0), tl.sum(tl.sum(of_scale, 0), 0))


@triton.jit
def total(  # type: ignore[no-untyped-def]
    products_ptr, sums_ptr, of_scale_ptr, scale_ptr, of_weight_ptr, of_bias_ptr, of_value_ptr,
    channels, parts, programs,
    QUANTIZES: tl.constexpr, BLOCK_PARTS: tl.constexpr, BLOCK_CHANNELS: tl.constexpr, LOOPS: tl.constexpr,
    PROGRAM_LOOPS: tl.constexpr,
):  # fmt: skip
    """The gradients of weight and bias of channels, and of the base-2 logarithm of the quantizer's threshold."""
    channel = tl.program_id(0) * BLOCK_CHANNELS + tl.arange(0, BLOCK_CHANNELS)[None, :]
    part = tl.arange(0, BLOCK_PARTS)[:, None]
    products = tl.zeros([BLOCK_PARTS, BLOCK_CHANNELS], tl.float32)
    sums = tl.zeros([BLOCK_PARTS, BLOCK_CHANNELS], tl.float32)
    for loop in range(LOOPS):
        index = loop * BLOCK_PARTS + part
        mask = (index < parts) & (channel < channels)
        products += tl.load(products_ptr + index * channels + channel, mask=mask, other=0.0)
        sums += tl.load(sums_ptr + index * channels + channel, mask=mask, other=0.0)
    tl.store(of_weight_ptr + channel, tl.sum(products, 0)[None, :], mask=channel < channels)
    tl.store(of_bias_ptr + channel, tl.sum(sums, 0)[None, :], mask=channel < channels)
    if QUANTIZES:  # noqa: SIM102  the compiler knows this one
        if tl.program_id(0) == 0:
            found = tl.zeros([1024], tl.float32)
            for loop in range(PROGRAM_LOOPS):
                index = loop * 1024 + tl.arange(0, 1024)
                found += tl.load(of_scale_ptr + index, mask=index < programs, other=0.0)
            tl.store(of_value_ptr, tl.sum(found, 0) * tl.load(scale_ptr) * 0.6931471805599453)


@triton.jit
def differentiate(  # type: ignore[no-untyped-def]
    x_ptr, gradient_ptr, mean_ptr, inverse_ptr, weight_ptr, bias_ptr, scale_ptr,
    of_weight_ptr, of_bias_ptr, of_x_ptr, n, rows, units, channels, low, high,
    KIND: tl.constexpr, UNIT: tl.constexpr, BLOCK_ROWS: tl.constexpr, BLOCK_COLUMNS: tl.constexpr,
    STEPS: tl.constexpr,
):  # fmt: skip
    """The gradient of x."""
    columns = units * UNIT
    _chunk, column, row = _place(columns, BLOCK_ROWS, BLOCK_COLUMNS, STEPS)
    channel = _modulo(column, channels, UNIT)
    mean, inverse, weight, bias = _channel(mean_ptr, inverse_ptr, weight_ptr, bias_ptr, channel)
    along, constant = tl.load(of_weight_ptr + channel) / n, tl.load(of_bias_ptr + channel) / n
    scale, reciprocal = _scale(scale_ptr, KIND)
    for step in range(STEPS):
        mask = (row + step * BLOCK_ROWS < rows) & (column < columns)
        offsets = (row + step * BLOCK_ROWS) * columns + column
        x = tl.load(x_ptr + offsets, mask=mask, other=0.0)
        gradient = tl.load(gradient_ptr + offsets, mask=mask, other=0.0).to(tl.float32)
        deviation, z = _normalized(x, mean, inverse, weight, bias)
        of_z, _addition = _passed(z, gradient, scale, reciprocal, low, high, KIND)
        of_x = (of_z - constant - deviation * along) * (weight * inverse)
        tl.store(of_x_ptr + offsets, of_x.to(of_x_ptr.dtype.element_ty), mask=mask)


@triton.jit
def _place(  # type: ignore[no-untyped-def]
    columns, BLOCK_ROWS: tl.constexpr, BLOCK_COLUMNS: tl.constexpr, STEPS: tl.constexpr
):
    """A program's chunk of rows, its columns and the rows of its first tile; neighbours read the same rows."""
    blocks = tl.cdiv(columns, BLOCK_COLUMNS)
    chunk = tl.program_id(0) // blocks
    column = (tl.program_id(0) % blocks) * BLOCK_COLUMNS + tl.arange(0, BLOCK_COLUMNS)[None, :]
    return chunk, column, chunk * (BLOCK_ROWS * STEPS) + tl.arange(0, BLOCK_ROWS)[:, None]


@triton.jit
def _parts(  # type: ignore[no-untyped-def]
    loop, part, channel, rows, channels, parts, part_rows, fold, BLOCK_PARTS: tl.constexpr
):
    """Which parts to read in a loop, where they are and how many rows they are of."""
    index = loop * BLOCK_PARTS + part
    count = tl.minimum(rows - (index // fold) * part_rows, part_rows).to(tl.float32)
    mask = (index < parts) & (channel < channels)
    return mask, index * channels + channel, tl.where(index < parts, count, 0.0)


@triton.jit
def _modulo(column, channels, UNIT: tl.constexpr):  # type: ignore[no-untyped-def]
    """The channels of columns; `UNIT` consecutive ones stay consecutive."""
    return tl.max_contiguous(tl.multiple_of(column % channels, (1, UNIT)), (1, UNIT))


@triton.jit
def _channel(mean_ptr, inverse_ptr, weight_ptr, bias_ptr, channel):  # type: ignore[no-untyped-def]
    mean, inverse = tl.load(mean_ptr + channel), tl.load(inverse_ptr + channel)
    return mean, inverse, tl.load(weight_ptr + channel), tl.load(bias_ptr + channel)


@triton.jit
def _normalized(x, mean, inverse, weight, bias):  # type: ignore[no-untyped-def]
    """Distances from the mean in deviations, and the normalized map, rounded as if it had been stored."""
    deviation = (x.to(tl.float32) - mean) * inverse
    # An explicit `fma`: the backward pass must make the very values of the forward pass again.
    return deviation, tl.fma(deviation, weight, bias).to(x.dtype).to(tl.float32)


@triton.jit
def _passed(z, gradient, scale, reciprocal, low, high, KIND: tl.constexpr):  # type: ignore[no-untyped-def]
    """By element: the gradient of the normalized map, and what it adds to that of the scale."""
    of_z = gradient
    addition = gradient
    if KIND == QUANTIZE:
        exact = _quotient(z, scale, reciprocal)
        # One level further than the limits tells inside from outside as rounding without limits would.
        levels = nearest(_clamp(exact, low - 1, high + 1))
        limited = _clamp(levels, low, high)
        kept = limited == levels
        of_z = tl.where(kept, gradient, 0.0)
        addition = gradient * (limited - tl.where(kept, exact, 0.0))
    elif KIND == CLAMP:
        of_z = tl.where((z <= low) | (z >= high), 0.0, gradient)
    return of_z, addition


@triton.jit
def _scale(scale_ptr, KIND: tl.constexpr):  # type: ignore[no-untyped-def]
    scale = 1.0
    if KIND == QUANTIZE:
        scale = tl.load(scale_ptr)
    return scale, tl.div_rn(1.0, scale)


@triton.jit
def _quotient(x, scale, reciprocal):  # type: ignore[no-untyped-def]
    """x / scale, rounded to nearest: what a division does after finding the reciprocal, a third of its time.

    Beyond the range of numbers NaN.
    """
    found = x * reciprocal
    found = tl.fma(tl.fma(-found, scale, x), reciprocal, found)
    return tl.fma(tl.fma(-found, scale, x), reciprocal, found)


@triton.jit
def _clamp(x, low, high):  # type: ignore[no-untyped-def]
    """Of NaN NaN: a training that diverged must not look like one that did not."""
    x = tl.maximum(x, low, propagate_nan=tl.PropagateNan.ALL)
    return tl.minimum(x, high, propagate_nan=tl.PropagateNan.ALL)
