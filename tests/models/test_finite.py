import pytest
import torch
from torch import nn

from models.finite import not_finite


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_the_first_tensor_with_such_a_value_is_named(value: float) -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(2, 2))
    assert not_finite(network) is None
    with torch.no_grad():
        network[2].bias[1] = value
        assert not_finite(network) == "2.bias"
        network[1].running_var[0] = value  # type: ignore[index]
    assert not_finite(network) == "1.running_var"
