"""What a trial costs beside training and simulation: `python -m benchmarks.overhead --trials 2000`.

A study is filled with finished trials; the next ones are proposed, claimed and told as `study.run` does, with results
that are made up. Every part is timed; the simulator's time is taken off.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.harness import provenance, write_json
from benchmarks.made_up import OBJECTIVES, Simulation, claims_of, create, fill, made_up, preset_space
from study.storage import tell_result

PACKAGES = ("optuna", "sqlalchemy", "numpy", "psycopg", "grpcio")


class Timed:
    """A method of an object with the time that its calls take."""

    def __init__(self, owner: Any, method: str) -> None:
        self.seconds = 0.0
        self._inner = getattr(owner, method)
        setattr(owner, method, self)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Calls the method."""
        start = time.perf_counter()
        try:
            return self._inner(*arguments, **options)
        finally:
            self.seconds += time.perf_counter() - start


def measure(url: str, preset: str, filled: int, n: int, predictor: bool) -> dict[str, Any]:
    """Parts of the overhead of `n` trials after so many, in milliseconds; the first one reads all before it."""
    config, space, hardware = preset_space(preset, filled + n)
    study = create(url, "overhead", config)
    fill(study, space, filled, config.population())
    simulation = Simulation(config, space, hardware)
    claims = claims_of(study, url, space, filled + n, 0, simulation, predictor)
    sampler = Timed(study.sampler, "sample_relative")
    taken, told, simulated, sampled, cpu = [], [], [], [], []
    for _ in range(n):
        sampler.seconds = simulation.seconds = 0.0
        start, start_cpu = time.perf_counter(), time.process_time()
        trial = claims.take()
        middle = time.perf_counter()
        assert trial is not None
        record = made_up(space.decode(trial.params))
        begin_tell = time.perf_counter()
        tell_result(study, trial, record, OBJECTIVES.values(record))
        end = time.perf_counter()
        cpu.append(time.process_time() - start_cpu - simulation.seconds)
        taken.append(middle - start)
        told.append(end - begin_tell)
        simulated.append(simulation.seconds)
        sampled.append(sampler.seconds)
    overhead = [a + b - c for a, b, c in zip(taken, told, simulated, strict=True)]

    def milliseconds(values: list[float]) -> dict[str, float]:
        return {
            "mean": 1000 * statistics.fmean(values),
            "mean_after_first": 1000 * statistics.fmean(values[1:]),
            "median": 1000 * statistics.median(values),
            "slowest": 1000 * max(values),
        }

    return {
        "overhead_ms": milliseconds(overhead),
        "cpu_ms": milliseconds(cpu),
        "sampler_ms": milliseconds([a - b for a, b in zip(sampled, simulated, strict=True)]),
        "reading_and_writing_the_proposal_ms": milliseconds(
            [a - b for a, b in zip(taken, sampled, strict=True)]
        ),
        "telling_ms": milliseconds(told),
        "simulation_ms": milliseconds(simulated),
        "n": n,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--trials", type=int, default=2000, help="finished trials before the first that is timed"
    )
    parser.add_argument("--n", type=int, default=100, help="trials that are timed")
    parser.add_argument("--preset", default="cifar10-small")
    parser.add_argument("--storage", action="append", metavar="URL", help="default: sqlite and journal files")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if arguments.n < 2:
        parser.error(f"expected --n 2 or more, as the first trial counts apart, got {arguments.n}")
    with tempfile.TemporaryDirectory() as folder:
        urls = arguments.storage or [f"sqlite:///{folder}/study.db", f"journal:///{folder}/study.log"]
        result: dict[str, Any] = {}
        for url in urls:
            kind = url.partition(":")[0]
            for predictor in (True, False):
                place = url if arguments.storage else f"{url}{int(predictor)}"
                name = kind if predictor else f"{kind}, search.predictor=false"
                result[name] = measure(place, arguments.preset, arguments.trials, arguments.n, predictor)
                print(name)
                for part, value in result[name].items():
                    if isinstance(value, dict):
                        print(f"  {part:40} " + ", ".join(f"{k} {v:8.1f}" for k, v in value.items()))
    settings = {"trials": arguments.trials, "n": arguments.n, "preset": arguments.preset}
    write_json(arguments.json, {"overhead": result, **provenance(PACKAGES, **settings)})


if __name__ == "__main__":
    main()
