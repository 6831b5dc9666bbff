"""What exits, bits and PE arrays are worth alone and together, by real training: the parts of a refined run.

    python -m benchmarks.refined_parts runs/cifar10-small --data images.tar.xz --json refined_parts.json

Every part searches what its name says and leaves the rest as in the static reference (no exits, 8 bit, default
arrays); thresholds per exit go with exits. Networks are trained as the run's refined ones were: the static network
with each of `--bits` everywhere, and one with all exits at 8 bit. Exits with bits are the run's refined networks.
Networks with early exits count with fewer of them too, as in a study (`study.exit_choice`). A part with arrays has
the designs of the one without them too. Per part the least mean energy-latency product over that of the static
reference is printed, of designs with at most so much less accuracy: means over seeds on the validation split. The
study's bounds on weight memory and error do not count: 8-bit networks with exits have more weights than the static.
Thresholds come from the calibration split; the test split is not read.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.harness import provenance, write_json
from benchmarks.paper_space import with_all_exits
from benchmarks.refined_run import RefinedRun, run_options
from hwcost.errors import OfframpError
from models.architecture import Architecture
from study.evaluate import Evaluator
from study.leaving_out import derive_keeping, sets_to_derive
from study.memo import TrainedNetwork
from study.placements import Placements
from study.record import DesignRecord
from study.reference import NO_LOSS, accuracy_floor
from study.refine.choice import mean_record

DROPS = (NO_LOSS, 0.01, 0.02)


@dataclass(frozen=True)
class NetworkDesigns:
    """Feasible designs of one network, each the mean over seeds of what its trainings give.

    Attributes:
        default: On the default arrays.
        chosen: On all that are useful.
    """

    default: tuple[DesignRecord, ...]
    chosen: tuple[DesignRecord, ...]

    @classmethod
    def of(
        cls, evaluator: Evaluator, network: Architecture, seeds: Sequence[TrainedNetwork]
    ) -> NetworkDesigns:
        """Every policy target of a network and of those with fewer exits.

        Args:
            evaluator: Of the study.
            network: What was trained.
            seeds: An entry a training.
        """
        sets = sets_to_derive(evaluator, network, seeds)

        def on(among: Placements | None) -> tuple[DesignRecord, ...]:
            derived = [derive_keeping(evaluator, network, n, sets, among) for n in seeds]
            means = (mean_record(records) for records in zip(*derived, strict=True))
            return tuple(record for record in means if record.feasible)

        default = np.array([evaluator.hardware.accelerator.default_allocation])
        return cls(on(Placements(default, np.array([evaluator.space.levels.nominal]))), on(None))


def of_all(networks: Iterable[NetworkDesigns], arrays: bool) -> list[DesignRecord]:
    """Designs of several networks; with arrays also those on the default ones."""
    return [r for n in networks for r in (*n.default, *(n.chosen if arrays else ()))]


def least_products(records: Sequence[DesignRecord], accuracy: float, edp: float) -> dict[str, float | None]:
    """Least relative product by accuracy given away; None where no design is accurate enough.

    Args:
        records: Designs.
        accuracy: Of the static reference.
        edp: Its mean energy-latency product.
    """
    found = {}
    for drop in DROPS:
        floor = accuracy_floor(accuracy, drop)
        near = [r.mean_edp_pj_cycles for r in records if r.accuracy >= floor]
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
    found = {a: NetworkDesigns.of(evaluator, a, seeds) for a, seeds in trained.items()}
    statics = [found[a] for a in (static, *lower)]
    exits = [found[static], found[whole]]
    everything = list(found.values())
    parts = {
        "arrays": of_all([found[static]], arrays=True),
        "bits": of_all(statics, arrays=False),
        "exits": of_all(exits, arrays=False),
        "bits and arrays": of_all(statics, arrays=True),
        "exits and arrays": of_all(exits, arrays=True),
        "exits and bits": of_all(everything, arrays=False),
        "exits, bits and arrays": of_all(everything, arrays=True),
    }
    accuracy, edp = float(run.reference["accuracy"]), float(run.reference["mean_edp_pj_cycles"])
    return {
        "accelerator": hardware.accelerator.name, "seeds": run.seeds, "epochs": run.networks.recipe.epochs,
        "static_accuracy": accuracy,
        "accuracy_of_static": {
            str(a.weight_bits[0]): float(np.mean([t.validation.accuracies[-1] for t in trained[a]]))
            for a in (static, *lower)
        },
        "refined_networks": len(refined),
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
        found = measure(
            RefinedRun.open(options.run, options.data, options.workers, options.weights), options.bits
        )
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
