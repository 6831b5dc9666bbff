import gc
import weakref

import pytest
import torch
from torch import Tensor, nn

from models import fast_quantizer
from models.backbone import ConvNormAct
from models.brevitas_adapter import (
    QuantLayers,
    activation_quantizers,
    scale_parameters,
    set_activation_threshold,
)
from models.layers import FloatLayers, LayerFactory
from models.loop import arithmetic
from models.recompute import normalize_and_act


@pytest.fixture(autouse=True)
def _all_maps_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_quantizer, "COMPACT_BYTES", 0)


def chain(layers: LayerFactory) -> nn.Sequential:
    """Two convolutions with BatchNorm; the second reads what the first quantized."""
    torch.manual_seed(0)
    built = nn.Sequential(
        ConvNormAct(layers.conv(3, 8, 3, 1, 1, 4), layers.relu6(4)),
        ConvNormAct(layers.conv(8, 8, 7, 1, 8, 4), layers.identity(4)),
        ConvNormAct(layers.conv(8, 4, 1, 1, 1, 4), layers.relu6(4)),
    ).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for module in built.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, -1.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    for quantizer in activation_quantizers(built).values():
        set_activation_threshold(quantizer, 1.7)
    return built


def stepped(network: nn.Sequential, x: Tensor) -> dict[str, Tensor]:
    """Output, running statistics and gradients of one step."""
    x = x.clone(memory_format=torch.preserve_format).requires_grad_()
    y = network(x)
    (y * torch.linspace(-1, 1, y.numel()).view(y.shape)).sum().backward()
    assert x.grad is not None
    found = {"output": y.detach(), "input": x.grad}
    found |= {name: buffer.clone() for name, buffer in network.named_buffers()}
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        found[name] = parameter.grad.clone()
    return found


def plainly(self: ConvNormAct, x: Tensor) -> Tensor:
    """What the fast path replaces, with Brevitas's own arithmetic where it quantizes."""
    result: Tensor = self.act(self.norm(self.conv(x)))
    return result


@pytest.mark.parametrize("quantized", [True, False])
def test_a_step_is_the_one_that_keeps_everything(quantized: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn((4, 3, 9, 9), generator=torch.Generator().manual_seed(1)).to(
        memory_format=torch.channels_last
    )
    ours = chain(QuantLayers() if quantized else FloatLayers())
    stock = chain(QuantLayers(fast=False) if quantized else FloatLayers())
    found = stepped(ours, x)
    monkeypatch.setattr(ConvNormAct, "forward", plainly)
    expected = stepped(stock, x)
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        if name == "output" or "running" in name or "tracked" in name:
            assert torch.equal(found[name], tensor), name
        else:
            scale = float(tensor.abs().max()) or 1.0
            torch.testing.assert_close(found[name], tensor, rtol=1e-4, atol=1e-4 * scale, msg=name)


def test_the_map_between_is_freed_before_the_backward_pass() -> None:
    kept: list[weakref.ref[Tensor]] = []
    network = chain(QuantLayers())
    for block in network:
        block.act.register_forward_pre_hook(lambda _module, inputs: kept.append(weakref.ref(inputs[0])))
    network(torch.randn(2, 3, 9, 9, requires_grad=True))
    gc.collect()
    assert len(kept) == 3
    assert [reference() for reference in kept] == [None] * 3


def test_evaluation_and_frozen_statistics_take_the_ordinary_way() -> None:
    network = chain(QuantLayers()).eval()
    x = torch.randn(2, 3, 9, 9)
    before = network[0].norm.running_mean.clone()
    assert torch.equal(network[0](x), network[0].act(network[0].norm(network[0].conv(x))))
    assert torch.equal(network[0].norm.running_mean, before)
    norm = nn.BatchNorm2d(3, momentum=None).train()
    normalize_and_act(x, norm, nn.Identity())
    torch.testing.assert_close(norm.running_mean, x.mean((0, 2, 3)), rtol=1e-4, atol=1e-6)


def test_bfloat16_has_gradients_near_those_of_float32() -> None:
    x = torch.randn((8, 3, 9, 9), generator=torch.Generator().manual_seed(1))
    network = chain(FloatLayers())
    gradients = []
    for precision in ("float32", "bfloat16"):
        network.zero_grad()
        with arithmetic(precision, x.device):  # type: ignore[arg-type]
            y = network(x)
        y.float().square().sum().backward()
        gradients.append(torch.cat([p.grad.flatten().clone() for p in network.parameters()]))
    assert float((gradients[1] - gradients[0]).norm() / gradients[0].norm()) < 0.1


def test_scales_get_gradients() -> None:
    network = chain(QuantLayers())
    stepped(network, torch.randn(2, 3, 9, 9))
    assert all(scale.grad is not None and scale.grad.abs().sum() > 0 for scale in scale_parameters(network))
