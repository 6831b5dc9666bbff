"""Accuracy of the float network and of quantized ones beside it: 8/8 and 4/4 bits, every exit, validation split.

    python -m benchmarks.accuracy --preset cifar10 --data cifar10 --device cuda --json accuracy.json
    timeout 90m python -m benchmarks.accuracy --preset cifar10-small --data cifar10-jpeg.tar.xz --json accuracy.json

Data, backbone and recipes are those of a preset; `--set` changes them as in a study. The float network is the warm
start of that study; each quantized network has the exits A, E, F, H and `fc` heads and is trained from it by the
recipe of a trial. Interrupted (by `timeout`, by Ctrl-C, by a crash) it goes on at the last whole epoch of the
pre-training, or at the first quantized training that is not finished: call it again until it ends.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path
from typing import Any

from benchmarks.harness import bad_input_in_one_line, provenance, write_json
from benchmarks.kept_results import kept
from benchmarks.study_options import study_values
from models.architecture import Architecture
from models.device import device_name, resolve_device
from models.network import Mount
from models.seeds import derive_seed
from models.train import train_architecture
from study.config_io import resolve
from study.memo import training_code_version
from study.setup import build_backbone, load_data, pretrain_all

WANTED_FLOAT = 0.935
ALLOWED_LOSS = {"8/8": 0.005, "4/4": 0.015}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=__doc__)
    parser.add_argument("--preset", default="cifar10")
    parser.add_argument("--data", required=True)
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE")
    parser.add_argument("--exits", default="0,4,5,7")
    parser.add_argument(
        "--bits",
        default="8/8,4/4",
        help="weights/activations of all blocks and heads; empty: the float network alone",
    )
    parser.add_argument(
        "--replicates", type=int, default=1, help="quantized trainings of each, by other seeds"
    )
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "offramp")
    parser.add_argument(
        "--checkpoints", type=Path, metavar="DIR", help="keep there what is quantized in this call"
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    with bad_input_in_one_line():
        run(options)


def run(options: argparse.Namespace) -> None:
    """Trains what is not trained yet, prints, writes."""
    config = resolve([study_values(options)])
    device = resolve_device(options.device)
    data = load_data(config, options.cache)
    spec = build_backbone(config, data.channels)
    seed = config.search.seed
    warm = pretrain_all(config, spec, data, options.cache, device, _progress)
    exits = tuple(int(part) for part in options.exits.split(","))
    names = [Mount(block, "fc").name for block in (*exits, spec.n_blocks - 1)]
    of_float = [warm.accuracies[name] for name in names]
    on_training = float((warm.teacher_logits.argmax(1) == data.train_labels).float().mean())
    print(
        f"\nfloat: {_percents(of_float)}; {warm.training_samples} images, {warm.seconds:.0f} s; final exit on the "
        f"training images {100 * on_training:.2f} %"
    )
    rows: list[dict[str, Any]] = []
    widths = [bits for bits in options.bits.split(",") if bits]
    for bits in widths:
        weight, activation = (int(part) for part in bits.split("/"))
        n = spec.n_blocks
        architecture = Architecture(
            exits, ("fc",) * len(names), (weight,) * n, (activation,) * n, weight, activation
        )
        for replicate in range(options.replicates):
            rows.append({"bits": bits, "replicate": replicate})
            training = derive_seed("accuracy", seed, replicate)
            key = {
                "benchmark": "accuracy", "data": data.fingerprint, "architecture": architecture.to_dict(),
                "seed": training, "warm": warm.checksum, "recipe": config.qat.key(), "device": device,
                "code": training_code_version(),
            }  # fmt: skip

            name = f"{bits.replace('/', '-')}-{replicate}.safetensors"
            kept_as = options.checkpoints and options.checkpoints / name

            def train(
                architecture: Architecture = architecture,
                training: int = training,
                file: Path | None = kept_as,
            ) -> dict[str, Any]:
                found = train_architecture(architecture, spec, data, warm, config.qat, training, device, file)
                return {
                    "accuracies": found.validation.accuracies.tolist(),
                    "training_samples": found.training_samples,
                    "seconds": found.seconds,
                }

            rows[-1] |= kept(options.cache / "benchmarks", key, train)
            print(f"{bits}: {_percents(rows[-1]['accuracies'])}; {rows[-1]['seconds']:.0f} s")
    write_json(
        options.json,
        {
            "exits": names,
            "float": {
                "accuracies": of_float, "training_samples": warm.training_samples, "seconds": warm.seconds,
                "final_on_training_images": on_training,
                "wanted_final": WANTED_FLOAT, "checksum": warm.checksum,
            },
            "quantized": rows,
            "final_exit_loss": {
                bits: {
                    "median": of_float[-1]
                    - statistics.median(row["accuracies"][-1] for row in rows if row["bits"] == bits),
                    "allowed": ALLOWED_LOSS.get(bits),
                }
                for bits in widths
            },
            "data": data.name,
            "n_validation": len(data.validation_labels),
            "device": device_name(device),
            **provenance(
                ("torch", "brevitas"), preset=options.preset, set=options.set, replicates=options.replicates,
                pretrain_recipe=config.pretrain.key(), qat_recipe=config.qat.key(),
            ),
        },
    )  # fmt: skip


def _percents(accuracies: list[float]) -> str:
    return " ".join(f"{100 * accuracy:.2f}" for accuracy in accuracies) + " %"


def _progress(stage: str, done: int, total: int, accuracy: float) -> None:
    print(
        f"\r{stage}: step {done} of {total}, training accuracy {100 * accuracy:.1f} %",
        end="",
        file=sys.stderr,
    )


if __name__ == "__main__":
    main()
