"""Backbones by name and by factory, and every mistake in a factory with a line of its own."""

import copy
import subprocess
import sys
from pathlib import Path

import pytest

from hwcost.errors import OfframpError
from hwcost.networks import BackboneSpec, load_backbone, uniform_precision
from models.architecture import Architecture
from models.backbones.open import known_backbones, open_backbone
from models.network import EarlyExitNetwork, Mount, architecture_mounts

USER = "tests.models.backbones.user_backbone"


def test_known_names() -> None:
    assert known_backbones() == ("efficientnet_b0", "mobilenet_v2", "paper", "resnet18")


def test_the_papers_backbone_is_the_table_it_always_was() -> None:
    spec = load_backbone("paper").scaled(0.5).with_in_channels(1)
    assert open_backbone("paper", 0.5, 1, 32) == spec
    assert isinstance(spec, BackboneSpec)


@pytest.mark.parametrize("name", ["resnet18", f"{USER}:small"])
def test_a_backbone_is_plain_data(name: str) -> None:
    """Opened twice it is equal; it can be hashed and copied to another process."""
    backbone = open_backbone(name, 1.0, 1, 32)
    assert backbone == open_backbone(name, 1.0, 1, 32)
    assert hash(copy.deepcopy(backbone)) == hash(backbone)
    assert backbone != open_backbone(name, 2.0, 1, 32)
    assert backbone.out_sizes(32) == tuple(block.out_size for block in backbone.blocks)
    with pytest.raises(OfframpError, match="images of 32 pixels"):
        backbone.out_sizes(64)


def test_width_and_channels_reach_the_factory() -> None:
    backbone = open_backbone(f"{USER}:small", 2.0, 3, 16)
    assert backbone.name == "small-x2"
    assert [block.out_channels for block in backbone.blocks] == [16, 32, 32, 48]
    assert [block.out_size for block in backbone.blocks] == [16, 8, 4, 2]
    assert backbone.trunk.layers[0].c == 3
    assert backbone.mounting_points == (0, 1)


def test_a_factory_takes_only_what_it_names() -> None:
    assert open_backbone(f"{USER}:unnamed", 1.0, 2, 24).trunk.layers[0].c == 2
    with pytest.raises(OfframpError, match="to take a width"):
        open_backbone(f"{USER}:unnamed", 0.5, 2, 24)


def test_mounting_points_default_to_all_but_the_last() -> None:
    assert open_backbone(f"{USER}:unnamed", in_channels=1).mounting_points == (0,)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("resnet19", "expected a backbone of efficientnet_b0, mobilenet_v2, paper, resnet18 or a factory"),
        (":factory", "package.module:function"),
        (f"{USER}:", "package.module:function"),
        ("no_such_module:factory", "import no_such_module .*ModuleNotFoundError.*run from the folder"),
        (
            f"{USER}:no_such",
            "expected a function no_such .* got nothing of that name; it has small, unnamed, paper",
        ),
        (f"{USER}:not_a_function", "got int"),
        (f"{USER}:raises", "RuntimeError: no weights for you"),
        (f"{USER}:returns_a_module", "to return models.backbones.stages.Stages, got Conv2d"),
        (f"{USER}:broken_branch", "stage 1 of broken-branch to be traceable .*control flow"),
        (f"{USER}:broken_concatenate", "expected only Conv2d.* in stage 1 .* got cat"),
        (f"{USER}:broken_shared", "every layer of stage 1 .* to run once, got conv twice"),
        (f"{USER}:broken_two", "to return one map"),
        (f"{USER}:broken_scale", "got the tensor scale"),
        (f"{USER}:broken_norm", "BatchNorm directly behind a convolution"),
        (f"{USER}:broken_group_norm", "got GroupNorm"),
        (f"{USER}:broken_dilated", "no dilation"),
        (f"{USER}:broken_channels", r"stage 1 .* to take a map of shape \(1, 8, 32, 32\)"),
        (f"{USER}:broken_flat", "square map .* leave pooling and the classifier"),
        (f"{USER}:broken_number", "a function that returns int"),
    ],
)
def test_a_mistake_has_one_line(name: str, text: str) -> None:
    with pytest.raises(OfframpError, match=text) as caught:
        open_backbone(name, in_channels=1)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("width", "channels"), [(0, 1), (9, 1), (1, 0)])
def test_impossible_sizes_are_refused(width: float, channels: int) -> None:
    with pytest.raises(OfframpError, match="expected"):
        open_backbone("resnet18", width, channels)


def test_a_genome_for_another_backbone_is_refused() -> None:
    backbone = open_backbone(f"{USER}:small", in_channels=1)
    with pytest.raises(OfframpError, match=r"for small .4 blocks.* belongs to another backbone"):
        architecture_mounts(Architecture.static(12), backbone)
    with pytest.raises(OfframpError, match="another backbone"):
        architecture_mounts(Architecture((2,), ("fc", "fc"), (8,) * 4, (8,) * 4), backbone)
    with pytest.raises(OfframpError, match="bits for 4 blocks"):
        EarlyExitNetwork(backbone, (Mount(3, "fc"),), 10, 32, uniform_precision(5))


def test_a_module_that_fails_on_import_says_so(tmp_path: Path) -> None:
    (tmp_path / "bad_backbone.py").write_text("import nothing_of_this_name\n")
    code = (
        "from models.backbones.open import open_backbone\n"
        "from hwcost.errors import OfframpError\n"
        "try:\n    open_backbone('bad_backbone:make')\n"
        "except OfframpError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env={"PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[3]}"},
    )  # fmt: skip
    assert "nothing_of_this_name" in done.stdout
    assert done.stdout.count("\n") == 1


def test_the_papers_backbone_needs_no_torch() -> None:
    code = (
        "import sys; from models.backbones.open import open_backbone; open_backbone('paper');"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
