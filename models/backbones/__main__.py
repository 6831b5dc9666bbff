"""`python -m models.backbones NAME`: the stages of a backbone, or what is wrong with it."""

import argparse
import sys
from collections.abc import Sequence

import numpy as np

from hwcost.errors import OfframpError
from hwcost.networks import BackboneSpec, uniform_precision
from hwcost.networks.trunk import STEM, Trunk, spec_trunk, trunk_workload
from models.backbones.open import known_backbones, open_backbone


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints one line a stage; exit code 2 and one line when the backbone cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m models.backbones", description=__doc__)
    parser.add_argument("name", help=f"one of {', '.join(known_backbones())}, or package.module:factory")
    parser.add_argument("--width", type=float, default=1.0, help="factor on the channels (default 1)")
    parser.add_argument("--in-channels", type=int, default=3, help="channels of the image (default 3)")
    parser.add_argument("--image-size", type=int, default=32, help="side of the image (default 32)")
    options = parser.parse_args(arguments)
    try:
        backbone = open_backbone(options.name, options.width, options.in_channels, options.image_size)
        if isinstance(backbone, BackboneSpec):
            _print(spec_trunk(backbone, options.image_size))
        else:
            _print(backbone.trunk)
    except OfframpError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _print(trunk: Trunk) -> None:
    """One line a stage."""
    table = trunk_workload(trunk, (), ("gap",), uniform_precision(trunk.n_blocks), 2)
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
