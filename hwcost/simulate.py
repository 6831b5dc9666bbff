"""`python -m hwcost.simulate`: what a network costs on an accelerator, layer by layer and exit by exit."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from hwcost.chip.accelerator_file import accelerator_names, load_accelerator
from hwcost.chip.allocation_text import parse_allocation
from hwcost.cost_model import WEIGHTS
from hwcost.errors import OfframpError
from hwcost.evaluate import MODES
from hwcost.layer_file import read_layers
from hwcost.mapping.mapper import OBJECTIVES
from hwcost.networks import HEAD_KINDS, backbone_names, early_exit_workload, load_backbone, uniform_precision
from hwcost.simulation import simulate
from hwcost.simulation_json import simulation_json
from hwcost.simulation_text import simulation_text
from hwcost.workload import Workload

# Options that say which variant of a known network is meant.
_OF_NETWORKS = ("exits", "heads", "bits", "width", "image_size", "classes")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hwcost.simulate", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--network", help=f"a known backbone: {', '.join(backbone_names())}")
    what.add_argument("--layers", type=Path, metavar="FILE.csv", help="a table of layers instead")
    parser.add_argument("--exits", default="", help="blocks an early exit follows, e.g. 0,4,5,7")
    parser.add_argument(
        "--heads", default="", help=f"per exit, the final one last, of {', '.join(HEAD_KINDS)}"
    )
    parser.add_argument("--bits", default="8/8", help="weight/activation bits of all blocks (default 8/8)")
    parser.add_argument("--width", type=float, default=1.0, help="width factor of the backbone (default 1)")
    parser.add_argument("--image-size", type=int, default=32, help="side of the image (default 32)")
    parser.add_argument("--classes", type=int, default=10, help="number of classes (default 10)")
    parser.add_argument("--accelerator", default="edge_tpu_quad",
                        help=f"FILE.toml or one of {', '.join(accelerator_names())}")  # fmt: skip
    parser.add_argument("--arrays", default="", help="PE array per compute core, e.g. 8x8x4x4,32x2x4x4,...")
    parser.add_argument("--mode", choices=MODES, default="layer_by_layer", help="how layers share the cores")
    parser.add_argument("--weights", choices=WEIGHTS, default="streamed",
                        help="from DRAM at each inference, or kept on the chip where they fit")  # fmt: skip
    parser.add_argument("--level", help="voltage and frequency level by name (default: the nominal one)")
    parser.add_argument("--objective", choices=OBJECTIVES, default="edp", help="what mapping minimises")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures as JSON")
    return parser


def _numbers(text: str, separator: str, option: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(separator)) if text else ()
    except ValueError:
        raise OfframpError(
            f"expected integers separated by {separator!r} for {option}, got {text!r}"
        ) from None


def _workload(options: argparse.Namespace, parser: argparse.ArgumentParser) -> Workload:
    if options.layers:
        for name in _OF_NETWORKS:
            if getattr(options, name) != parser.get_default(name):
                raise OfframpError(
                    f"expected --{name.replace('_', '-')} with --network only, got it with --layers; "
                    "write it into the table"
                )
        return read_layers(options.layers)
    if options.image_size < 1 or options.classes < 1:
        raise OfframpError(
            f"expected an image size and a number of classes of at least 1, got {options.image_size} and "
            f"{options.classes}; change --image-size or --classes"
        )
    spec = load_backbone(options.network).scaled(options.width)
    exits = _numbers(options.exits, ",", "--exits")
    heads = tuple(options.heads.split(",")) if options.heads else ("fc",) * (len(exits) + 1)
    bits = _numbers(options.bits, "/", "--bits")
    if len(bits) != 2:
        raise OfframpError(f"expected weight/activation bits such as 8/8 for --bits, got {options.bits!r}")
    precision = uniform_precision(spec.n_blocks, bits[0], bits[1])
    return early_exit_workload(spec, exits, heads, precision, options.image_size, options.classes)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        workload = _workload(options, parser)
        accelerator = load_accelerator(options.accelerator)
        allocation = parse_allocation(accelerator, options.arrays, "--arrays")
        found = simulate(
            workload,
            accelerator,
            allocation,
            options.objective,
            options.mode,
            options.weights,
            options.level,
        )
        print(simulation_text(found))
        if options.json:
            options.json.write_text(json.dumps(simulation_json(found), indent=1, allow_nan=False) + "\n")
    except (OfframpError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
