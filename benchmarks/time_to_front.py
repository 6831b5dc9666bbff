"""Time to the hypervolume that NSGA-II as shipped has after its last trial, every network of it trained from scratch.

    python -m benchmarks.time_to_front --seeds 3 --json time_to_front.json                       # digits
    python -m benchmarks.time_to_front --preset cifar10-small --data cifar10 --json time_to_front.json

Both searches have the data, backbone, chip, objectives, constraints and thresholds of a preset, one process and one
thread, and run one after the other. The other one is Optuna's NSGA-II with its own defaults; it trains what is
proposed as `benchmarks.from_scratch` says, a recipe that was fixed beforehand, on `--multiple` times the images of a
trial, and knows nothing of hardware before it has trained. Ours is the search of `study.run` with all it has; its
time begins with both pre-trainings (or, in the second ratio, after them) and has the trainings of the static
reference in it. Seconds are those of the processor, which programs beside hardly lengthen. Hypervolume is a study's
own (errors by the error of chance, costs by the static reference), from the validation split. Each search is charged
up to the trial after which it first has that hypervolume. Finished searches are kept in `--cache` for their commit,
so an interrupted run goes on; `--searches` takes those of an earlier `--json` instead of searching.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import optuna
from optuna.samplers import BaseSampler

from benchmarks.from_scratch import scratch_recipe, train_from_scratch
from benchmarks.harness import bad_input_in_one_line, provenance, write_json
from benchmarks.kept_results import kept_by_commit
from benchmarks.study_options import study_values
from hwcost.errors import OfframpError
from models.architecture import Architecture
from models.objective import NonFiniteLoss
from models.seeds import training_seed
from models.training_data import TrainingData
from study.config import StudyConfig
from study.config_io import identity, merge, resolve
from study.derived import DerivedDesigns, write_derived
from study.front import hypervolume, objective_front
from study.memo import PredictionMemo, TrainedNetwork
from study.record import DesignRecord
from study.reference import StaticReference, choose_reference
from study.samplers import make_sampler
from study.setup import Paths, StudyContext, load_data, open_context, train_static
from study.storage import store_result

MULTIPLE = 8


@dataclass
class Course:
    """How far a search got after each trial.

    Attributes:
        seconds: Of the processor since the search began; pre-training and static reference not among them.
        samples: Training images so far, repeats counted; neither here.
        volumes: Hypervolume, 0 to 1.
    """

    seconds: list[float] = field(default_factory=list)
    samples: list[int] = field(default_factory=list)
    volumes: list[float] = field(default_factory=list)

    def trials_to(self, volume: float) -> int | None:
        """Trials after which it is at least there."""
        return next((n for n, have in enumerate(self.volumes, start=1) if have >= volume), None)


def search(
    context: StudyContext, sampler: BaseSampler, after: Callable[[DesignRecord], list[DesignRecord]]
) -> Course:
    """Proposes and evaluates the study's number of designs in this process.

    Args:
        context: Of the study.
        sampler: Proposes.
        after: Designs that come with a trained one.
    """
    objectives, space = context.evaluator.objectives, context.space
    run = optuna.create_study(directions=["minimize"] * len(objectives.columns), sampler=sampler)
    course, samples = Course(), 0
    front: list[DesignRecord] = []
    started = time.process_time()
    for _ in range(context.config.search.trials):
        trial = run.ask(space.distributions())
        try:
            record = context.evaluator.evaluate(space.decode(trial.params))
        except NonFiniteLoss:
            run.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            store_result(trial, record)
            run.tell(trial, objectives.values(record))
            samples += record.training_samples
            found = [*front, record, *(after(record) if record.trained else ())]
            front = [found[i] for i in objective_front(found, objectives)]
        course.seconds.append(time.process_time() - started)
        course.samples.append(samples)
        course.volumes.append(
            hypervolume(front, objectives, context.hardware.static, context.evaluator.classes)
        )
    return course


def ours(config: StudyConfig, data: TrainingData, folder: Path) -> tuple[dict[str, Any], StaticReference]:
    """The study from nothing: pre-training, static reference, search."""
    started = time.process_time()
    context = open_context(config, Paths(folder / "run", folder / "cache"), "cpu", data)
    without_exits = context.pretrained_alone()
    pretrained = time.process_time() - started
    alone, jointly = train_static(context, "alone"), train_static(context, "jointly")
    reference = choose_reference(alone["fc"], jointly, context.evaluator)
    context = context.relative_to(reference)
    before = time.process_time() - started
    evaluator, space = context.evaluator, context.space
    sampler = make_sampler(
        config.search,
        space,
        config.population(),
        config.search.seed,
        evaluator.costing,
        DerivedDesigns(context),
    )
    course = search(context, sampler, lambda record: write_derived(context, record.genome.architecture))
    figures = {
        **vars(course),
        "pretraining_seconds": pretrained,
        "reference_seconds": before - pretrained,
        "pretraining_samples": context.warm.training_samples
        + (without_exits.training_samples if without_exits is not context.warm else 0),
        # Every head of the joint network is from one training.
        "reference_samples": alone["fc"].training_samples + max(n.training_samples for n in jointly.values()),
        "reference_accuracy": reference.record.accuracy,
    }
    return figures, reference


def from_scratch(
    config: StudyConfig, data: TrainingData, folder: Path, multiple: int, reference: StaticReference
) -> dict[str, Any]:
    """NSGA-II as shipped, under the same bounds; the float network, which is not looked at, is that of the search."""
    plain = config.search.model_copy(
        update={"sampler": "nsga2-optuna", "hardware_first": False, "memo": False, "derive": False}
    )
    config = config.model_copy(update={"search": plain})
    context = open_context(config, Paths(folder / "plain", folder / "cache"), "cpu", data)
    recipe = scratch_recipe(config.qat, config.pretrain, multiple)

    def train(architecture: Architecture) -> TrainedNetwork:
        seed = training_seed(config.search.seed, architecture.key(), 0, 0)
        return train_from_scratch(context.spec, architecture, data, recipe, seed)

    memo = PredictionMemo(context.paths.predictions, {"training": "from scratch", "recipe": recipe.key()})
    context = replace(context, evaluator=replace(context.evaluator, train=train, memo=memo))
    context = context.relative_to(reference)
    sampler = make_sampler(plain, context.space, config.population(), config.search.seed)
    return vars(search(context, sampler, lambda record: []))


def compared(mine: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Ratios of time and of training images; None where ours never gets there."""
    target = other["volumes"][-1]
    theirs = Course(other["seconds"], other["samples"], other["volumes"]).trials_to(target)
    assert theirs is not None  # its last trial has it
    trials = Course(mine["seconds"], mine["samples"], mine["volumes"]).trials_to(target)
    result: dict[str, Any] = {
        "hypervolume": target, "trials": trials, "trials_from_scratch": theirs,
        "ours_at_the_end": mine["volumes"][-1],
    }  # fmt: skip
    if trials is None:
        return result
    for what, before in (
        ("seconds", mine["pretraining_seconds"]),
        ("samples", mine["pretraining_samples"]),
    ):
        search_alone = mine[f"reference_{what}"] + mine[what][trials - 1]
        result[f"{what}_ratio"] = (before + search_alone) / other[what][theirs - 1]
        result[f"{what}_ratio_without_pretraining"] = search_alone / other[what][theirs - 1]
    result["ahead_from_trial"] = _ahead_from(mine, other)
    return result


