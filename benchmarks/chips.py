"""The trained networks of a run on every accelerator: do fronts differ, what carries over, does heterogeneity pay.

    python -m benchmarks.chips runs/cifar10-small --json chips.json --csv chips.csv

Nothing is trained: accuracies and confidences of the run's networks are kept, thresholds are chosen again for each
chip on the calibration split and measured on validation, over all PE allocations of that chip under the bounds of the
study. Everything is relative to the static reference ON THAT CHIP; fronts are in accuracy and mean energy-latency
product. What carries over is asked of whole designs: a network with the policy targets that were on the home chip's
front, on the other chip's default allocation and on its best ones.

What was found of a chip is kept in the run's folder, below `chips`: called again after an interruption, the command
goes on with the next one. A preset takes minutes.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.harness import provenance, write_json
from benchmarks.kept_results import kept_by_commit
from hwcost import accelerator_names
from hwcost.errors import OfframpError
from models.architecture import Architecture
from study.bounds import Bounds
from study.config import StudyConfig
from study.config_io import identity, load_file, merge, resolve
from study.evaluate import Evaluator
from study.front import dominated_share, headline_front
from study.hardware import HardwareCosts
from study.leaving_out import derive_keeping, network_of, sets_to_derive
from study.memo import ALONE, JOINTLY, PredictionMemo, TrainedNetwork, stored_networks
from study.placements import Placements
from study.record import DesignRecord
from study.reference import NO_LOSS, REFERENCE_HEAD, StaticReference, accuracy_floor, choose_reference
from study.results import load_run
from study.setup import build_accelerator, build_backbone, build_objectives, build_space
from study.side_by_side import in_order

DROPS = (NO_LOSS, 0.01, 0.02)


@dataclass(frozen=True)
class Networks:
    """What a run has trained.

    Attributes:
        trained: The longest training of every network.
        alone: The static network trained without exits.
        jointly: Per kind of final head the static network of the training with all exits.
    """

    trained: Mapping[Architecture, TrainedNetwork]
    alone: TrainedNetwork
    jointly: Mapping[str, TrainedNetwork]

    @classmethod
    def of(cls, run: Path) -> Networks:
        """Those in a run's folder.

        Raises:
            OfframpError: There is none.
        """
        trained: dict[Architecture, TrainedNetwork] = {}
        jointly: dict[str, TrainedNetwork] = {}
        alone: TrainedNetwork | None = None
        for found in stored_networks(run / "predictions"):
            known = trained.get(found.architecture)
            if found.training == JOINTLY:
                jointly[found.architecture.heads[-1]] = found.network
            elif found.training == ALONE:
                alone = found.network
            elif known is None or known.rung < found.network.rung:
                trained[found.architecture] = found.network
        if alone is None:  # a study whose static reference shares the float network of all
            alone = next((n for a, n in trained.items() if a == Architecture.static(a.n_blocks)), None)
        if alone is None or REFERENCE_HEAD not in jointly:
            raise OfframpError(
                f"expected the predictions of a run with both trainings of the static reference in {run.name}, got "
                f"{len(trained)} networks and {len(jointly)} of a joint training; name the folder of a run that ended"
            )
        return cls(trained, alone, jointly)


@dataclass(frozen=True)
class Chip:
    """The run's networks on one accelerator.

    Attributes:
        evaluator: Of the run, with this chip.
        reference: The static reference there, and the best static design.
        designs: Feasible designs of all networks.
        alike: The same with one PE array on all cores; none where the cores have none in common.
    """

    evaluator: Evaluator
    reference: StaticReference
    designs: tuple[DesignRecord, ...]
    alike: tuple[DesignRecord, ...]

    @classmethod
    def of(cls, evaluator: Evaluator, networks: Networks) -> Chip:
        """Every network on every allocation."""
        reference = choose_reference(networks.alone, networks.jointly, evaluator)
        evaluator = evaluator.relative_to(reference.record)
        # Which exits to leave out depends on the chip, and takes seconds a network.
        sets = {
            architecture: sets_to_derive(evaluator, architecture, [network])
            for architecture, network in networks.trained.items()
        }
        alike = _designs(evaluator, networks, sets, _equal_arrays(evaluator))
        return cls(evaluator, reference, _designs(evaluator, networks, sets), alike)

    @cached_property
    def front(self) -> tuple[DesignRecord, ...]:
        """Designs that no other one beats in accuracy and mean product, by falling accuracy."""
        return tuple(self.designs[i] for i in headline_front(self.designs))

    @property
    def name(self) -> str:
        """Of the accelerator."""
        return self.evaluator.hardware.accelerator.name

    def relative(self, record: DesignRecord) -> float:
        """Mean product over that of the static reference on this chip."""
        return record.mean_edp_pj_cycles / self.reference.record.mean_edp_pj_cycles

    def cheapest(self, drop: float, alike: bool = False) -> float | None:
        """Least relative product within a drop of accuracy.

        Args:
            drop: Below the static reference.
            alike: Only allocations with one array on all cores.
        """
        floor = accuracy_floor(self.reference.record.accuracy, drop)
        near = (r for r in (self.alike if alike else self.designs) if r.accuracy >= floor)
        return min(map(self.relative, near), default=None)

    def volume(self, records: Sequence[DesignRecord]) -> float:
        """Share of the box in error over that of chance and relative product that designs dominate."""
        chance = 1.0 - 1.0 / self.evaluator.classes
        points = [(r.error / chance, self.relative(r)) for r in records]
        return dominated_share(np.array(points).reshape(-1, 2))


def _designs(
    evaluator: Evaluator,
    networks: Networks,
    sets: Mapping[Architecture, Sequence[tuple[int, ...]]],
    among: Placements | None = None,
) -> tuple[DesignRecord, ...]:
    """Feasible designs of all networks with each of their sets of exits."""
    if among is not None and not len(among.allocations):
        return ()
    return tuple(
        replace(record, longest=True)
        for architecture, network in networks.trained.items()
        for record in derive_keeping(evaluator, architecture, network, sets[architecture], among)
        if record.feasible
    )


def _equal_arrays(evaluator: Evaluator) -> Placements:
    """Allocations with one array on all cores; derived apart, as others dominate most of them."""
    catalogues = evaluator.hardware.accelerator.catalogues
    placements = Placements(*evaluator.space.placements())
    alike = [
        len({catalogue[i].label for catalogue, i in zip(catalogues, row, strict=True)}) == 1
        for row in placements.allocations
    ]
    return placements.take(np.flatnonzero(alike))


def _config_on(run: Path, chip: str) -> StudyConfig:
    """Of the run's study on another chip with its own PE budget at its nominal level."""
    config = resolve([load_file(run / "config.toml")])
    changed = {"hardware": {"accelerator": chip, "pe_budget": None}, "space": {"levels": "nominal"}}
    return resolve([merge(config.model_dump(mode="json"), changed)])


