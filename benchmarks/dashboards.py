"""How long a viewer of a large study waits, and how large reports are.

    python -m benchmarks.dashboards --trials 5000 --json dashboards.json

Trials are made up: as many different designs of the quickstart's space with results such that nothing is dominated,
the worst case for optuna-dashboard's own comparison of every two trials and for our front, and for each network a
file of designs derived from it (35 was the median of a run of cifar10-small before networks with fewer exits counted,
208 is since). Reports are of made-up runs.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import numpy as np
import optuna
from optuna.trial import TrialState, create_trial
from optuna_dashboard import wsgi
from optuna_dashboard._pareto_front import get_pareto_front_trials

from benchmarks.harness import Timing, provenance, write_json
from benchmarks.made_up import made_up
from dashboards.report import report_html
from dashboards.serve.__main__ import MOST_TRIALS
from dashboards.serve.artifacts import ArtifactShelf
from dashboards.serve.copy import StudyCopy
from dashboards.serve.live_view import LiveView
from dashboards.serve.order import ordered
from study.config_io import identity
from study.derived import DerivedFiles
from study.derived import _path as derived_path
from study.live import IDENTITY_KEY, LiveStudy, keep_environment
from study.record import DesignRecord
from study.results import load_run
from study.setup import StudyContext
from study.storage import RESULT_KEY, keep_reference
from tests.dashboards.synthetic_run import write_run
from tests.study.bench import bench_context, static_reference

PACKAGES = ("optuna", "optuna-dashboard", "plotly", "pandas", "numpy", "scikit-learn")
ENVIRONMENT = {"data": {"name": "made up", "channels": 1, "classes": [str(i) for i in range(10)]}}


def large_study(folder: Path, trials: int, derived: int) -> LiveStudy:
    """So many different designs in memory, none of them dominated: the less error, the more latency and product.

    Args:
        folder: For the designs that are derived from each network.
        trials: How many.
        derived: Designs in a network's file; 0 leaves the files out.
    """
    context = bench_context(folder)
    study = optuna.create_study(study_name="large", directions=["minimize"] * 3)
    study.set_user_attr(IDENTITY_KEY, json.dumps(identity(context.config)))
    keep_environment(study, ENVIRONMENT)
    keep_reference(study, static_reference(context))
    context.paths.derived.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(trials):
        add_trial(study, context, context.space.random(rng), number / trials, derived)
    files = DerivedFiles(context.paths.derived, identity(context.config)) if derived else None
    return LiveStudy(study, derived=files)


def add_trial(
    study: optuna.Study, context: StudyContext, genes: dict[str, Any], place: float, derived: int
) -> None:
    """One more trained design; the later its place out of 0 to 1, the more error and the less latency."""
    genome = context.space.decode(genes)
    record = at_place(made_up(genome), place)
    study.add_trial(
        create_trial(
            state=TrialState.COMPLETE,
            params=genes,
            distributions=context.space.distributions(),
            values=[record.error, record.mean_latency_cycles, record.mean_energy_pj],
            user_attrs={"feasible": True, RESULT_KEY: record.to_json()},
        )
    )
    if derived:
        lines = [json.dumps(r.to_json()) for r in derived_records(context, record, derived, place)]
        derived_path(context, genome.architecture, record.rung).write_text("\n".join(lines) + "\n")


def at_place(record: DesignRecord, place: float) -> DesignRecord:
    """The record moved along a front on which accuracy costs latency and product."""
    latency = 1e5 * (1.0 - 0.5 * place)
    return replace(
        record,
        accuracy=0.9 - 0.5 * place,
        mean_latency_cycles=latency,
        mean_energy_pj=1e7,
        mean_edp_pj_cycles=1e7 * latency,
    )


def derived_records(
    context: StudyContext, record: DesignRecord, count: int, place: float
) -> list[DesignRecord]:
    """Other allocations and targets of a network; one in eight leads, as in a run of cifar10-small."""
    rng = np.random.default_rng(int(1e6 * place))
    other = context.space.decode(context.space.random(rng))
    found = []
    for index in range(count):
        allocation = other.allocation if index % 2 else record.genome.allocation
        genome = replace(record.genome, allocation=allocation, policy_target=0.001 * (index + 1))
        moved = at_place(record, min(place + 0.01 * index, 1.0))
        worse = 1.0 if index % 8 == 0 else 1.3
        found.append(
            replace(
                moved,
                genome=genome,
                source="derived",
                mean_latency_cycles=worse * moved.mean_latency_cycles,
                mean_edp_pj_cycles=worse * moved.mean_edp_pj_cycles,
            )
        )
    return found


def view_of(live: LiveStudy, most: int) -> LiveView:
    """A viewer that has seen nothing yet."""
    return LiveView(live, StudyCopy.of(live.study, most), ArtifactShelf(None), None)


def measure_viewer(live: LiveStudy, most: int, rounds: int) -> dict[str, Any]:
    """The first update, those until nothing is left for later, one after a new trial, the dashboard's own front.

    Between updates the viewer rests as long as one took; the rests are not in `all_there`.
    """
    first, there, again, compared, answered, bare = [], [], [], [], [], []
    for _ in range(rounds):
        view = view_of(replace(live, derived=unread(live.derived)), most)
        first.append(_seconds(view.update))
        there.append(first[-1])
        updates = 1
        while view.live.pending:
            there[-1] += _seconds(view.update)
            updates += 1
        live.study.add_trial(replace_number(live.study.trials[-1]))
        again.append(_seconds(view.update))
        shown = view.copy.study.get_trials(deepcopy=False)
        compared.append(_seconds(lambda s=shown: get_pareto_front_trials(s, live.study.directions)))
        app = wsgi(view.copy.storage, artifact_store=view.shelf)
        _answer(app)  # the first one fills the dashboard's cache of trials
        bare.append(_seconds(lambda a=app: _answer(a)))
        answered.append(_seconds(lambda a=app, v=view: _answer(ordered(a, lambda: v.figures))))
    return {
        "trials_shown": len(view.copy.numbers),
        "first_update": Timing.of(first),
        "all_there": Timing.of(there),
        "updates_until_all_there": updates,
        "update_after_a_trial": Timing.of(again),
        "front_of_the_dashboard": Timing.of(compared),
        "answer_of_the_dashboard": Timing.of(bare),
        "answer_in_order": Timing.of(answered),
    }


def _answer(application: Any) -> bytes:
    """What a browser asks for every few seconds."""
    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    return b"".join(application(environ | {"PATH_INFO": "/api/studies/0"}, lambda *_: None))


def unread(files: DerivedFiles | None) -> DerivedFiles | None:
    """The same files, none of them read."""
    if files is None:
        return None
    fresh = copy(files)
    fresh._known = set()
    return fresh


def replace_number(trial: optuna.trial.FrozenTrial) -> optuna.trial.FrozenTrial:
    """A trial as it is added once more."""
    return create_trial(
        state=trial.state,
        params=trial.params,
        distributions=trial.distributions,
        values=trial.values,
        user_attrs=trial.user_attrs,
    )


def measure_reports(rounds: int) -> dict[str, Any]:
    """Seconds and bytes of reports of made-up runs."""
    found = {}
    runs: dict[str, dict[str, Any]] = {
        "24 trials": {"trials": 24, "derived": 3},
        "500 trials": {"trials": 500, "derived": 3},
        "500 trials, as many as can be on the front": {"trials": 500, "derived": 0, "all_on_front": True},
    }
    for name, made in runs.items():
        with tempfile.TemporaryDirectory() as folder:
            results = load_run(write_run(Path(folder) / "run", **made))
            seconds, sizes = [], []
            for _ in range(rounds):
                start = time.perf_counter()
                page = report_html(results)
                seconds.append(time.perf_counter() - start)
                sizes.append(len(page.encode()))
            found[name] = {
                "front_members": len(results.pareto), "bytes": sizes[0], "seconds": Timing.of(seconds),
            }  # fmt: skip
    return found


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dashboards", description=__doc__)
    parser.add_argument("--trials", type=int, default=5000)
    parser.add_argument(
        "--derived", type=int, default=35, help="designs derived from each network (default: 35)"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--whole", action="store_true", help="also the copy of all trials; takes minutes")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        live = large_study(Path(folder), options.trials, options.derived)
        result: dict[str, Any] = provenance(
            PACKAGES, trials=options.trials, derived=options.derived, rounds=options.rounds
        )
        result["viewer"] = {f"{MOST_TRIALS} at most": measure_viewer(live, MOST_TRIALS, options.rounds)}
        if options.whole:
            result["viewer"]["all"] = measure_viewer(live, 10 * options.trials, 1)
    result["reports"] = measure_reports(options.rounds)
    for name, figures in {**result["viewer"], **result["reports"]}.items():
        print(name)
        for key, value in figures.items():
            shown = f"{value.median_seconds:.2f} s (n = {value.n})" if isinstance(value, Timing) else value
            print(f"  {key}: {shown}")
    write_json(options.json, result)


def _seconds(action: Any) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
