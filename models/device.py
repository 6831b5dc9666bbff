"""Which device PyTorch trains on."""

from __future__ import annotations

from hwcost.errors import OfframpError


def resolve_device(name: str) -> str:
    """`cpu` or `cuda`; `auto` takes CUDA where there is one.

    Raises:
        OfframpError: CUDA is asked for and there is none.
    """
    if name == "cpu":
        return name  # without loading PyTorch
    import torch

    present = torch.cuda.is_available()
    if name == "cuda" and not present:
        raise OfframpError("expected a CUDA device for --device cuda, got none; use --device cpu or auto")
    return "cuda" if present else "cpu"


def release_cached() -> None:
    """Gives memory that PyTorch keeps for later back to the GPU."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def device_name(device: str) -> str:
    """The GPU's name, or `cpu`."""
    if device != "cuda":
        return device
    import torch

    return torch.cuda.get_device_name()
