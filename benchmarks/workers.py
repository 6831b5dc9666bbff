"""Trials a second of 1, 2, 4, 8 processes: `python -m benchmarks.workers --storage postgresql://user@host/name`.

The objective sleeps, so that processes do not compete for cores. However many they are, they do the same study: what
a proposal takes grows in its course, so few processes must not be spared its end. Without `--storage` a PostgreSQL
server is started on loopback from Debian's programs and removed at the end.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from benchmarks.harness import provenance, write_json
from benchmarks.made_up import OBJECTIVES, Simulation, claims_of, create, made_up, preset_space
from study.storage import tell_result
from study.turns import Turns

PACKAGES = ("optuna", "sqlalchemy", "psycopg", "numpy")


def work(
    url: str,
    name: str,
    preset: str,
    trials: int,
    seconds: float,
    predictor: bool,
    turns: Path,
    index: int,
    start: Barrier,
) -> None:
    """One worker process: claims trials until all are finished."""
    config, space, hardware = preset_space(preset, trials)
    study = create(url, name, config)
    simulation = Simulation(config, space, hardware)
    claims = claims_of(study, url, space, trials, index, simulation, predictor, Turns.of_this_machine(turns))
    start.wait(600)
    while (trial := claims.take()) is not None:
        time.sleep(seconds)
        record = made_up(space.decode(trial.params))
        tell_result(study, trial, record, OBJECTIVES.values(record))


def measure(
    url: str, preset: str, workers: int, trials: int, seconds: float, predictor: bool, turns: Path
) -> dict[str, float]:
    """Trials a second of so many workers, from their common start until nothing is left for one of them to begin."""
    name = f"workers-{uuid.uuid4().hex[:8]}"
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(workers + 1)
    arguments = (url, name, preset, trials, seconds, predictor, turns)
    processes = [context.Process(target=work, args=(*arguments, i, start)) for i in range(workers)]
    for process in processes:
        process.start()
    start.wait(600)
    begin = datetime.now()
    for process in processes:
        process.join()
    study = create(url, name, preset_space(preset, trials)[0])
    found = study.get_trials(deepcopy=False)
    ends = sorted(t.datetime_complete for t in found if t.state.name == "COMPLETE" and t.datetime_complete)
    if len(ends) != trials:
        raise RuntimeError(f"expected {trials} finished trials, got {len(ends)}")
    counted = trials - workers + 1
    spent = (ends[counted - 1] - begin).total_seconds()
    return {"trials_per_second": counted / spent, "given_up": len(found) - trials}


@contextmanager
def _server(url: str | None) -> Iterator[str]:
    if url is not None:
        yield url
        return
    from tests.study.servers import PostgresServer, postgres_binaries

    binaries = postgres_binaries()
    if binaries is None:
        raise SystemExit("expected PostgreSQL's server or --storage; Debian: apt-get install postgresql")
    server = PostgresServer(binaries)
    try:
        server.start()
        yield server.new_database("workers")
    finally:
        server.remove()


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--storage", metavar="URL")
    parser.add_argument("--workers", default="1,2,4,8", help="numbers of processes, separated by commas")
    parser.add_argument("--trials", type=int, default=120, help="of each study")
    parser.add_argument("--seconds", type=float, default=2.0, help="that the objective sleeps")
    parser.add_argument(
        "--no-predictor", action="store_true", help="proposals of the genetic algorithm alone"
    )
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--preset", default="cifar10-small")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    counts = [int(text) for text in arguments.workers.split(",")]
    rates: dict[int, list[float]] = {count: [] for count in counts}
    given_up: dict[int, int] = dict.fromkeys(counts, 0)
    with _server(arguments.storage) as url, tempfile.TemporaryDirectory() as turns:
        for _ in range(arguments.rounds):
            for count in counts:
                found = measure(
                    url,
                    arguments.preset,
                    count,
                    arguments.trials,
                    arguments.seconds,
                    not arguments.no_predictor,
                    Path(turns),
                )
                rates[count].append(found["trials_per_second"])
                given_up[count] += int(found["given_up"])
    # Linear: what processes could do that do nothing but sleep.
    result: dict[str, Any] = {}
    for count in counts:
        rate = statistics.median(rates[count])
        result[str(count)] = {
            "trials_per_second": rate,
            "of_linear": rate / (statistics.median(rates[counts[0]]) * count / counts[0]),
            "of_sleeping": rate * arguments.seconds / count,
            "given_up": given_up[count],
            "n": arguments.rounds,
        }
        print(
            f"{count:3} processes {rate:7.3f} trials/s, {result[str(count)]['of_linear']:.3f} of linear, "
            f"{result[str(count)]['of_sleeping']:.3f} of nothing but the objective, {given_up[count]} given up"
        )
    settings = {
        key: getattr(arguments, key) for key in ("trials", "seconds", "rounds", "preset", "no_predictor")
    }
    write_json(arguments.json, {"workers": result, **provenance(PACKAGES, **settings)})


if __name__ == "__main__":
    main()
