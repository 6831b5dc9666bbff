"""`python -m models.backbones NAME`: the stages of a backbone, or what is wrong with it."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hwcost.errors import OfframpError
from hwcost.networks import HEAD_KINDS, early_exit_workload, uniform_precision
from hwcost.networks.trunk import STEM, Trunk, trunk_of
from hwcost.workload import Workload
from models.backbones.layer_csv import write_layers
from models.backbones.open import known_backbones, open_backbone


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints one line a stage; exit code 2 and one line when the backbone cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m models.backbones", description=__doc__)
    parser.add_argument("name", help=f"one of {', '.join(known_backbones())}, or package.module:factory")
    parser.add_argument("--width", type=float, default=1.0, help="factor on the channels (default 1)")
    parser.add_argument("--in-channels", type=int, default=3, help="channels of the image (default 3)")
    parser.add_argument("--image-size", type=int, default=32, help="side of the image (default 32)")
    parser.add_argument(
        "--layers",
        type=Path,
        metavar="FILE.csv",
        help="write its layers for python -m hwcost.simulate --layers",
    )
    parser.add_argument("--exits", default="", help="with --layers: stages an early exit follows, e.g. 1,3")
    parser.add_argument(
        "--heads", default="", help=f"with --layers: per exit, the final one last, of {', '.join(HEAD_KINDS)}"
    )
    parser.add_argument("--bits", default="8/8", help="with --layers: weight/activation bits (default 8/8)")
    parser.add_argument(
        "--classes", type=int, default=10, help="with --layers: number of classes (default 10)"
    )
    options = parser.parse_args(arguments)
    try:
        backbone = open_backbone(options.name, options.width, options.in_channels, options.image_size)
        trunk = trunk_of(backbone, options.image_size)
        _print(trunk)
        if options.layers:
            write_layers(options.layers, _workload(trunk, options))
    except OfframpError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _workload(trunk: Trunk, options: argparse.Namespace) -> Workload:
    """The early-exit network that was asked for."""
    try:
        exits = tuple(int(part) for part in options.exits.split(",")) if options.exits else ()
        weight_bits, activation_bits = (int(part) for part in options.bits.split("/"))
    except ValueError:
        raise OfframpError(
            f"expected exits such as 1,3 and bits such as 8/8, got {options.exits!r} and {options.bits!r}"
        ) from None
    heads = tuple(options.heads.split(",")) if options.heads else ("fc",) * (len(exits) + 1)
    precision = uniform_precision(trunk.n_blocks, weight_bits, activation_bits)
    return early_exit_workload(trunk, exits, heads, precision, options.image_size, options.classes)


def _print(trunk: Trunk) -> None:
    """One line a stage."""
    bits = uniform_precision(trunk.n_blocks)
    table = early_exit_workload(trunk, (), ("gap",), bits, trunk.image_size, 2)
    rows = len(trunk.layers)  # what follows is the head
    block_of = np.array([layer.block for layer in trunk.layers])
    print(f"{trunk.name}: images of {trunk.in_channels} x {trunk.image_size} x {trunk.image_size}")
    print(f"{'stage':>6s}{'layers':>8s}{'channels':>10s}{'map':>9s}{'MACs':>14s}{'weights':>12s}  exit")
    for block in range(STEM, trunk.n_blocks):
        mine = block_of == block
        if block == STEM and not mine.any():
            continue
        last = trunk.layers[np.flatnonzero(mine)[-1]] if block == STEM else None
        channels = last.g * last.k if last else trunk.blocks[block].out_channels
        size = last.ox if last else trunk.blocks[block].out_size
        follows = "may follow" if block in trunk.mounting_points else ""
        if block == trunk.n_blocks - 1:
            follows = "final"
        print(
            f"{'stem' if block == STEM else block:>6}{mine.sum():8d}{channels:10d}{f'{size}x{size}':>9s}"
            f"{table.macs[:rows][mine].sum():14d}{table.weight_elements[:rows][mine].sum():12d}  {follows}"
        )
    print(f"in all {table.macs[:rows].sum() / 1e6:.2f} M MACs, {table.weight_elements[:rows].sum()} weights")


if __name__ == "__main__":
    sys.exit(main())
