"""PE arrays by their labels, as options of commands give them."""

from __future__ import annotations

import numpy as np

from hwcost.chip.accelerator import Accelerator
from hwcost.errors import OfframpError


def parse_allocation(chip: Accelerator, text: str | None, option: str) -> np.ndarray:
    """Catalogue indices, (n_compute_cores,), the default allocation where there is no text.

    Args:
        chip: Whose cores they are.
        text: A label such as `8x8x4x4` for each compute core, separated by commas or spaces.
        option: That the text was given with.

    Raises:
        OfframpError: There are too few or too many, or a core has no such array.
    """
    if not text:
        return np.array(chip.default_allocation)
    labels = text.replace(",", " ").split()
    if len(labels) != chip.n_compute_cores:
        raise OfframpError(
            f"expected {chip.n_compute_cores} PE arrays for {option}, one per compute core of {chip.name}, got "
            f"{len(labels)}; separate them with commas"
        )
    chosen = []
    for core, label in zip(chip.compute_cores, labels, strict=True):
        known = [array.label for array in core.catalogue]
        if label not in known:
            raise OfframpError(
                f"expected a PE array of {', '.join(known)} for core {core.name!r} in {option}, got {label!r}; "
                "choose one of them"
            )
        chosen.append(known.index(label))
    return np.array(chosen)
