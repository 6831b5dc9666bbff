"""What exits, bits and PE arrays are worth alone and together, by real training: the parts of a refined run.

    python -m benchmarks.refined_parts runs/cifar10-cpu --data images.tar.xz --json refined_parts.json

Every part searches what its name says and leaves the rest as in the static reference (no exits, 8 bit, default
arrays); thresholds per exit go with exits. Networks are trained as the run's refined ones were: the static network
with each of `--bits` everywhere, and one with all exits at 8 bit, of which those of its placements count that lead
under one threshold (`benchmarks.paper_space`). Exits with bits are the run's refined networks. A part with arrays has
the designs of the one without them too. Per part the least mean energy-latency product over that of the static
reference is printed, of designs with at most so much less accuracy: means over seeds on the validation split. The
study's bounds on weight memory and error do not count: 8-bit networks with exits have more weights than the static.
Thresholds come from the calibration split; the test split is not read.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from benchmarks.harness import provenance, write_json
from benchmarks.paper_space import with_all_exits
from benchmarks.refined_run import RefinedRun, run_options
from hwcost.errors import OfframpError
from models.architecture import Architecture
from study.evaluate import Evaluator, Placements
from study.exit_choice import worth_keeping
from study.leaving_out import derive_with_fewer
from study.memo import TrainedNetwork
from study.record import DesignRecord
from study.reference import NO_LOSS
from study.refine.choice import mean_record

DROPS = (NO_LOSS, 0.01, 0.02)

Networks = Mapping[Architecture, Sequence[TrainedNetwork]]


def designs(evaluator: Evaluator, networks: Networks, arrays: bool) -> list[DesignRecord]:
    """Means over seeds of every policy target of networks, on the default arrays or on all that are useful.

    Args:
        evaluator: Of the study.
        networks: With an entry a seed.
        arrays: Whether PE arrays are chosen; the default ones are among them.
    """
    default = np.array([evaluator.hardware.accelerator.default_allocation])
    choices: list[Placements | None] = [Placements(default, np.array([evaluator.space.levels.nominal]))]
    choices += [None] if arrays else []
    found = []
    for architecture, seeds in networks.items():
        parts = worth_keeping(evaluator, architecture, seeds, evaluator.leave_out)
        for among, exits in product(choices, [architecture.exits, *parts]):
            derived = [derive_with_fewer(evaluator, architecture, n, [exits], among) for n in seeds]
            found += [mean_record(records) for records in zip(*derived, strict=True)]
    return [record for record in found if record.feasible]


def least_products(records: Sequence[DesignRecord], accuracy: float, edp: float) -> dict[str, float | None]:
    """Least relative product by accuracy given away; None where no design is accurate enough.

    Args:
        records: Designs.
        accuracy: Of the static reference.
        edp: Its mean energy-latency product.
    """
    found = {}
    for drop in DROPS:
        near = [r.mean_edp_pj_cycles for r in records if r.accuracy >= accuracy - drop - 1e-12]
        found[f"{drop:g}"] = min(near) / edp if near else None
    return found


def measure(run: RefinedRun, bits: Sequence[int]) -> dict[str, Any]:
    """Trains what is missing and compares the parts.

    Raises:
        OfframpError: A training diverged.
    """
    n, hardware, evaluator = run.context.spec.n_blocks, run.context.hardware, run.evaluator
    whole, static = with_all_exits(run), hardware.static_architecture
    lower = [Architecture.static(n, static.heads[-1], width) for width in bits]
    refined = [a for a in run.architectures() if not a.is_static]
    trained = {**run.train([*lower, whole, *refined]), static: run.static_networks()}
    reference = {static: trained[static]}
    exits = {**reference, whole: trained[whole]}
    statics = {a: trained[a] for a in (static, *lower)}
    both = {a: trained[a] for a in refined}
    parts: dict[str, list[DesignRecord]] = {
        "arrays": designs(evaluator, reference, arrays=True),
        "bits": designs(evaluator, statics, arrays=False),
        "exits": designs(evaluator, exits, arrays=False),
        "bits and arrays": designs(evaluator, statics, arrays=True),
        "exits and arrays": designs(evaluator, exits, arrays=True),
        "exits and bits": designs(evaluator, {**statics, **exits, **both}, arrays=False),
        "exits, bits and arrays": designs(evaluator, {**statics, **exits, **both}, arrays=True),
    }
    accuracy, edp = float(run.reference["accuracy"]), float(run.reference["mean_edp_pj_cycles"])
    return {
        "accelerator": hardware.accelerator.name, "seeds": run.seeds, "epochs": run.networks.recipe.epochs,
        "static_accuracy": accuracy,
        "accuracy_of_static": {
            str(a.weight_bits[0]): float(np.mean([t.validation.accuracies[-1] for t in seeds]))
            for a, seeds in statics.items()
        },
        "refined_networks": len(both),
        "parts": {name: least_products(records, accuracy, edp) for name, records in parts.items()},
    }  # fmt: skip


def main() -> int:
    """The command line; returns the exit status."""
    parser = run_options("benchmarks.refined_parts", __doc__)
    parser.add_argument(
        "--bits", type=int, nargs="+", default=[4], help="of the static networks beside 8 (default: 4)"
    )
    options = parser.parse_args()
    try:
        found = measure(RefinedRun.open(options.run, options.data, options.workers), options.bits)
    except OfframpError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"static reference {found['static_accuracy']:.2%}; static by bits: "
          + ", ".join(f"{bits}: {a:.2%}" for bits, a in found["accuracy_of_static"].items()))  # fmt: skip
    print(
        f"{'least relative product, %':28s}" + "".join(f"{f'-{100 * drop:g} points':>14s}" for drop in DROPS)
    )
    for name, products in found["parts"].items():
        cells = ("-" if value is None else f"{100 * value:.1f}" for value in products.values())
        print(f"{name:28s}" + "".join(f"{cell:>14s}" for cell in cells))
    write_json(
        options.json, {**found, **provenance(("numpy", "torch"), run=options.run.name, bits=options.bits)}
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
