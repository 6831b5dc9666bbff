"""`python -m hwcost.simulate`: what a network costs on an accelerator, layer by layer and exit by exit."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hwcost.chip.accelerator import Accelerator
from hwcost.chip.accelerator_file import accelerator_names, load_accelerator
from hwcost.errors import OfframpError
from hwcost.evaluate import CostModel, StageCosts
from hwcost.layer_file import read_layers
from hwcost.mapping.mapper import OBJECTIVES
from hwcost.networks import HEAD_KINDS, backbone_names, early_exit_workload, load_backbone, uniform_precision
from hwcost.report import LayerReport, layer_report
from hwcost.workload import Workload


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


def _workload(options: argparse.Namespace) -> Workload:
    if options.layers:
        return read_layers(options.layers)
    if options.image_size < 1 or options.classes < 1:
        raise OfframpError("expected an image size and a number of classes of at least 1")
    spec = load_backbone(options.network).scaled(options.width)
    exits = _numbers(options.exits, ",", "--exits")
    heads = tuple(options.heads.split(",")) if options.heads else ("fc",) * (len(exits) + 1)
    bits = _numbers(options.bits, "/", "--bits")
    if len(bits) != 2:
        raise OfframpError(f"expected weight/activation bits such as 8/8 for --bits, got {options.bits!r}")
    precision = uniform_precision(spec.n_blocks, bits[0], bits[1])
    return early_exit_workload(spec, exits, heads, precision, options.image_size, options.classes)


def _allocation(accelerator: Accelerator, text: str) -> np.ndarray:
    if not text:
        return np.array(accelerator.default_allocation)
    labels = [array.label for array in accelerator.catalogue]
    chosen = text.split(",")
    unknown = [label for label in chosen if label not in labels]
    if unknown:
        raise OfframpError(f"expected arrays of {', '.join(labels)} for --arrays, got {unknown[0]!r}")
    return np.array([labels.index(label) for label in chosen])


def _print(accelerator: Accelerator, report: LayerReport, costs: StageCosts, workload: Workload) -> None:
    print(
        f"{'layer':18s}{'core':12s}{'array':10s}{'unrolled':20s}{'MACs':>12s}{'cycles':>11s}{'energy pJ':>15s}"
    )
    for i, name in enumerate(report.names):
        print(
            f"{name:18s}{report.core[i]:12s}{report.pe_array[i]:10s}{report.spatial[i]:20s}{report.macs[i]:12d}"
            f"{report.latency_cycles[i]:11.0f}{report.energy_pj[i]:15.0f}"
        )
    print()
    levels = "".join(f"{name + ' pJ':>15s}" for name in costs.level_names)
    print(f"{'up to exit':18s}{'cycles':>11s}{'us':>10s}{'energy pJ':>15s}{levels}")
    for k in range(workload.n_segments):
        cycles = costs.latency_cycles[0, k]
        parts = "".join(f"{value:15.0f}" for value in costs.energy_by_level_pj[0, k])
        micro = cycles / accelerator.clock_hz * 1e6
        print(f"{k:<18d}{cycles:11.0f}{micro:10.1f}{costs.energy_pj[0, k]:15.0f}{parts}")
    print(
        f"\nweights {costs.weight_memory_bits / 8192:.1f} KiB, activations at once "
        f"{costs.activation_memory_bits / 8192:.1f} KiB; microseconds at an assumed "
        f"{accelerator.clock_hz / 1e6:g} MHz"
    )


def _as_json(
    accelerator: Accelerator, report: LayerReport, costs: StageCosts, workload: Workload
) -> dict[str, Any]:
    layers = [
        {
            "name": name,
            "segment": int(workload.segment[i]),
            "head": bool(workload.head[i]),
            "core": report.core[i],
            "pe_array": report.pe_array[i],
            "spatial": report.spatial[i],
            "macs": int(report.macs[i]),
            "start_cycle": float(report.start_cycle[i]),
            "latency_cycles": float(report.latency_cycles[i]),
            "energy_pj": float(report.energy_pj[i]),
            **_by_level(report.level_names, report.energy_by_level_pj[i]),
        }
        for i, name in enumerate(report.names)
    ]
    exits = [
        {
            "exit": k,
            "latency_cycles": float(costs.latency_cycles[0, k]),
            "energy_pj": float(costs.energy_pj[0, k]),
            **_by_level(costs.level_names, costs.energy_by_level_pj[0, k]),
        }
        for k in range(workload.n_segments)
    ]
    return {
        "accelerator": accelerator.name,
        "clock_hz": accelerator.clock_hz,
        "weight_memory_bits": costs.weight_memory_bits,
        "activation_memory_bits": costs.activation_memory_bits,
        "exits": exits,
        "layers": layers,
    }


def _by_level(names: tuple[str, ...], values: np.ndarray) -> dict[str, float]:
    return {f"energy_{name}_pj": float(value) for name, value in zip(names, values, strict=True)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        workload = _workload(options)
        accelerator = load_accelerator(options.accelerator)
        allocation = _allocation(accelerator, options.arrays)
        model = CostModel(accelerator)
        costs = model.evaluate(workload, allocation[None, :], options.objective)
        report = layer_report(workload, accelerator, allocation, options.objective, model)
        _print(accelerator, report, costs, workload)
        if options.json:
            options.json.write_text(
                json.dumps(_as_json(accelerator, report, costs, workload), indent=1) + "\n"
            )
    except (OfframpError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
