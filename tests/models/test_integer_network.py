import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models import integer_conv
from models.architecture import ALLOWED_BITS
from models.byte_products import are_exact
from models.exit_policy import ExitPolicy
from models.fold import fold_network
from models.integer_conv import IntegerConv
from models.integer_network import deploy, keep_integers
from models.plain_layers import Grid, PlainQuantizer
from tests.models.backbones import test_export as backbones
from tests.models.small import MIXED
from tests.models.test_fold import images, logits, network_of, uniform
from tests.models.test_integer_conv import on_grid, plain_conv

GRID = Grid(torch.tensor(0.05), 4, False)


@pytest.mark.parametrize("with_bytes", [True, False])
@pytest.mark.parametrize("bits", [*ALLOWED_BITS, 0])
def test_logits_are_those_of_the_folded_network_bit_by_bit(
    bits: int, with_bytes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not with_bytes:
        monkeypatch.setattr(integer_conv, "are_exact", lambda: False)
    elif not are_exact():
        pytest.skip("this processor does not multiply bytes exactly")
    network = network_of(uniform(bits) if bits else MIXED)
    folded = fold_network(network, images(1))
    found = deploy(network, images(1))
    assert torch.equal(logits(found, images()), logits(folded, images()))
    kept = [m for m in found.modules() if isinstance(m, IntegerConv) and m.quantizer is not None]
    assert (
        len(kept) == 2 * 3
    )  # the stem or the expansion, and the depth-wise convolution, of each of three blocks


@pytest.mark.parametrize(
    "name",
    [name if name == "resnet18" else pytest.param(name, marks=pytest.mark.slow) for name in backbones.NAMES],
)
def test_other_backbones_too(name: str) -> None:
    network, folded = backbones.networks(name)
    x = torch.from_numpy(backbones.images())
    found = deploy(network, x[:1])
    assert any(isinstance(module, IntegerConv) for module in found.modules())
    assert torch.equal(logits(found, x), logits(folded, x))


def test_it_stops_early_as_the_folded_network_does() -> None:
    network = network_of(MIXED)
    policy = ExitPolicy((0.3, 0.5, float("-inf")))
    wanted = fold_network(network, images(1)).predict(images(), policy)
    found = deploy(network, images(1)).predict(images(), policy)
    assert (found.exits == wanted.exits).all()
    assert (found.predicted == wanted.predicted).all()
    assert len(set(wanted.exits.tolist())) > 1


def test_in_float64_nothing_changes() -> None:
    folded = fold_network(network_of(MIXED).double(), images(1).double())
    assert keep_integers(folded, images(1).double()) is folded


class Reader(nn.Module):
    """Two convolutions, and perhaps somebody else that reads the map between them."""

    def __init__(self, also: str) -> None:
        super().__init__()
        self.also = also
        self.first, self.act = plain_conv(GRID), PlainQuantizer(torch.tensor(0.02), 4, False)
        self.second = plain_conv(Grid(self.act.scale, 4, False), seed=3)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 20, h, w)."""
        y = self.first(x)
        added = y.mean() if self.also == "of the convolution" else 0.0
        y = self.act(y)
        if self.also == "in a list":
            added = torch.cat([y, y]).mean()
        if self.also == "a pool":
            added = F.max_pool2d(input=y, kernel_size=2).mean()
        if self.also == "its type":
            added = float(y.dtype == torch.float32)
        if self.also == "a second call":
            y = self.act(self.first(y))
        if self.also == "its shape":
            added = y.shape[1] / y.size(0) + y.dim()
        z: Tensor = self.second(y) + added
        return (z, y) if self.also == "who called" else z


@pytest.mark.parametrize(
    "also", ["of the convolution", "in a list", "a pool", "its type", "a second call", "who called"]
)
def test_a_map_that_somebody_else_reads_stays_values(also: str) -> None:
    network, x = Reader(also).eval(), on_grid(GRID)
    found = keep_integers(network, x)
    assert not any(isinstance(m, IntegerConv) and m.quantizer is not None for m in found.modules())
    with torch.no_grad():
        pairs = zip(found(x), network(x), strict=True)
        assert all(torch.equal(mine, theirs) for mine, theirs in pairs)


@pytest.mark.parametrize("also", ["nobody", "its shape"])
def test_a_map_that_convolutions_alone_read_stays_integers(also: str) -> None:
    network, x = Reader(also).eval(), on_grid(GRID)
    found = keep_integers(network, x)
    assert found.get_submodule("first").quantizer is not None
    with torch.no_grad():
        assert torch.equal(found(x), network(x))
    assert isinstance(network.act, PlainQuantizer)  # the network that was given is as it was
