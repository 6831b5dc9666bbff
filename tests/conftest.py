"""Where tests find material that is not part of the repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

if not torch.cuda.is_available():
    # Kernels then run step by step on the CPU. Triton reads it when it is imported, by whichever test does so first.
    os.environ.setdefault("TRITON_INTERPRET", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--reference-dir", default=os.environ.get("OFFRAMP_REFERENCE"))
    parser.addoption("--cifar10", default=os.environ.get("OFFRAMP_CIFAR10"))


def _path(request: pytest.FixtureRequest, option: str, variable: str) -> Path:
    value = request.config.getoption(option)
    if not value or not Path(value).exists():
        pytest.skip(f"{option} (or {variable}) not given")
    return Path(value)


@pytest.fixture(scope="session")
def reference_dir(request: pytest.FixtureRequest) -> Path:
    """Folder with the reference tables the simulator is checked against."""
    return _path(request, "--reference-dir", "OFFRAMP_REFERENCE")


@pytest.fixture(scope="session")
def cifar10_archive(request: pytest.FixtureRequest) -> Path:
    """Archive of CIFAR-10 images in train/<class>/ and test/<class>/."""
    return _path(request, "--cifar10", "OFFRAMP_CIFAR10")
