"""Bit by bit what the layers of `models.plain_layers` compute, with bytes and without them."""

import pytest
import torch
from torch import Tensor

from models import integer_conv
from models.architecture import ALLOWED_BITS
from models.byte_products import are_exact
from models.integer_conv import PIECE_ELEMENTS, IntegerConv, integers_of
from models.plain_layers import Grid, IntegerWeight, PlainConv, PlainQuantizer


@pytest.fixture(params=["bytes", "float32"])
def kept_in(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What integers are kept in."""
    if request.param == "float32":
        monkeypatch.setattr(integer_conv, "are_exact", lambda: False)
    elif not are_exact():
        pytest.skip("this processor does not multiply bytes exactly")
    return str(request.param)


def plain_conv(
    grid: Grid,
    kernel: int = 3,
    channels: int = 20,
    groups: int = 1,
    bias: bool = True,
    seed: int = 0,
    inputs: int | None = None,
    padding: int | None = None,
) -> PlainConv:
    generator = torch.Generator().manual_seed(seed)
    shape = (channels, (inputs or channels) // groups, kernel, kernel)
    integers = torch.randint(-7, 8, shape, generator=generator).to(torch.int8)
    source = IntegerWeight(integers, torch.rand(channels, generator=generator) * 0.01 + 1e-3, 4)
    offset = torch.randn(channels, generator=generator) if bias else None
    around = (kernel // 2 if padding is None else padding,) * 2
    return PlainConv(source, offset, grid, (1, 1), around, (1, 1), groups)


def on_grid(grid: Grid, shape: tuple[int, ...] = (3, 20, 11, 9), seed: int = 1) -> Tensor:
    low = -(2 ** (grid.bits - 1)) if grid.signed else 0
    generator = torch.Generator().manual_seed(seed)
    integers = torch.randint(low, low + 2**grid.bits, shape, generator=generator)
    return (integers.float() * grid.scale).contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", ALLOWED_BITS)
def test_chains_of_convolutions_and_quantizers(bits: int, signed: bool, kept_in: str) -> None:
    grid = Grid(torch.tensor(0.0371), bits, signed)
    inner = PlainQuantizer(torch.tensor(0.0213), bits, signed)
    first = plain_conv(grid)
    second = plain_conv(Grid(inner.scale, bits, signed), kernel=5, groups=20, bias=False, seed=2)
    x = on_grid(grid)
    wanted = second(inner(first(x)))
    between = IntegerConv(first, False, inner)(x)
    assert between.dtype == (torch.uint8 if kept_in == "bytes" else torch.float32)
    assert torch.equal(IntegerConv(second, True, None)(between), wanted)
    assert wanted.std() > 0


def test_maps_larger_than_a_piece(kept_in: str) -> None:
    grid, inner = Grid(torch.tensor(0.05), 8, False), PlainQuantizer(torch.tensor(0.01), 4, False)
    first, second = plain_conv(grid, 1), plain_conv(Grid(inner.scale, 4, False), 1, seed=5)
    x = on_grid(grid, (2, 20, 83, 79))
    assert x.numel() > PIECE_ELEMENTS
    found = IntegerConv(second, True, None)(IntegerConv(first, False, inner)(x))
    assert torch.equal(found, second(inner(first(x))))


@pytest.mark.parametrize("signed", [False, True])
def test_grouped_convolutions(signed: bool, kept_in: str) -> None:
    """66 outputs a group with a zero that is not byte 0: oneDNN 3.12 gives other sums than these."""
    grid, inner = Grid(torch.tensor(0.05), 8, signed), PlainQuantizer(torch.tensor(0.01), 8, signed)
    first = plain_conv(grid, 1, channels=2)
    second = plain_conv(Grid(inner.scale, 8, signed), channels=132, groups=2, seed=3, inputs=2, padding=0)
    x = on_grid(grid, (3, 2, 16, 15))
    between = IntegerConv(first, False, inner)(x)
    assert between.dtype == (torch.uint8 if kept_in == "bytes" else torch.float32)
    assert torch.equal(IntegerConv(second, True, None)(between), second(inner(first(x))))


@pytest.mark.usefixtures("kept_in")
def test_the_input_stays_as_it_is() -> None:
    grid = Grid(torch.tensor(0.05), 6, True)
    x = on_grid(grid)
    before = x.clone()
    IntegerConv(plain_conv(grid), False, PlainQuantizer(torch.tensor(0.02), 4, True))(x)
    assert torch.equal(x, before)


@pytest.mark.parametrize(("signed", "zero"), [(False, 0), (True, 128)])
def test_integers_of_a_map(signed: bool, zero: int) -> None:
    if not are_exact():
        pytest.skip("this processor does not multiply bytes exactly")
    grid = Grid(torch.tensor(0.3), 8, signed)
    low = -128 if signed else 0
    x = (torch.arange(256).float() + low).mul(0.3).view(1, 4, 8, 8)
    found = integers_of(x, grid)
    assert torch.equal(found.flatten().int(), torch.arange(256).int() + low + zero)
