"""Peak memory of trainings of the paper's backbone: one trial, and the pre-training with every exit and head kind.

    python -m benchmarks.memory --json memory.json

Each training is a process of its own that holds 50,000 random images of 32x32, takes a few steps, measures BatchNorm
statistics and, as a trial does, folds and evaluates. On a CPU the figure is the largest resident set the kernel saw,
PyTorch itself included; on a GPU the most that PyTorch's allocator had in use.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from benchmarks.harness import provenance, write_json
from hwcost.networks import load_backbone, uniform_precision
from models.architecture import HEAD_KINDS
from models.augment_spec import AugmentSpec
from models.backbone import Backbone
from models.calibrate import calibrate, measure_ranges
from models.device import device_name
from models.layers import FloatLayers
from models.loop import torch_threads
from models.network import EarlyExitNetwork, Mount, all_mounts, initialize
from models.pretraining import Pretraining
from models.recipe import PretrainRecipe, QatRecipe
from models.train import empty_network, evaluate_splits, train_network
from models.training_data import TrainingData

ALLOWED_GIB = 4.0
N_IMAGES, N_EVALUATED, CLASSES, SIZE = 50_000, 256, 10, 32
CASES = {
    "trial, exits A, E, F, H": ((0, 4, 5, 7), "fc"),
    "trial, all ten exits": (tuple(range(10)), "fc"),
    "trial, all ten exits, two convolutions each": (tuple(range(10)), "conv2"),
    "trial, all ten exits, a hidden layer each": (tuple(range(10)), "fc_hidden"),
    "pre-training, every exit and head kind": None,
}


def random_data(spec: Backbone) -> TrainingData:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(
        256, (N_IMAGES, spec.in_channels, SIZE, SIZE), dtype=torch.uint8, generator=generator
    )
    labels = torch.randint(CLASSES, (N_IMAGES,), generator=generator)
    few_images, few_labels = images[:N_EVALUATED], labels[:N_EVALUATED]
    return TrainingData(
        name="random",
        class_names=tuple(str(index) for index in range(CLASSES)),
        train_images=images,
        train_labels=labels,
        mean=(0.5,) * spec.in_channels,
        std=(0.29,) * spec.in_channels,
        augment=AugmentSpec(flip=True),
        fingerprint="random",
        calibration_images=few_images,
        calibration_labels=few_labels,
        validation_images=few_images,
        validation_labels=few_labels,
    )


def trial(
    spec: Backbone, exits: tuple[int, ...], head: str, data: TrainingData, options: argparse.Namespace
) -> None:
    """What a trial does, on weights that were drawn."""
    mounts = tuple(Mount(block, head) for block in (*exits, spec.n_blocks - 1))
    recipe = QatRecipe(
        epochs=options.steps * options.batch / N_IMAGES, batch_size=options.batch, norm_batches=2,
        threads=options.threads, precision=options.precision,
    )  # fmt: skip
    network = empty_network(
        spec, mounts, uniform_precision(spec.n_blocks, options.bits, options.bits), CLASSES, SIZE
    )
    initialize(network, torch.Generator().manual_seed(0))
    twin = EarlyExitNetwork(spec, mounts, CLASSES, SIZE, layers=FloatLayers()).eval()
    calibrate(network, measure_ranges(twin, [torch.randn(2, spec.in_channels, SIZE, SIZE)]))
    del twin
    network.to(device=options.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    train_network(network, data, torch.zeros(N_IMAGES, CLASSES), recipe, 0)
    evaluate_splits(network, data)


def pretraining(spec: Backbone, data: TrainingData, options: argparse.Namespace) -> None:
    """Some steps of the float pre-training."""
    n = options.steps * options.batch
    few = dataclasses.replace(data, train_images=data.train_images[:n], train_labels=data.train_labels[:n])
    recipe = PretrainRecipe(
        epochs=1, batch_size=options.batch, threads=options.threads, precision=options.precision
    )
    network = EarlyExitNetwork(spec, all_mounts(spec, HEAD_KINDS), CLASSES, SIZE)
    Pretraining(network, few, recipe, 0, options.device).run_epoch()


def measure(case: str, options: argparse.Namespace) -> dict[str, float]:
    """Bytes before and at the peak, in this process."""
    spec = load_backbone("paper").scaled(options.width)
    data = random_data(spec).to(options.device)
    before = _peak_bytes(options.device)
    found = CASES[case]
    with torch_threads(options.threads):
        if found is None:
            pretraining(spec, data, options)
        else:
            trial(spec, *found, data, options)
    return {"before_bytes": before, "peak_bytes": _peak_bytes(options.device)}


def _peak_bytes(device: str) -> int:
    if device == "cuda":
        return int(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def in_a_process_of_its_own(case: str, arguments: list[str]) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case.json"
        command = [sys.executable, "-m", "benchmarks.memory", *arguments, "--case", case, "--json", str(path)]
        subprocess.run(command, check=True)
        found: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
        return found


def main() -> None:
    """Measures each case, prints, writes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--bits", type=int, default=4)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--precision", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--case", choices=tuple(CASES), help="only this one, in this process")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    if options.case is not None:
        write_json(options.json, measure(options.case, options))
        return
    settings: dict[str, Any] = {k: v for k, v in vars(options).items() if k not in ("json", "case")}
    arguments = [part for key, value in settings.items() for part in (f"--{key}", str(value))]
    cases = {case: in_a_process_of_its_own(case, arguments) for case in CASES}
    for case, found in cases.items():
        gib = found["peak_bytes"] / 2**30
        print(
            f"{case:48s}{gib:7.2f} GiB at the peak, {found['before_bytes'] / 2**30:.2f} before the first step"
        )
    largest = max(found["peak_bytes"] for case, found in cases.items() if case.startswith("trial"))
    write_json(
        options.json,
        {
            "largest_trial_gib": largest / 2**30,
            "within_4_gib": largest / 2**30 <= ALLOWED_GIB,
            "cases": cases,
            "device": device_name(options.device),
            **provenance(("torch", "brevitas"), **settings),
        },
    )


if __name__ == "__main__":
    main()
