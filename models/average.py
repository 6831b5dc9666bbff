"""The mean of float networks that went on from one another: `python -m models.average A B --out MEAN.safetensors`.

Networks that share most of their training lie in one valley of the loss, and the mean of their weights is often
better than each of them (Izmailov et al. 2018, "Averaging weights leads to wider optima and better generalization";
Wortsman et al. 2022, "Model soups"). Of networks trained apart the mean is worth nothing. BatchNorm statistics of a
mean are those of no network: a study that starts from one measures them anew (`models.warm_start`).
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load
from torch import Tensor

from hwcost.errors import OfframpError
from models.tensor_file import checksum, stored_values, write_tensors
from models.trained_on import from_values, to_values

AVERAGED = "averaged"
"""Of the checksums of the networks in the values of a mean's file."""

_OF_A_NETWORK = ("range.", "teacher")
"""What a warm start has beside its weights: measured on one network, so a mean has none of it."""


@dataclasses.dataclass(frozen=True, eq=False)
class _Network:
    path: Path
    tensors: Mapping[str, Tensor]
    values: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> _Network:
        try:
            content = path.read_bytes()
            tensors = load(content)
        except (OSError, safetensors.SafetensorError) as error:
            reason = error.strerror if isinstance(error, OSError) else " ".join(str(error).split())
            raise OfframpError(
                f"expected a safetensors file of float weights, got {path}: {reason}; name warm starts or "
                "state dicts of one backbone"
            ) from None
        weights = {name: t for name, t in tensors.items() if not name.startswith(_OF_A_NETWORK)}
        for name, tensor in weights.items():
            if not torch.isfinite(tensor).all():
                raise OfframpError(
                    f"expected finite weights in {path.name}, got NaN or infinity in {name}; leave it out"
                )
        return cls(path, weights, stored_values(content))


def average(paths: Sequence[Path], out: Path) -> int:
    """Writes the mean of networks as float weights that a study can start from.

    Args:
        paths: Files of float networks with the same weights by name and shape: warm starts, or state dicts.
        out: File to write, in the form of the first; must not exist.

    Returns:
        How many tensors it has.

    Raises:
        OfframpError: There are fewer than two networks, they differ in their weights, or a file cannot be read or
            is there already.
    """
    if len(paths) < 2:
        raise OfframpError(f"expected at least two float networks, got {len(paths)}; name those to average")
    if out.exists():
        raise OfframpError(f"expected a file to write, got {out}, which exists; name another or remove it")
    networks = [_Network.read(path) for path in paths]
    first = networks[0]
    for other in networks[1:]:
        _check_alike(first, other)
    tensors = {name: _mean([n.tensors[name] for n in networks]) for name in first.tensors}
    seen = [from_values(network.values) for network in networks]
    # What one of them was trained on is not known: neither is it of the mean.
    known = [entry for entries in seen for entry in entries] if all(seen) else []
    values = {
        AVERAGED: [checksum(network.tensors) for network in networks],
        **(to_values(known) if known else {}),
    }
    write_tensors(out, tensors, values)
    return len(tensors)


def _check_alike(one: _Network, other: _Network) -> None:
    lonely = sorted(set(one.tensors) ^ set(other.tensors))
    if lonely:
        having = one if lonely[0] in one.tensors else other
        raise OfframpError(
            f"expected networks with the same weights, got {lonely[0]} in {having.path.name} alone; average networks "
            "of one backbone with the same heads"
        )
    for name, tensor in one.tensors.items():
        if tensor.shape != other.tensors[name].shape:
            raise OfframpError(
                f"expected {name} of shape {list(tensor.shape)} in {other.path.name} as in {one.path.name}, got "
                f"{list(other.tensors[name].shape)}; average networks of one backbone, width and image size"
            )


def _mean(tensors: Sequence[Tensor]) -> Tensor:
    """Of each element; counters of batches, which nothing reads, are those of the first."""
    if not tensors[0].is_floating_point():
        return tensors[0]
    return torch.stack([tensor.double() for tensor in tensors]).mean(0).to(tensors[0].dtype)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m models.average",
        description="The mean of float networks that went on from one another, for study.run --weights.",
    )
    parser.add_argument("networks", nargs="+", type=Path, metavar="FILE.safetensors")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.safetensors")
    options = parser.parse_args(arguments)
    try:
        n_tensors = average(options.networks, options.out)
    except OfframpError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(
            f"error: expected a file that can be written, got {options.out}: {error.strerror}",
            file=sys.stderr,
        )
        return 2
    print(f"written: {options.out}, the mean of {len(options.networks)} networks ({n_tensors} tensors)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
