"""Training samples of a trial from the warm start beside the same trial from scratch, to equal validation accuracy.

    python -m benchmarks.warm_start --data cifar10-jpeg.tar.xz --json warm_start.json
    python -m benchmarks.warm_start --data cifar10-jpeg.tar.xz --multiples 8 --json warm_start.json   # 1/8 or not

One architecture, the data, backbone and recipes of a preset. From the warm start it is trained as in a study,
from scratch as `benchmarks.from_scratch` says: that recipe was fixed before any of these runs. Each multiple of the
warm trial's samples is a training of its own with the whole schedule; the smallest that reaches the warm trial's
accuracy (mean over its exits) and the largest that does not bound the ratio. Finished trainings are kept in
`--cache`, so an interrupted run goes on.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from benchmarks.from_scratch import scratch_recipe, train_from_scratch
from benchmarks.harness import bad_input_in_one_line, provenance, write_json
from benchmarks.kept_results import kept
from benchmarks.study_options import study_values
from models.architecture import Architecture
from models.recipe import QatRecipe
from models.seeds import derive_seed
from models.train import train_architecture
from study.config_io import resolve
from study.memo import training_code_version
from study.setup import build_backbone, load_data, pretrain_all

MULTIPLES = (1, 2, 4, 8, 16)


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.warm_start", description=__doc__)
    parser.add_argument("--preset", default="cifar10-small")
    parser.add_argument("--data", required=True)
    parser.add_argument(
        "--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="as in a study"
    )
    parser.add_argument("--exits", default="2,5,8")
    parser.add_argument("--bits", default="4/4", help="weights/activations of all blocks")
    parser.add_argument("--multiples", default=",".join(map(str, MULTIPLES)))
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "offramp")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    with bad_input_in_one_line():
        run(options)


def run(options: argparse.Namespace) -> None:
    """Trains what is not trained yet, prints, writes."""
    config = resolve([study_values(options)])
    data = load_data(config, options.cache)
    spec = build_backbone(config, data.channels)
    weight, activation = (int(part) for part in options.bits.split("/"))
    exits = tuple(int(part) for part in options.exits.split(","))
    architecture = Architecture(
        exits, ("fc",) * (len(exits) + 1), (weight,) * spec.n_blocks, (activation,) * spec.n_blocks
    )
    seed = derive_seed("benchmark", config.search.seed)
    warm = pretrain_all(config, spec, data, options.cache)
    base = {
        "benchmark": "warm_start", "data": data.fingerprint, "architecture": architecture.to_dict(), "seed": seed,
        "backbone": [config.backbone.name, config.backbone.width], "code": training_code_version(),
    }  # fmt: skip
    folder = options.cache / "benchmarks"

    def from_warm() -> dict[str, Any]:
        result = train_architecture(architecture, spec, data, warm, config.qat, seed)
        return {
            "accuracies": result.validation.accuracies.tolist(),
            "training_samples": result.training_samples,
            "seconds": result.seconds,
        }

    trial = kept(folder, {**base, "warm": warm.checksum, "recipe": config.qat.key()}, from_warm)
    target = sum(trial["accuracies"]) / len(trial["accuracies"])
    print(f"warm start: {trial['training_samples']} samples, {trial['seconds']:.0f} s, accuracy {target:.4f}")
    runs, reached = [], None
    for multiple in (int(part) for part in options.multiples.split(",")):
        recipe = scratch_recipe(config.qat, config.pretrain, multiple)

        def scratch(recipe: QatRecipe = recipe) -> dict[str, Any]:
            network = train_from_scratch(spec, architecture, data, recipe, seed)
            return {
                "accuracies": network.validation.accuracies.tolist(),
                "training_samples": network.training_samples,
                "seconds": network.seconds,
            }

        run = kept(folder, {**base, "scratch": recipe.key()}, scratch)
        mean = sum(run["accuracies"]) / len(run["accuracies"])
        runs.append({"multiple": multiple, "mean_accuracy": mean, **run})
        print(f"scratch x{multiple}: {run['training_samples']} samples, {run['seconds']:.0f} s, {mean:.4f}")
        if mean >= target:
            reached = multiple
            break
    too_few = [run["multiple"] for run in runs if run["mean_accuracy"] < target]
    # after n trials: pre-training + n warm trials against n trials from scratch
    last = runs[-1]
    saved_samples = last["training_samples"] - trial["training_samples"]
    saved_seconds = last["seconds"] - trial["seconds"]
    result = {
        # Not below the first, where a multiple reached the accuracy; below the second, where one did not.
        "sample_ratio_at_least": 1 / reached if reached else None,
        "sample_ratio_below": 1 / max(too_few) if too_few else None,
        "pays_after_trials_by_samples": warm.training_samples / saved_samples if saved_samples > 0 else None,
        "pays_after_trials_by_seconds": warm.seconds / saved_seconds if saved_seconds > 0 else None,
        "warm": {**trial, "mean_accuracy": target},
        "scratch": runs,
        "pretraining": {"training_samples": warm.training_samples, "seconds": warm.seconds},
        **provenance(
            ("torch", "brevitas"),
            preset=options.preset,
            set=options.set,
            exits=options.exits,
            bits=options.bits,
            n=1,
        ),
    }
    write_json(options.json, result)
    shown = (
        "sample_ratio_at_least",
        "sample_ratio_below",
        "pays_after_trials_by_samples",
        "pays_after_trials_by_seconds",
    )
    print({name: result[name] for name in shown})


if __name__ == "__main__":
    main()
