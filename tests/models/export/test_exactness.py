import copy

import torch
from torch import nn

from models.export.exactness import EXACT_BELOW, LargestSum, largest_sum
from models.plain_layers import Grid, IntegerWeight, PlainConv, PlainLinear
from tests.models.export.small_export import folded, images


def linear(integers: list[list[int]], grid: Grid | None) -> PlainLinear:
    weights = torch.tensor(integers, dtype=torch.int8)
    return PlainLinear(IntegerWeight(weights, torch.ones(len(integers)), 8), None, grid)


def levels(bits: int, signed: bool) -> Grid:
    return Grid(torch.ones(()), bits, signed)


def test_it_is_what_the_worst_image_gives() -> None:
    """By hand: the row with the largest sum of magnitudes, times the largest level."""
    network = nn.Sequential(
        linear([[1, -2, 3], [100, 0, -20]], levels(4, signed=False)),
        linear([[127, 1]], levels(3, signed=True)),
    )
    assert largest_sum(network) == LargestSum("0", 120 * 15)
    assert largest_sum(network[1:]) == LargestSum("1", 128 * 4)


def test_a_layer_that_reads_no_integers_has_no_exact_sums() -> None:
    found = largest_sum(nn.Sequential(linear([[1, 2]], levels(4, signed=False)), linear([[3]], None)))
    assert found == LargestSum("0", 45, ("1",))
    assert not found.is_exact
    assert "`1` read values that no quantizer made" in found.line()


def test_no_sum_of_a_real_network_is_larger() -> None:
    network = copy.deepcopy(folded())
    x = torch.from_numpy(images())
    seen = dict[str, float]()

    def watch(name: str, layer: nn.Module, x: torch.Tensor) -> None:
        assert isinstance(layer, (PlainConv, PlainLinear))
        assert layer.input_scale is not None
        integers = torch.div(x, layer.input_scale).round().abs()
        seen[name] = float(layer.multiply(integers, layer.weight.abs()).max())

    for name, layer in network.named_modules():
        if isinstance(layer, (PlainConv, PlainLinear)):
            layer.register_forward_pre_hook(lambda module, given, name=name: watch(name, module, given[0]))
    with torch.no_grad():
        network(x)
    found = largest_sum(network)
    assert 0 < max(seen.values()) <= found.magnitude
    assert found.layer in seen
    assert found.off_grid == ()


def test_the_card_says_whether_all_sums_are_exact() -> None:
    assert "all sums are exact" in LargestSum("heads.fc_11.fc", EXACT_BELOW - 1).line()
    assert "depend on the runtime" in LargestSum("heads.fc_11.fc", EXACT_BELOW).line()
    assert LargestSum("a", EXACT_BELOW).to_dict()["is_exact"] is False