def evaluator_on(there: StudyConfig, channels: int, classes: int) -> Evaluator:
    """The evaluation of a study; it cannot train."""
    accelerator = build_accelerator(there)
    spec = build_backbone(there, channels)
    hardware = HardwareCosts.from_config(there, spec, classes, accelerator)

    def no_training(architecture: Architecture) -> TrainedNetwork:
        raise AssertionError(f"{architecture} is not among the trained networks")

    return Evaluator(
        build_space(there, spec, accelerator), hardware, build_objectives(there, accelerator),
        Bounds.of(there.constraints.given(), hardware.static), PredictionMemo(Path(), {}), no_training, classes,
        leave_out=there.search.leave_out,
    )  # fmt: skip


def carried(home: Sequence[DesignRecord], there: Chip, networks: Networks) -> tuple[float, float]:
    """Hypervolume of the home chip's front on another chip over that of the other chip's own front.

    Args:
        home: The front of the chip that the designs were chosen for.
        there: Where they run.
        networks: Of the run.

    Returns:
        On the default allocation of that chip; on that and all others that lead there with the same exits and target.
        Designs that break a bound of the study there count for nothing.
    """
    default = tuple(there.evaluator.hardware.accelerator.default_allocation)
    nominal = there.evaluator.space.levels.nominal
    on_default = [
        there.evaluator.measured(
            replace(r.genome, allocation=default, level=nominal), network_of(r, networks.trained[r.network])
        )
        for r in home
    ]
    on_default = [replace(r, longest=True) for r in on_default if r.feasible]
    chosen = {_network_and_policy(r) for r in home}
    on_best = [*on_default, *(r for r in there.designs if _network_and_policy(r) in chosen)]
    own = there.volume(there.front)
    if not own:
        return float("nan"), float("nan")
    return there.volume(on_default) / own, there.volume(on_best) / own


def _network_and_policy(record: DesignRecord) -> tuple[Architecture, Architecture, float]:
    """What a design is beside where it runs."""
    return record.network, record.genome.architecture, record.genome.policy_target


