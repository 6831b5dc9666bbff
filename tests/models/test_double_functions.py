"""Functions in float64: what PyTorch has in float32, and the same bits in ONNX Runtime."""

import io
import warnings

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from models.double_functions import InDouble, in_double

FUNCTIONS: tuple[nn.Module, ...] = (
    nn.SiLU(), nn.Sigmoid(), nn.Tanh(), nn.Hardsigmoid(), nn.Hardswish(), nn.ELU(), nn.ELU(0.3),
    nn.AdaptiveAvgPool2d(1),
)  # fmt: skip


def names(module: nn.Module) -> str:
    return str(module)


def values() -> torch.Tensor:
    """Most of them where the functions bend, some far outside."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(8, 32, 15, 15, generator=generator) * 3
    x[0, 0, 0, :6] = torch.tensor([0.0, -0.0, -200.0, 200.0, -3.0, 3.0])
    return x


def replaced(module: nn.Module) -> InDouble:
    found = in_double(module)
    assert found is not None
    return found


@pytest.mark.parametrize("module", FUNCTIONS, ids=names)
def test_it_is_the_function_rounded_once(module: nn.Module) -> None:
    x = values()
    result = replaced(module)(x)
    assert result.dtype == torch.float32
    torch.testing.assert_close(result, module(x), rtol=2e-6, atol=1e-6)
    assert torch.equal(result, module(x.double()).float())


@pytest.mark.parametrize("module", FUNCTIONS, ids=names)
def test_onnx_runtime_gives_the_same_bits(module: nn.Module) -> None:
    x, content = values(), io.BytesIO()
    function = replaced(module)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the age of the exporter
        torch.onnx.export(
            function, (x,), content, input_names=["x"], output_names=["y"], opset_version=17, dynamo=False
        )
    session = onnxruntime.InferenceSession(content.getvalue(), providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {"x": x.numpy()})
    np.testing.assert_array_equal(y, function(x).numpy())


@pytest.mark.parametrize("module", [nn.ReLU(), nn.ReLU6(), nn.GELU(), nn.AdaptiveAvgPool2d(2)], ids=names)
def test_others_stay_as_they_are(module: nn.Module) -> None:
    assert in_double(module) is None
