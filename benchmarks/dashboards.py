"""How long a viewer of a large study waits, and how large reports are.

    python -m benchmarks.dashboards --trials 5000 --json dashboards.json

Trials are made up: real designs with real costs, and errors such that nothing is dominated, the worst case for
optuna-dashboard's own comparison of every two trials. Reports are of made-up runs.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState, create_trial
from optuna_dashboard._pareto_front import get_pareto_front_trials

from benchmarks.harness import Timing, provenance, write_json
from dashboards.report import report_html
from dashboards.serve.__main__ import MOST_TRIALS
from dashboards.serve.artifacts import ArtifactShelf
from dashboards.serve.copy import StudyCopy
from dashboards.serve.live_view import LiveView
from study.live import LiveStudy, keep_environment
from study.results import load_run
from study.storage import keep_reference
from tests.dashboards.synthetic_run import write_run
from tests.study.bench import bench_context, run_trials, static_reference

PACKAGES = ("optuna", "optuna-dashboard", "plotly", "pandas", "numpy", "scikit-learn")
ENVIRONMENT = {"data": {"name": "made up", "channels": 1, "classes": [str(i) for i in range(10)]}}


def large_study(folder: Path, trials: int) -> optuna.Study:
    """So many trials in memory, none of them dominated: the less error, the more latency."""
    context = bench_context(folder)
    small = run_trials(context, 24)
    known = [trial for trial in small.trials if trial.user_attrs["feasible"]]
    study = optuna.create_study(study_name="large", directions=["minimize"] * 3)
    for key, value in small.user_attrs.items():
        study.set_user_attr(key, value)
    keep_environment(study, ENVIRONMENT)
    keep_reference(study, static_reference(context))
    for number in range(trials):
        template = known[number % len(known)]
        place = number / trials
        result = template.user_attrs["result"] | {"accuracy": 0.9 - 0.5 * place}
        for name in ("mean_latency_cycles", "mean_latency_seconds"):
            if name in result:
                result[name] = template.user_attrs["result"][name] * (1.0 - 0.5 * place)
        study.add_trial(
            create_trial(
                state=TrialState.COMPLETE,
                params=template.params,
                distributions=template.distributions,
                values=[0.1 + 0.5 * place, 1e5 * (1.0 - 0.5 * place), 1e7],
                user_attrs={"feasible": True, "result": result},
            )
        )
    return study


def view_of(study: optuna.Study, most: int) -> LiveView:
    """A viewer that has seen nothing yet."""
    return LiveView(LiveStudy(study), StudyCopy.of(study, most), ArtifactShelf(None), None)


def measure_viewer(study: optuna.Study, most: int, rounds: int) -> dict[str, Any]:
    """The first update, one after a new trial, and the comparison of every two trials of the copy."""
    first, again, compared = [], [], []
    for _ in range(rounds):
        view = view_of(study, most)
        first.append(_seconds(view.update))
        study.add_trial(replace_number(study.trials[-1]))
        again.append(_seconds(view.update))
        shown = view.copy.study.get_trials(deepcopy=False)
        compared.append(_seconds(lambda s=shown: get_pareto_front_trials(s, study.directions)))
    return {
        "trials_shown": len(view.copy.numbers),
        "first_update": Timing.of(first),
        "update_after_a_trial": Timing.of(again),
        "front_of_the_dashboard": Timing.of(compared),
    }


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
    for trials in (24, 500):
        with tempfile.TemporaryDirectory() as folder:
            results = load_run(write_run(Path(folder) / "run", trials=trials, derived=3))
            seconds, sizes = [], []
            for _ in range(rounds):
                start = time.perf_counter()
                page = report_html(results)
                seconds.append(time.perf_counter() - start)
                sizes.append(len(page.encode()))
            found[f"{trials} trials"] = {
                "front_members": len(results.pareto), "bytes": sizes[0], "seconds": Timing.of(seconds),
            }  # fmt: skip
    return found


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dashboards", description=__doc__)
    parser.add_argument("--trials", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--whole", action="store_true", help="also the copy of all trials; takes minutes")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        study = large_study(Path(folder), options.trials)
        result: dict[str, Any] = provenance(PACKAGES, trials=options.trials, rounds=options.rounds)
        result["viewer"] = {f"{MOST_TRIALS} at most": measure_viewer(study, MOST_TRIALS, options.rounds)}
        if options.whole:
            result["viewer"]["all"] = measure_viewer(study, 10 * options.trials, 1)
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
