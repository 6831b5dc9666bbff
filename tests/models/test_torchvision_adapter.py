from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hwcost.errors import OfframpError
from models.torchvision_adapter import load_cifar10, torchvision_module

IMPORT = """
import gc, sys
from models.torchvision_adapter import torchvision_module
assert "torchvision" not in sys.modules
torchvision = torchvision_module()
gc.collect()
import torch, torchvision
assert torchvision_module() is torchvision
assert torch.ops.torchvision.nms is not None
network = torchvision.models.mobilenet_v2(num_classes=10).eval()
assert network(torch.zeros(1, 3, 32, 32)).shape == (1, 10)
"""


def test_torchvision_imports_in_a_fresh_process() -> None:
    result = subprocess.run([sys.executable, "-c", IMPORT], check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""


def test_without_internet_the_message_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nothing listens on the discard port
    with pytest.raises(OfframpError, match="pass a folder or archive") as caught:
        load_cifar10(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_damaged_download_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(b"not the archive")
    with pytest.raises(OfframpError, match="pass a folder or archive"):
        load_cifar10(tmp_path)


def test_torchvision_and_the_image_libraries_agree() -> None:
    transforms = torchvision_module().transforms.functional
    pixels = np.random.default_rng(0).integers(0, 256, (3, 16, 16), dtype=np.uint8)
    import torch

    flipped = transforms.hflip(torch.from_numpy(pixels))
    assert np.array_equal(flipped.numpy(), pixels[:, :, ::-1])
