from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from hwcost.errors import OfframpError
from hwcost.networks import load_backbone
from models.backbone import Backbone
from models.backbones.open import open_backbone
from models.float_weights import load_float_weights
from models.network import EarlyExitNetwork, Mount
from models.torchvision_adapter import torchvision_module
from tests.models.backbones.test_convert import randomize
from tests.models.backbones.user_backbone import Network, unnamed

USER = "tests.models.backbones.user_backbone"


def features(network: EarlyExitNetwork, x: Tensor) -> Tensor:
    x = network.stem(x)
    for block in network.blocks:
        x = block(x)
    return x


def with_weights(backbone: Backbone, path: Path, size: int) -> EarlyExitNetwork:
    network = EarlyExitNetwork(backbone, (Mount(backbone.n_blocks - 1, "gap"),), 10, size).eval()
    load_float_weights(path, backbone).put_into(network)
    return network


def image(channels: int, size: int) -> Tensor:
    return torch.randn(1, channels, size, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "efficientnet_b0"])
def test_a_state_dict_of_torchvision_fits_and_computes_the_same(name: str, tmp_path: Path) -> None:
    size = 128  # from here on nothing is adapted
    model = getattr(torchvision_module().models, name)().eval()
    randomize(model)
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    network = with_weights(open_backbone(name, 1.0, 3, size), tmp_path / "model.safetensors", size)
    expected: list[Tensor] = []
    last = model.layer4 if name == "resnet18" else model.features
    last.register_forward_hook(lambda _module, _inputs, y: expected.append(y))
    with torch.no_grad():
        model(image(3, size))
        found = features(network, image(3, size))
    scale = float(expected[0].abs().max())
    torch.testing.assert_close(found, expected[0], rtol=1e-4, atol=1e-5 * scale)
    unused = load_float_weights(tmp_path / "model.safetensors", network.spec).unused
    assert {n.split(".")[0] for n in unused} == {"fc" if name == "resnet18" else "classifier"}


@pytest.fixture
def small_file(tmp_path: Path) -> tuple[Path, dict[str, Tensor], Network]:
    model = Network(1.0, 1).eval()
    randomize(model)
    path = tmp_path / "small.safetensors"
    save_file(model.state_dict(), path)
    return path, dict(model.state_dict()), model


def test_a_users_own_state_dict_fits_and_computes_the_same(small_file) -> None:
    path, _, model = small_file
    network = with_weights(open_backbone(f"{USER}:small", in_channels=1), path, 32)
    with torch.no_grad():
        torch.testing.assert_close(
            features(network, image(1, 32)), model.body(model.first(image(1, 32))), rtol=1e-5, atol=1e-5
        )


def test_weights_of_the_papers_backbone_go_by_their_own_names(tmp_path: Path) -> None:
    spec = load_backbone("paper").scaled(0.25)
    trained = EarlyExitNetwork(spec, (Mount(11, "fc"),), 10, 16)
    save_file(trained.state_dict(), tmp_path / "paper.safetensors")
    weights = load_float_weights(tmp_path / "paper.safetensors", spec)
    assert all(name.startswith("heads.") for name in weights.unused)
    for name, tensor in weights.state.items():
        assert torch.equal(tensor, trained.state_dict()[name])


def test_another_warm_start_of_the_backbone_fits_whatever_its_heads(tmp_path: Path) -> None:
    spec = load_backbone("paper").scaled(0.25)
    trained = EarlyExitNetwork(spec, (Mount(3, "gap"), Mount(11, "fc")), 10, 16)
    tensors = {f"state.{name}": tensor for name, tensor in trained.state_dict().items()}
    save_file({**tensors, "teacher": torch.zeros(4, 10)}, tmp_path / "warm.safetensors")
    weights = load_float_weights(tmp_path / "warm.safetensors", spec)
    assert weights.unused == ("teacher",)
    for name, tensor in trained.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            assert torch.equal((weights.heads if name.startswith("heads.") else weights.state)[name], tensor)