def measure(run: Path, names: Sequence[str], workers: int = 1) -> tuple[dict[str, Any], pd.DataFrame]:
    """Figures of all chips, and a table with one row a chip.

    Args:
        run: Folder of a run.
        names: Of accelerators; the run's own comes first, whether it is named or not.
        workers: Processes that chips are shared among.

    Raises:
        OfframpError: The folder is not that of a run, or an accelerator is not known.
    """
    results, networks = load_run(run), Networks.of(run)
    for name in names:
        build_accelerator(_config_on(run, name))  # before minutes are spent on the others
    name, data = str(results.config["hardware"]["accelerator"]), results.environment["data"]
    shape = int(data["channels"]), len(data["classes"])
    home = _chip(run, shape, name, networks)
    others = tuple(dict.fromkeys(n for n in names if n != name))
    rows = [
        row(home, home.front, networks),
        *in_order(partial(_row, run, shape, home.front), others, workers),
    ]
    facts = {
        "home": name,
        "networks": len(networks.trained),
        "static_accuracy": home.reference.record.accuracy,
    }
    return facts, pd.DataFrame(rows)


def _chip(run: Path, shape: tuple[int, int], name: str, networks: Networks) -> Chip:
    """The networks on one chip, for images of so many (channels, classes)."""
    started = time.monotonic()
    chip = Chip.of(evaluator_on(_config_on(run, name), *shape), networks)
    print(f"{name}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    return chip


def _row(run: Path, shape: tuple[int, int], home: Sequence[DesignRecord], name: str) -> dict[str, Any]:
    """Of one chip, in any process; that of an earlier call where the same was asked of the same code."""
    networks, config = Networks.of(run), _config_on(run, name)
    # Its float weights may be anywhere by now, and what was trained from them is among the networks.
    without = config.model_copy(update={"backbone": config.backbone.model_copy(update={"weights": None})})
    key = {
        "benchmark": "chips", "study": identity(without),
        "networks": sorted(architecture.key() for architecture in networks.trained),
        "home": [replace(record, seconds=0.0).to_json() for record in home],
    }  # fmt: skip
    return kept_by_commit(run / "chips", key, lambda: row(_chip(run, shape, name, networks), home, networks))


def row(chip: Chip, home: Sequence[DesignRecord], networks: Networks) -> dict[str, Any]:
    """What is said of one chip, beside the front of the home chip."""
    static = chip.evaluator.hardware.static
    own = {r.network for r in chip.front}
    found: dict[str, Any] = {
        "accelerator": chip.name,
        "static_latency_cycles": static.latency_cycles,
        "static_energy_pj": static.energy_pj,
        "feasible_designs": len(chip.designs),
        "front": len(chip.front),
        "networks_on_front": len(own),
        "also_on_home_front": len(own & {r.network for r in home}),
        "best_static": chip.relative(chip.reference.best_static),
    }
    for drop in DROPS:
        found[f"edp_relative_at_{100 * drop:g}_points"] = chip.cheapest(drop)
        found[f"edp_relative_at_{100 * drop:g}_points_equal_cores"] = chip.cheapest(drop, alike=True)
    found["home_front_default_arrays"], found["home_front_best_arrays"] = carried(home, chip, networks)
    return found


def main() -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.chips", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument(
        "--accelerators", nargs="+", default=None, metavar="NAME", help="default: every preset"
    )
    parser.add_argument("--workers", type=int, default=1, help="processes; default: 1")
    parser.add_argument("--csv", type=Path, metavar="FILE")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    try:
        facts, table = measure(options.run, options.accelerators or accelerator_names(), options.workers)
    except OfframpError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    show(facts, table)
    if options.csv:
        table.to_csv(options.csv, index=False, lineterminator="\n")
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    write_json(options.json, {**facts, "chips": rows, **provenance(("numpy",), run=options.run.name)})
    return 0


def show(facts: Mapping[str, Any], table: pd.DataFrame) -> None:
    """For people."""
    print(f"{facts['networks']} networks; products relative to the static reference on each chip, in %")
    columns = {
        "best_static": "best static",
        **{f"edp_relative_at_{100 * drop:g}_points": f"-{100 * drop:g} points" for drop in DROPS},
        "edp_relative_at_2_points_equal_cores": "-2, equal cores",
        "home_front_default_arrays": "home, default arrays",
        "home_front_best_arrays": "home, best arrays",
    }
    print(f"{'accelerator':20s}" + "".join(f"{title:>{len(title) + 3}s}" for title in columns.values()))
    for found in table.to_dict("records"):
        shown = (f"{_percent(found[name]):>{len(title) + 3}s}" for name, title in columns.items())
        print(f"{found['accelerator']:20s}" + "".join(shown))
    print(f"home: hypervolume of the front of {facts['home']} there, in % of that of the chip's own front")


def _percent(value: float | None) -> str:
    return "-" if value is None or not np.isfinite(value) else f"{100 * value:.1f}"


if __name__ == "__main__":
    sys.exit(main())
