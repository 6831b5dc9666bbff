import os
from collections.abc import Iterator

import pytest
import torch

from models.loop import torch_threads

if not torch.cuda.is_available():  # read when Triton is imported: kernels then run step by step on the CPU
    os.environ.setdefault("TRITON_INTERPRET", "1")


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Small tensors: more threads would wait for each other, above all on a machine that is busy."""
    with torch_threads(1):
        yield
