"""What each part of the two recipes brings: everything trained again with one part left out or changed.

    python -m benchmarks.recipe --json recipe.json                                   # digits, an hour
    python -m benchmarks.recipe --preset cifar10-small --data cifar10 --json recipe.json
    python -m benchmarks.recipe --parts pretrain --only 'no early exits' --seeds 1           # that one alone

Data, backbone and recipes are those of a preset; `--set` changes them as in a study. Each variant of the pre-training
is a float network of its own (the cached warm start of that recipe), judged by its `fc` exits; one without early
exits by its final exit alone, which tells what the others cost it. Each variant of the quantization-aware training
starts from the unchanged float network and is judged on one architecture. All figures are validation accuracies;
`change` is that of a variant minus that of the whole recipe with the same seed, so what a part brings is its
negative. An interrupted run goes on where it was.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import bad_input_in_one_line, provenance, write_json
from benchmarks.kept_results import kept
from benchmarks.study_options import study_values
from hwcost.errors import OfframpError
from models.architecture import Architecture
from models.augment_spec import AugmentSpec
from models.backbone import Backbone
from models.device import device_name, resolve_device
from models.network import Mount
from models.recipe import PretrainRecipe, QatRecipe
from models.seeds import derive_seed
from models.train import train_architecture
from models.training_data import TrainingData
from models.warm_start import WarmStart, pretrain
from study.config import StudyConfig
from study.config_io import resolve
from study.memo import training_code_version
from study.setup import build_backbone, load_data
from study.sources import float_start

WHOLE = "whole recipe"
HEAD = ("fc",)


@dataclasses.dataclass(frozen=True)
class PretrainVariant:
    """A way of pre-training."""

    recipe: PretrainRecipe
    augment: AugmentSpec
    early_exits: bool = True


def pretrain_variants(config: StudyConfig, n_early: int, mirror_safe: bool) -> dict[str, PretrainVariant]:
    """By name: the whole recipe, and each part off (or on, where the preset has it off)."""
    recipe, augment = config.pretrain, config.augment.resolved(mirror_safe)
    recipes: dict[str, dict[str, Any]] = {
        "no label smoothing": {"label_smoothing": 0.0},
        "no running mean of the weights": {"ema_decay": 0.0},
        "no warm-up": {"warmup": 0.0},
        "no decay of the learning rate": {"final_learning_rate": 1.0},
        "no distillation from the final exit": {"distillation_weight": 0.0},
        "early exits weigh as much as the final one, each": {"exit_weight": float(n_early)},
        "early exits weigh a third together": {"exit_weight": 1 / 3},
        "early exits weigh a tenth together": {"exit_weight": 0.1},
        "none of early exits' gradient reaches the backbone": {"exit_gradient": 0.0},
        "a tenth of early exits' gradient reaches the backbone": {"exit_gradient": 0.1},
        "a third of early exits' gradient reaches the backbone": {"exit_gradient": 1 / 3},
        "no weight decay": {"weight_decay": 0.0},
        "images that grow" if recipe.start_size == 1.0 else "no small images": {
            "start_size": 0.5 if recipe.start_size == 1.0 else 1.0
        },
        "no CutMix" if recipe.cutmix else "with CutMix": {"cutmix": 0.0 if recipe.cutmix else 0.5},
    }
    changes: dict[str, dict[str, Any]] = {
        "no shifts": {"crop_padding": 0},
        "no mirroring" if augment.flip else "with mirroring": {"flip": not augment.flip},
        "no cutout" if augment.cutout else "with cutout": {
            "cutout": 0 if augment.cutout else config.data.image_size // 4
        },
    }
    found = {WHOLE: PretrainVariant(recipe, augment)}
    for name, fields in recipes.items():
        found[name] = PretrainVariant(dataclasses.replace(recipe, **fields), augment)
    for name, fields in changes.items():
        found[name] = PretrainVariant(recipe, dataclasses.replace(augment, **fields))
    found["no early exits"] = PretrainVariant(recipe, augment, early_exits=False)
    return found


def qat_variants(recipe: QatRecipe) -> dict[str, QatRecipe]:
    """By name, as for the pre-training."""
    changes: dict[str, dict[str, Any]] = {
        "no distillation from the float network": {"distillation_weight": 0.0},
        "distillation alone, no labels": {"distillation_weight": 1.0},
        "BatchNorm statistics not measured again": {"norm_batches": 0},
        "scales stay as calibrated": {"scale_learning_rate": 0.0},
        "gradients not clipped": {"gradient_clip": 1e9},
        "no warm-up": {"warmup": 0.0},
        "with label smoothing": {"label_smoothing": 0.1},
        "bfloat16": {"precision": "bfloat16"},
    }
    variants = {name: dataclasses.replace(recipe, **fields) for name, fields in changes.items()}
    return {WHOLE: recipe, **variants}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recipe", description=__doc__)
    parser.add_argument("--preset", default="quickstart")
    parser.add_argument("--data", help="instead of the preset's")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE")
    parser.add_argument("--exits", default="2,5,8")
    parser.add_argument("--bits", default="4/4")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--parts", default="pretrain,qat", help="which of the two recipes")
    parser.add_argument(
        "--only", action="append", metavar="NAME", help="this variant beside the whole recipe; repeatable"
    )
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
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
    start = float_start(config, spec)
    seeds = [config.search.seed + offset for offset in range(options.seeds)]
    device = resolve_device(options.device)

    def float_network(variant: PretrainVariant, seed: int) -> WarmStart:
        images = augmented(data, variant.augment)
        return pretrain(
            spec, HEAD, images, variant.recipe, options.cache, seed, device, start=start,
            early_exits=variant.early_exits,
        )  # fmt: skip

    result: dict[str, Any] = {}
    variants = pretrain_variants(config, len(spec.mounting_points), bool(data.augment.flip))
    recipes = qat_variants(config.qat)
    variants, recipes = picked(variants, recipes, options.only)
    if "pretrain" in options.parts:
        names = [Mount(block, "fc").name for block in (*spec.mounting_points, spec.n_blocks - 1)]

        def pretrained(name: str, seed: int) -> list[float]:
            warm = float_network(variants[name], seed)
            return [warm.accuracies[exit_] for exit_ in names if exit_ in warm.accuracies]

        result["pretrain"] = compare("pre-training", variants, seeds, pretrained)
    if "qat" in options.parts:
        architecture = chosen(options, spec)

        def quantized(name: str, seed: int) -> list[float]:
            warm = float_network(variants[WHOLE], seed)
            return train(architecture, spec, data, warm, recipes[name], seed, options.cache, device)

        result["qat"] = compare("quantization-aware training", recipes, seeds, quantized)
    write_json(
        options.json,
        {
            **result,
            "data": data.name,
            "n_train": len(data.train_labels),
            "n_validation": len(data.validation_labels),
            "device": device_name(device),
            **provenance(
                ("torch", "brevitas"), preset=options.preset, set=options.set, exits=options.exits,
                bits=options.bits, seeds=seeds, pretrain=dataclasses.asdict(config.pretrain),
                qat=dataclasses.asdict(config.qat), augment=dataclasses.asdict(data.augment),
            ),
        },
    )  # fmt: skip


def picked(
    variants: Mapping[str, PretrainVariant], recipes: Mapping[str, QatRecipe], only: Sequence[str] | None
) -> tuple[dict[str, PretrainVariant], dict[str, QatRecipe]]:
    """The variants of these names, and both whole recipes; None takes all.

    Raises:
        OfframpError: There is no variant of a name.
    """
    if only is None:
        return dict(variants), dict(recipes)
    for name in only:
        if name not in variants and name not in recipes:
            known = "; ".join(dict.fromkeys([*variants, *recipes]))
            raise OfframpError(f"expected --only out of {known}, got {name!r}")
    kept_names = {WHOLE, *only}
    return (
        {name: variant for name, variant in variants.items() if name in kept_names},
        {name: recipe for name, recipe in recipes.items() if name in kept_names},
    )


def augmented(data: TrainingData, augment: AugmentSpec) -> TrainingData:
    """The same images under other random changes."""
    if augment == data.augment:
        return data
    return dataclasses.replace(data, augment=augment, fingerprint=f"{data.fingerprint} {augment}")


def chosen(options: argparse.Namespace, spec: Backbone) -> Architecture:
    """The architecture the second recipe is judged on."""
    exits = tuple(int(part) for part in options.exits.split(","))
    weight, activation = (int(part) for part in options.bits.split("/"))
    n = spec.n_blocks
    heads = ("fc",) * (len(exits) + 1)
    return Architecture(exits, heads, (weight,) * n, (activation,) * n, weight, activation)


def train(
    architecture: Architecture,
    spec: Backbone,
    data: TrainingData,
    warm: WarmStart,
    recipe: QatRecipe,
    seed: int,
    cache: Path,
    device: str = "cpu",
) -> list[float]:
    """Accuracy of each exit, from the cache where it is known."""
    key = {
        "benchmark": "recipe", "data": data.fingerprint, "architecture": architecture.to_dict(), "seed": seed,
        "warm": warm.checksum, "recipe": recipe.key(), "code": training_code_version(), "device": device,
    }  # fmt: skip

    def work() -> dict[str, Any]:
        found = train_architecture(
            architecture, spec, data, warm, recipe, derive_seed("recipe", seed), device
        )
        return {"accuracies": found.validation.accuracies.tolist()}

    accuracies: list[float] = kept(cache / "benchmarks", key, work)["accuracies"]
    return accuracies


def compare(
    title: str, variants: dict[str, Any], seeds: list[int], accuracies: Callable[[str, int], list[float]]
) -> list[dict[str, Any]]:
    """One row a variant: accuracies by seed and exit, and the change against the whole recipe, seed by seed.

    Means over the exits are compared where there are as many exits.
    """
    print(f"\n{title}, {len(seeds)} seeds: mean over exits, final exit (median change, smallest to largest)")
    rows: list[dict[str, Any]] = []
    for name in variants:
        found = [accuracies(name, seed) for seed in seeds]
        rows.append({"variant": name, "accuracies": found})
        measures = {"final_exit": [of_exits[-1] for of_exits in found]}
        if len(found[0]) == len(rows[0]["accuracies"][0]):
            measures["mean_over_exits"] = [statistics.mean(of_exits) for of_exits in found]
        for measure, by_seed in measures.items():
            whole = rows[0].get(measure, {}).get("by_seed", by_seed)
            changes = [mine - theirs for mine, theirs in zip(by_seed, whole, strict=True)]
            rows[-1][measure] = {
                "by_seed": by_seed,
                "median": statistics.median(by_seed),
                "change_median": statistics.median(changes),
                "change_range": [min(changes), max(changes)],
            }
        print(
            f"  {name:52s}{_shown(rows[-1].get('mean_over_exits')):33s}   {_shown(rows[-1]['final_exit'])}",
            flush=True,
        )
    return rows


def _shown(measure: dict[str, Any] | None) -> str:
    if measure is None:
        return "-"
    low, high = measure["change_range"]
    return (
        f"{100 * measure['median']:6.2f} % ({100 * measure['change_median']:+.2f}, "
        f"{100 * low:+.2f} to {100 * high:+.2f})"
    )


if __name__ == "__main__":
    main()
