"""Parts of a network as programs of `torch.export`: PyTorch alone runs them, without this project and Brevitas."""

from __future__ import annotations

from pathlib import Path

import torch

from models.export.parts import Part, network_parts
from models.fold import copy_with
from models.network import EarlyExitNetwork

SUFFIX = ".pt2"


def write_torch(folded: EarlyExitNetwork, folder: Path) -> list[Path]:
    """Writes the whole network, and each segment and head by itself, for any batch.

    Args:
        folded: Of `models.fold.fold_network`.
        folder: Must be there.

    Returns:
        The files in the order of `network_parts`; `torch.export.load(path).module()` gives a module back.
    """
    network = copy_with(folded, {})
    network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return [_write(part, folder) for part in network_parts(network)]


def _write(part: Part, folder: Path) -> Path:
    path = folder / f"{part.name}{SUFFIX}"
    # An example of one image would fix the batch at one.
    program = torch.export.export(
        part.module.eval(), (part.example(2),), dynamic_shapes=({0: torch.export.Dim("n", min=1)},)
    )
    program.example_inputs = None  # they are kept as a pickle, and nothing needs them
    torch.export.save(program, str(path))
    return path
