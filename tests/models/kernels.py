"""Where GPU kernels can be tested: on a GPU, else on the CPU in Triton's interpreter."""

import importlib.util

import pytest
import torch

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"

needs_triton = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None,
    reason="Triton is not installed: pip install triton runs its kernels in an interpreter",
)
