"""Rebuilt stages compute what the author's modules compute, and everything in them is quantized."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hwcost.errors import OfframpError
from hwcost.networks import Precision
from models import brevitas_adapter
from models.backbones.build import weight_names
from models.backbones.convert import build_stage
from models.backbones.open import open_backbone
from models.backbones.operations import UNSIGNED_FUNCTIONS
from models.layers import FloatLayers
from models.network import EarlyExitNetwork, Mount
from tests.models.backbones import user_backbone
from tests.models.backbones.user_backbone import Functional, Residual

USER = "tests.models.backbones.user_backbone"
BUILT_IN = ("resnet18", "mobilenet_v2", "efficientnet_b0")


def randomize(module: nn.Module) -> None:
    """Weights and statistics under which every layer matters."""
    generator = torch.Generator().manual_seed(3)
    for name, tensor in module.state_dict().items():
        if name.endswith("running_var") or (tensor.dim() == 1 and name.endswith("weight")):
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
        elif tensor.is_floating_point():
            fan_in = max(1, tensor[0].numel())
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * (1.5 / fan_in) ** 0.5)


def rebuilt_like(stage: nn.Module) -> nn.Module:
    """The stage rebuilt from float layers, with its weights."""
    built = build_stage(stage, 8, 8, FloatLayers(), "the stage")
    for new, old in built.origins.items():
        built.module.get_submodule(new).load_state_dict(stage.get_submodule(old).state_dict())
    return built.module.eval()


@pytest.mark.parametrize(
    "stage",
    [
        Residual(6, 6, 1),
        Residual(6, 9, 2),
        Functional(6),
        nn.Sequential(nn.Conv2d(6, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU6(), nn.MaxPool2d(3, 2, 1)),
        nn.Sequential(nn.Conv2d(6, 6, 3, 2, 1, groups=6), nn.GELU(), nn.AvgPool2d(2), nn.LeakyReLU(0.2)),
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4)),
    ],
    ids=["residual", "strided", "functional", "pooled", "functions", "linear"],
)
def test_a_rebuilt_stage_computes_the_same(stage: nn.Module) -> None:
    randomize(stage)
    x = torch.randn(2, 6, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(rebuilt_like(stage)(x), stage.eval()(x), rtol=1e-5, atol=1e-5)


class Pooled(nn.Module):
    """A pooling function called with these arguments."""

    def __init__(self, *arguments: object, **keywords: object) -> None:
        super().__init__()
        self.conv, self.arguments, self.keywords = nn.Conv2d(6, 6, 1), arguments, keywords

    def forward(self, x: Tensor) -> Tensor:
        """(n, 6, h, w)."""
        pooled: Tensor = F.avg_pool2d(self.conv(x), *self.arguments, **self.keywords)
        return pooled


class Called(nn.Module):
    """A function between two convolutions, called with these arguments."""

    def __init__(self, function: Callable[..., Tensor], *arguments: object, **keywords: object) -> None:
        super().__init__()
        self.conv, self.last = nn.Conv2d(6, 6, 1), nn.Conv2d(6, 6, 1)
        self.function, self.arguments, self.keywords = function, arguments, keywords

    def forward(self, x: Tensor) -> Tensor:
        """(n, 6, h, w)."""
        found: Tensor = self.last(self.function(self.conv(x), *self.arguments, **self.keywords))
        return found


@pytest.mark.parametrize(
    "stage",
    [
        Called(F.gelu),
        Called(F.gelu, approximate="tanh"),
        Called(F.leaky_relu),
        Called(F.leaky_relu, 0.3),
        Called(F.leaky_relu, negative_slope=0.2, inplace=True),
        Called(F.elu),
        Called(F.elu, 0.5, True),
    ],
)
def test_functions_keep_their_arguments(stage: nn.Module) -> None:
    randomize(stage)
    x = torch.randn(2, 6, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(rebuilt_like(stage)(x), stage.eval()(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("stage", [Pooled(3, 2, 0, True), Pooled(3, 2, 0, ceil_mode=True)])
def test_a_pool_that_rounds_up_is_refused_however_it_is_called(stage: nn.Module) -> None:
    with pytest.raises(OfframpError, match="avg_pool2d"):
        build_stage(stage, 8, 8, FloatLayers(), "the stage")


def test_a_pool_called_by_position_computes_the_same() -> None:
    stage = Pooled(3, 2, 0)
    randomize(stage)
    x = torch.randn(2, 6, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(rebuilt_like(stage)(x), stage.eval()(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["efficientnet_b0", f"{USER}:small", f"{USER}:unnamed"])
def test_float_and_quantized_networks_share_names_and_signs(name: str) -> None:
    backbone = open_backbone(name, 1.0 if ":" in name else 0.25, in_channels=1, image_size=16)
    mounts = (Mount(backbone.n_blocks - 1, "gap"),)
    with torch.device("meta"):
        plain = EarlyExitNetwork(backbone, mounts, 10, 16)
    quantized = EarlyExitNetwork(backbone, mounts, 10, 16, layers=brevitas_adapter.QuantLayers())
    suffix = brevitas_adapter.SCALE_SUFFIX
    assert {n for n in quantized.state_dict() if not n.endswith(suffix)} == set(plain.state_dict())
    floats = {n: m.signed for n, m in plain.named_modules() if type(m).__name__ == "FloatActivation"}
    signs = brevitas_adapter.activation_quantizers(quantized)
    assert {n: brevitas_adapter.is_signed(q) for n, q in signs.items()} == floats


@pytest.mark.parametrize("name", ["mobilenet_v2", f"{USER}:small"])
def test_whatever_is_computed_with_is_quantized(name: str) -> None:
    """Every input of a convolution, linear layer, addition or multiplication has few values."""
    width = 1.0 if ":" in name else 0.25
    backbone = open_backbone(name, width, in_channels=1, image_size=16)
    bits = tuple((4, 3)[i % 2] for i in range(backbone.n_blocks))
    network = EarlyExitNetwork(
        backbone, (Mount(backbone.n_blocks - 1, "gap"),), 10, 16, Precision((4,) * len(bits), bits),
        brevitas_adapter.QuantLayers(),
    )  # fmt: skip
    checked = []

    def check(path: str, inputs: tuple[Tensor, ...]) -> None:
        block = int(path.split(".")[1]) if path.startswith("blocks") else -1
        # What comes from the block before has that block's bits.
        most = 2 ** (8 if block <= 0 else max(bits[block - 1], bits[block]))
        for x in inputs:
            assert len(torch.unique(x)) <= most, path
        checked.append(path)

    for path, module in network.named_modules():
        kinds = ("ResidualAdd", "Multiply")
        if (isinstance(module, (nn.Conv2d, nn.Linear)) and "heads" not in path) or type(
            module
        ).__name__ in kinds:
            module.register_forward_pre_hook(lambda _module, inputs, path=path: check(path, inputs))
    network.train()(torch.randn(8, 1, 16, 16, generator=torch.Generator().manual_seed(1)))
    assert len(checked) > 10


def test_bits_are_those_of_the_stage() -> None:
    built = build_stage(Residual(6, 9, 2), 3, 6, brevitas_adapter.QuantLayers(), "the stage").module
    assert {brevitas_adapter.weight_bits(m) for m in brevitas_adapter.weight_layers(built).values()} == {3}
    quantizers = brevitas_adapter.activation_quantizers(built)
    assert {brevitas_adapter.activation_bits(q) for q in quantizers.values()} == {6}


def test_the_authors_modules_are_left_alone() -> None:
    stage = Residual(6, 6, 1)
    before = {name: tensor.clone() for name, tensor in stage.state_dict().items()}
    build_stage(stage, 8, 8, FloatLayers(), "the stage").module(torch.randn(2, 6, 4, 4))
    assert all(tensor.equal(before[name]) for name, tensor in stage.state_dict().items())
    assert stage.relu.inplace


def test_unsigned_functions_are_never_below_zero() -> None:
    x = torch.linspace(-20, 20, 1001)
    assert all((function()(x) >= 0).all() for function in UNSIGNED_FUNCTIONS)


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_weight_of_torchvision_has_its_place(name: str) -> None:
    backbone = open_backbone(name, 0.25, 3, 32)
    names = weight_names(backbone.stages())
    with torch.device("meta"):
        network = EarlyExitNetwork(backbone, (Mount(backbone.n_blocks - 1, "gap"),), 10, 32)
    assert set(names.values()) == {n for n in network.state_dict() if not n.startswith("heads")}
    shapes = {n: t.shape for n, t in network.state_dict().items()}
    theirs = backbone.stages().model.state_dict()
    assert all(theirs[own].shape == shapes[ours] for own, ours in names.items())


def test_names_without_a_model_are_those_of_the_stages() -> None:
    names = weight_names(user_backbone.unnamed())
    assert names["stages.0.weight"] == "blocks.0.0.conv.weight"
    assert names["stages.1.0.bn1.running_mean"] == "blocks.1.0.conv1.norm.running_mean"
