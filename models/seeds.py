"""Seeds that depend on what is trained, not on who trains it or when."""

import hashlib
import json

from hwcost.errors import OfframpError


def training_seed(study_seed: int, architecture_key: str, rung: int, replicate: int) -> int:
    """The seed of one training.

    Args:
        study_seed: Seed of the study.
        architecture_key: `Architecture.key()`.
        rung: Index of the training budget, 0 for the search itself.
        replicate: Index of the repetition.

    Returns:
        An integer in [0, 2^63), the same for equal arguments on every machine.

    Raises:
        OfframpError: When an index is negative.
    """
    if rung < 0 or replicate < 0:
        raise OfframpError(
            f"expected rung and replicate of at least 0, got {rung} and {replicate}; count from 0"
        )
    return derive_seed("training", study_seed, architecture_key, rung, replicate)


def derive_seed(*parts: str | int) -> int:
    """A seed in [0, 2^63) from a path of names and numbers; different paths give unrelated seeds."""
    digest = hashlib.sha256(json.dumps(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
