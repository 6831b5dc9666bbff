"""The mean of float networks that went on from one another: `python -m models.average A B --out MEAN.safetensors`.

Networks that share most of their training lie in one valley of the loss, and the mean of their weights is often
better than each of them (Izmailov et al. 2018, "Averaging weights leads to wider optima and better generalization";
Wortsman et al. 2022, "Model soups"). Of networks trained apart the mean is worth nothing. BatchNorm statistics of a
mean are those of no network: a study that starts from one measures them anew (`models.warm_start`).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from hwcost.errors import OfframpError
from models.float_weights import AVERAGED, finite, read_weights, weights_in
from models.tensor_file import write_tensors
from models.trained_on import from_values, to_values


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
    read = [read_weights(path) for path in paths]
    networks = [weights_in(tensors) for tensors, _, _ in read]
    for path, weights in zip(paths[1:], networks[1:], strict=True):
        _check_alike(networks[0], paths[0], weights, path)
    means = {
        name: _mean(
            [finite(weights[name], name, path) for path, weights in zip(paths, networks, strict=True)]
        )
        for name, tensor in networks[0].items()
        if tensor.is_floating_point()
    }
    seen = [from_values(values) for _, values, _ in read]
    # What one of them was trained on is not known: neither is it of the mean.
    known = to_values(entry for entries in seen for entry in entries) if all(seen) else {}
    counters = {name: tensor for name, tensor in networks[0].items() if name not in means}
    write_tensors(out, {**means, **counters}, {AVERAGED: [checksum for _, _, checksum in read], **known})
    return len(networks[0])


def _check_alike(
    one: Mapping[str, Tensor], its_path: Path, other: Mapping[str, Tensor], other_path: Path
) -> None:
    lonely = sorted(set(one) ^ set(other))
    if lonely:
        raise OfframpError(
            f"expected networks with the same weights, got {lonely[0]} in "
            f"{its_path if lonely[0] in one else other_path} alone; average networks of one backbone with the same "
            "heads"
        )
    for name, tensor in one.items():
        if tensor.shape != other[name].shape:
            raise OfframpError(
                f"expected {name} of shape {list(tensor.shape)} in {other_path} as in {its_path}, got "
                f"{list(other[name].shape)}; average networks of one backbone, width and image size"
            )


def _mean(tensors: Sequence[Tensor]) -> Tensor:
    return torch.stack([tensor.double() for tensor in tensors]).mean(0).float()


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