def _ahead_from(mine: dict[str, Any], other: dict[str, Any]) -> int | None:
    """The other search's first trial after which ours, pre-training included, is never behind again; None: it is."""
    lead = mine["pretraining_seconds"] + mine["reference_seconds"]
    so_far = list(zip(mine["volumes"], mine["seconds"], strict=True))
    behind = [
        n
        for n, (spent, theirs) in enumerate(zip(other["seconds"], other["volumes"], strict=True), start=1)
        if max((volume for volume, seconds in so_far if lead + seconds <= spent), default=-1.0) < theirs
    ]
    first = 1 + max(behind, default=0)
    return first if first <= len(other["volumes"]) else None


def run(options: argparse.Namespace) -> None:
    """Searches that are not known yet, prints, writes."""
    found = _searched(options) if options.searches is None else _read(options.searches)
    summary = {}
    for name in ("seconds_ratio", "seconds_ratio_without_pretraining", "samples_ratio", "ahead_from_trial"):
        reached = [result[name] for result in found if result.get(name) is not None]
        # A median of some of the seeds would flatter.
        summary[name] = statistics.median(reached) if len(reached) == len(found) else None
        print(f"{name}: median {summary[name]}, n = {len(found)}")
    made = provenance(
        ("torch", "brevitas", "optuna"), preset=options.preset, set=options.set, multiple=options.multiple,
        seeds=options.seeds, first_seed=options.first_seed,
    )  # fmt: skip
    if options.searches is not None:
        made = {"compared_by": made["commit"], **_provenance_of(options.searches)}
    write_json(options.json, {**summary, "searches": found, **made})


