import pytest
import torch

from hwcost.networks import Precision, uniform_precision
from models import brevitas_adapter
from models.architecture import ALLOWED_BITS
from models.brevitas_adapter import FusedIntQuant
from models.network import EarlyExitNetwork, Mount, architecture_mounts
from models.objective import joint_loss
from models.train import quantized_network
from tests.models.small import MIXED, SPEC, digits, warm_start


def mixed() -> EarlyExitNetwork:
    return quantized_network(SPEC, architecture_mounts(MIXED, SPEC), MIXED.precision(), warm_start())


def expected_bits(name: str) -> tuple[int, int]:
    """Bits of weights and activations of the module `name` in `MIXED`."""
    parts = name.split(".")
    if parts[0] == "blocks":
        return MIXED.weight_bits[int(parts[1])], MIXED.activation_bits[int(parts[1])]
    if parts[0] == "heads" and not parts[1].endswith("_2"):
        return MIXED.head_weight_bits, MIXED.head_activation_bits
    return 8, 8


def test_every_layer_has_the_bits_of_its_block() -> None:
    network = mixed()
    weights = brevitas_adapter.weight_layers(network)
    activations = brevitas_adapter.activation_quantizers(network)
    assert len(weights) == 1 + 2 + 3 + 3 + 2 + 1 + 1
    assert len(activations) == 2 + 2 + 4 + 3 + 1 + 1  # image and stem, blocks (one with an addition), heads
    for name, layer in weights.items():
        assert brevitas_adapter.weight_bits(layer) == expected_bits(name)[0], name
    for name, quantizer in activations.items():
        assert brevitas_adapter.activation_bits(quantizer) == expected_bits(name)[1], name


def test_weights_lie_on_the_grid_of_their_bits() -> None:
    for name, layer in brevitas_adapter.weight_layers(mixed()).items():
        steps = brevitas_adapter.quantized_weight(layer) / brevitas_adapter.weight_scale(layer)
        assert (steps - steps.round()).abs().max() < 1e-3, name
        assert steps.abs().max() <= 2 ** (expected_bits(name)[0] - 1) - 1 + 1e-3, name
        assert brevitas_adapter.weight_scale(layer).numel() == layer.weight.shape[0], name


@pytest.mark.parametrize("training", [True, False])
def test_activations_lie_on_the_grid_of_their_bits(training: bool) -> None:
    network = mixed().train(training)
    seen: dict[str, torch.Tensor] = {}
    for name, quantizer in brevitas_adapter.activation_quantizers(network).items():
        quantizer.register_forward_hook(lambda _module, _inputs, y, name=name: seen.update({name: y}))
    network(torch.randn((4, 1, 16, 16), generator=torch.Generator().manual_seed(0)))
    for name, quantizer in brevitas_adapter.activation_quantizers(network).items():
        steps = seen[name] / brevitas_adapter.activation_scale(quantizer)
        bits = expected_bits(name)[1]
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        if not brevitas_adapter.is_signed(quantizer):
            low, high = 0, 2**bits - 1
        assert (steps - steps.round()).abs().max() < 1e-3, name
        assert low - 1e-3 <= steps.min(), name
        assert steps.max() <= high + 1e-3, name
        assert len(steps.round().unique()) > 1, name


def test_fewer_bits_mean_fewer_values() -> None:
    sizes = []
    for bits in ALLOWED_BITS:
        precision = uniform_precision(SPEC.n_blocks, bits, bits)
        network = quantized_network(SPEC, (Mount(2, "fc"),), precision, warm_start())
        layer = brevitas_adapter.weight_layers(network)["blocks.1.expand.conv"]
        steps = brevitas_adapter.quantized_weight(layer) / brevitas_adapter.weight_scale(layer)
        sizes.append(len(steps.round().unique()))
    assert sizes == sorted(sizes)
    assert sizes[0] <= 3
    assert sizes[-1] > 50


def test_loading_weights_keeps_our_arithmetic() -> None:
    # Brevitas builds its quantizers anew when a state dict is loaded.
    for quantizer in brevitas_adapter.activation_quantizers(mixed()).values():
        tensor_quant = quantizer.act_quant.fused_activation_quant_proxy.tensor_quant
        assert isinstance(tensor_quant, FusedIntQuant)


@pytest.mark.parametrize("bits", ALLOWED_BITS)
def test_gradients_are_finite_and_reach_everything(bits: int) -> None:
    data = digits()
    precision = Precision((bits,) * 3, (bits,) * 3, bits, bits)
    mounts = (Mount(0, "gap"), Mount(1, "fc_hidden"), Mount(2, "fc"))
    network = quantized_network(SPEC, mounts, precision, warm_start()).train()
    images = (data.train_images[:64].float() / 255 - data.mean[0]) / data.std[0]
    logits = network(images)
    teacher = warm_start().teacher_logits[:64]
    loss = joint_loss(logits, data.train_labels[:64], teacher, torch.ones(3), torch.full((3,), 0.5), 2.0, 0.0)
    loss.backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        if name.endswith("conv.weight"):
            assert parameter.grad.abs().sum() > 0, name


def test_scales_are_the_only_parameters_a_float_network_lacks() -> None:
    network = mixed()
    scales = brevitas_adapter.scale_parameters(network)
    extra = [name for name, _ in network.named_parameters() if name not in warm_start().state]
    assert (
        len(scales)
        == len(extra)
        == len(brevitas_adapter.weight_layers(network)) + len(brevitas_adapter.activation_quantizers(network))
    )


def test_at_8_bits_the_quantized_network_says_what_the_float_one_says() -> None:
    data, warm = digits(), warm_start()
    mounts = (Mount(0, "fc"), Mount(2, "fc"))
    quantized = quantized_network(SPEC, mounts, uniform_precision(3), warm).eval()
    plain = EarlyExitNetwork(SPEC, mounts, 10, 16).eval()
    plain.load_state_dict({name: warm.state[name] for name in plain.state_dict()})
    images = (data.validation_images.float() / 255 - data.mean[0]) / data.std[0]
    with torch.no_grad():
        for mine, theirs in zip(quantized(images), plain(images), strict=True):
            assert (mine - theirs).abs().mean() < 0.05 * theirs.std()
