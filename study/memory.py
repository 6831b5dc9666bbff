"""Training when memory is short: once more with smaller batches, then not at all."""

from __future__ import annotations

import dataclasses
import gc
import logging
from collections.abc import Callable
from typing import TypeVar

from models.recipe import QatRecipe

_log = logging.getLogger(__name__)

HALVINGS = 2
_LEAST_BATCH = 8
_WORDS = ("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory")

Result = TypeVar("Result")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out: Python's own, PyTorch's on the device, or PyTorch's on the host.

    The last one is a plain RuntimeError; what tells it apart is its text.
    """
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _WORDS)


def with_smaller_batches(
    train: Callable[[QatRecipe], Result], recipe: QatRecipe, halvings: int = 0
) -> Result:
    """Trains; where memory runs out again with half the batch, at most twice.

    The learning rates shrink with the batch (Goyal et al. 2017, the linear scaling rule), so that as many images
    bring the weights about as far.

    Args:
        train: Trains by a recipe.
        recipe: Of the study.
        halvings: How often the batch is halved before the first try.

    Raises:
        MemoryError: It ran out each time.
        RuntimeError: The same, as PyTorch says it.
    """
    for halving in range(min(halvings, HALVINGS), HALVINGS + 1):
        size = recipe.batch_size // 2**halving
        share = size / recipe.batch_size
        smaller = dataclasses.replace(
            recipe,
            batch_size=size,
            learning_rate=recipe.learning_rate * share,
            scale_learning_rate=recipe.scale_learning_rate * share,
        )
        try:
            result = train(recipe if halving == 0 else smaller)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error) or halving == HALVINGS or size // 2 < _LEAST_BATCH:
                raise
            _log.warning("out of memory with batches of %d; once more with %d", size, size // 2)
        else:
            return result
        _release()  # outside of the handler: a traceback holds on to what was allocated
    raise AssertionError("unreachable")


def _release() -> None:
    from models.device import release_cached

    gc.collect()
    release_cached()