@pytest.mark.parametrize(
    ("classes", "kept"), [(10, {"heads.gap_3", "heads.fc_11"}), (7, set())], ids=["same classes", "others"]
)
def test_heads_of_a_warm_start_are_gone_on_from_where_they_fit(
    tmp_path: Path, classes: int, kept: set[str]
) -> None:
    spec = load_backbone("paper").scaled(0.25)
    trained = EarlyExitNetwork(spec, (Mount(3, "gap"), Mount(11, "fc")), 10, 16)
    randomize(trained)
    tensors = {f"state.{name}": tensor for name, tensor in trained.state_dict().items()}
    save_file(tensors, tmp_path / "warm.safetensors")
    mounts = (Mount(3, "gap"), Mount(3, "conv1"), Mount(5, "gap"), Mount(11, "fc"))
    network = EarlyExitNetwork(spec, mounts, classes, 16)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    load_float_weights(tmp_path / "warm.safetensors", spec).put_into(network)
    after = network.state_dict()
    for name, tensor in after.items():
        if name.endswith("num_batches_tracked"):
            continue
        head = ".".join(name.split(".")[:2])
        gone_on = head in kept or not name.startswith("heads.")
        assert torch.equal(tensor, trained.state_dict()[name] if gone_on else before[name]), name
    differ = [
        n for n in kept for w in after if w.startswith(f"{n}.") and not torch.equal(after[w], before[w])
    ]
    assert set(differ) == kept


def test_a_head_is_kept_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    spec, mounts = load_backbone("paper").scaled(0.25), (Mount(3, "fc_hidden"), Mount(11, "fc"))
    trained = EarlyExitNetwork(spec, mounts, 10, 16)
    randomize(trained)
    tensors = {f"state.{name}": tensor for name, tensor in trained.state_dict().items()}
    save_file(tensors, tmp_path / "warm.safetensors")
    network = EarlyExitNetwork(spec, mounts, 7, 16)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    head = [name for name in before if name.startswith("heads.fc_hidden_3.")]
    fit = [name for name in head if before[name].shape == trained.state_dict()[name].shape]
    assert 0 < len(fit) < len(head)  # the hidden layer fits, what is behind it is for other classes
    load_float_weights(tmp_path / "warm.safetensors", spec).put_into(network)
    for name in head:
        assert torch.equal(network.state_dict()[name], before[name]), name


def test_without_a_model_names_are_those_of_the_stages(tmp_path: Path) -> None:
    stages = unnamed()
    tensors = {
        f"stages.{i}.{name}": tensor.clone()
        for i, stage in enumerate(stages.stages)
        if isinstance(stage, nn.Module)
        for name, tensor in stage.state_dict().items()
    }
    save_file(tensors, tmp_path / "unnamed.safetensors")
    weights = load_float_weights(
        tmp_path / "unnamed.safetensors", open_backbone(f"{USER}:unnamed", in_channels=1)
    )
    assert torch.equal(weights.state["blocks.0.0.conv.bias"], tensors["stages.0.bias"])
    assert not weights.unused


def test_another_file_has_another_checksum(small_file, tmp_path: Path) -> None:
    path, tensors, _ = small_file
    backbone = open_backbone(f"{USER}:small", in_channels=1)
    tensors["first.1.bias"] = tensors["first.1.bias"] + 1
    save_file(tensors, tmp_path / "other.safetensors")
    one, other = (load_float_weights(p, backbone).checksum for p in (path, tmp_path / "other.safetensors"))
    assert one != other


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda t: t.pop("body.0.conv2.weight"), "got none named body.0.conv2.weight"),
        (
            lambda t: t.update({"first.0.weight": torch.zeros(8, 3, 3, 3)}),
            r"shape \[8, 1, 3, 3\].*got \[8, 3, 3, 3\]",
        ),
        (lambda t: t["first.0.weight"].fill_(torch.nan), "finite weights .* in first.0.weight"),
        (lambda t: [t.pop(name) for name in list(t)], "it has nothing"),
    ],
)
def test_weights_that_do_not_fit_are_named(small_file, damage, text: str) -> None:
    path, tensors, _ = small_file
    damage(tensors)
    save_file(tensors, path)
    with pytest.raises(OfframpError, match=text) as caught:
        load_float_weights(path, open_backbone(f"{USER}:small", in_channels=1))
    assert "\n" not in str(caught.value)


def test_files_that_are_no_weights(tmp_path: Path) -> None:
    backbone = load_backbone("paper")
    with pytest.raises(OfframpError, match="No such file"):
        load_float_weights(tmp_path / "nothing.safetensors", backbone)
    (tmp_path / "text.safetensors").write_bytes(b"hello, this is no tensor file")
    with pytest.raises(OfframpError, match=r"safetensors.torch.save_file"):
        load_float_weights(tmp_path / "text.safetensors", backbone)
    with pytest.raises(OfframpError, match="Is a directory"):
        load_float_weights(tmp_path, backbone)
