from collections.abc import Iterator

import pytest

from models.loop import torch_threads


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Small tensors: more threads would wait for each other, above all on a machine that is busy."""
    with torch_threads(1):
        yield