def _searched(options: argparse.Namespace) -> list[dict[str, Any]]:
    """A pair of searches a seed, compared."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    values = study_values(options, {"pretrain": {"threads": 1}, "search": {"rungs": [1.0]}})
    found = []
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        config = resolve([merge(values, {"search": {"seed": seed}})])
        data = load_data(config, options.cache)
        key = {
            "benchmark": "time_to_front", "study": identity(config), "data": data.fingerprint,
            "multiple": options.multiple, "trials": config.search.trials,
        }  # fmt: skip

        def both(config: StudyConfig = config, data: TrainingData = data) -> dict[str, Any]:
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                mine, reference = ours(config, data, folder)
                other = from_scratch(config, data, folder, options.multiple, reference)
                return {"ours": mine, "from_scratch": other}

        sides = kept_by_commit(options.cache / "benchmarks", key, both)
        found.append({"seed": seed, **compared(sides["ours"], sides["from_scratch"]), **sides})
        _print(found[-1])
    return found


def _read(path: Path) -> list[dict[str, Any]]:
    """The searches of an earlier call, compared again.

    Raises:
        OfframpError: The file is not one of this command.
    """
    try:
        searches = json.loads(path.read_text(encoding="utf-8"))["searches"]
        found = [
            {"seed": s["seed"], **compared(s["ours"], s["from_scratch"]),
             "ours": s["ours"], "from_scratch": s["from_scratch"]}
            for s in searches
        ]  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OfframpError(
            f"expected a file that --json of this command wrote, got {path.name}: {error}; search without --searches"
        ) from error
    for result in found:
        _print(result)
    return found


def _provenance_of(path: Path) -> dict[str, Any]:
    """Where searches were run that were read."""
    before = json.loads(path.read_text(encoding="utf-8"))
    names = ("commit", "python", "versions", "processor", "settings")
    return {name: before[name] for name in names if name in before}


def _print(result: dict[str, Any]) -> None:
    mine, other = result["ours"], result["from_scratch"]
    print(
        f"seed {result['seed']}: from scratch {result['hypervolume']:.4f} after {other['seconds'][-1]:.0f} s; ours "
        f"after {result['trials']} trials ({mine['pretraining_seconds']:.0f} s pre-training, "
        f"{mine['reference_seconds']:.0f} s reference, {mine['seconds'][-1]:.0f} s all trials, "
        f"{result['ours_at_the_end']:.4f} at the end)",
        flush=True,
    )


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.time_to_front",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--preset", default="quickstart")
    parser.add_argument("--data", help="instead of the preset's")
    parser.add_argument(
        "--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="as in a study"
    )
    parser.add_argument(
        "--multiple", type=int, default=MULTIPLE, help="training images over those of a trial"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "offramp")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--searches", type=Path, metavar="FILE", help="of an earlier call, from its --json")
    options = parser.parse_args()
    with bad_input_in_one_line():
        run(options)


if __name__ == "__main__":
    main()
