"""Early exit that really stops beside the static network: wall-clock time, executed MACs, and the simulator's ratio.

    python -m benchmarks.early_exit --json early_exit.json

The network is folded, as it is deployed, and stopped by the loop of `EarlyExitNetwork.predict`, with its parts as
ONNX files in ONNX Runtime too; the static network has the same backbone and bits, and the final head alone. Both run
the same images in turn. Weights are drawn, which changes no time, and thresholds are set on the images so that the
wanted shares leave at each exit (default: those of the paper's network A, E, F, H, K).

Where the measured ratio is further than 15 % from that of executed MACs, the profile says where the gap is from: the
time each segment takes by itself (a segment's share of the time is not its share of the MACs), and what is spent
between segments, on the policy and on selecting those that stay.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from benchmarks.harness import (
    Timing,
    bad_input_in_one_line,
    interleaved,
    median_ratio,
    provenance,
    write_json,
)
from hwcost.errors import OfframpError
from hwcost.networks import load_backbone
from models.architecture import Architecture
from models.backbone import Backbone
from models.exit_policy import ExitPolicy
from models.export.cost import Placement, segment_macs, simulated_cost
from models.export.onnx_files import write_onnx
from models.export.runtimes import ChainedParts, OnnxPart
from models.fold import fold_network
from models.inference import EarlyExitResult, executed_macs, run_early_exit
from models.integer_network import keep_integers
from models.loop import torch_threads
from models.network import EarlyExitNetwork, TorchSegments, architecture_mounts, initialize
from models.scores import read_logits
from models.train import empty_network

ALLOWED_GAP = 0.15


@dataclass(frozen=True)
class Runner:
    """Two networks in one runtime.

    Attributes:
        chain: The early-exit network, segment by segment.
        policy: When images leave.
        static: Runs images through the static network.
    """

    chain: Any
    policy: ExitPolicy
    static: Callable[[Any], object]

    def early(self, x: Any) -> EarlyExitResult:
        """Runs images with early exit."""
        with torch.inference_mode():
            return run_early_exit(self.chain, x, len(x), self.policy)


class TimedChain:
    """A chain that adds up the seconds of each segment with its head."""

    def __init__(self, chain: Any) -> None:
        self._chain = chain
        self.n_segments = chain.n_segments
        self.seconds = np.zeros(chain.n_segments)

    def run_segment(self, segment: int, x: Any) -> Any:
        """See `models.inference.Segments`."""
        started = time.perf_counter()
        found = self._chain.run_segment(segment, x)
        self.seconds[segment] += time.perf_counter() - started
        return found

    def keep(self, x: Any, indices: npt.NDArray[np.int64]) -> Any:
        """See `models.inference.Segments`."""
        return self._chain.keep(x, indices)


def drawn(spec: Backbone, architecture: Architecture, classes: int, size: int) -> EarlyExitNetwork:
    """A folded network with drawn weights; scales wide enough that not everything is cut."""
    mounts = architecture_mounts(architecture, spec)
    network = empty_network(spec, mounts, architecture.precision(), classes, size)
    initialize(network, torch.Generator().manual_seed(0))
    return fold_network(network.eval(), torch.zeros(1, spec.in_channels, size, size))


def policy_for(logits: npt.NDArray[np.float32], ratios: list[float]) -> ExitPolicy:
    """Thresholds under which these shares of the images leave, exit by exit."""
    n, n_exits, _ = logits.shape
    confidence = read_logits(logits).confidence.astype(np.float64)
    left = np.ones(n, dtype=np.bool_)
    thresholds = np.full(n_exits, -np.inf)
    for exit_, share in enumerate(ratios[:-1]):
        wanted = min(round(share * n), int(left.sum()))
        values = np.append(np.sort(confidence[left, exit_])[::-1], 0.0)
        # Between two images: rounding then moves none of them.
        thresholds[exit_] = (values[wanted - 1] + values[wanted]) / 2 if wanted else np.inf
        left &= confidence[:, exit_] < thresholds[exit_]
    return ExitPolicy(thresholds)


def torch_runner(early: EarlyExitNetwork, static: EarlyExitNetwork, policy: ExitPolicy) -> Runner:
    """PyTorch."""

    def whole(x: Tensor) -> list[Tensor]:
        with torch.inference_mode():
            return static(x)

    return Runner(TorchSegments(early), policy, whole)


def onnx_runner(
    early: EarlyExitNetwork, static: EarlyExitNetwork, policy: ExitPolicy, folder: Path, threads: int
) -> Runner:
    """ONNX Runtime on QCDQ files."""
    for name in ("early", "static"):
        (folder / name).mkdir()
    parts = [OnnxPart(path, threads) for path in write_onnx(early, "qcdq", folder / "early", {})[1:]]
    whole = OnnxPart(write_onnx(static, "qcdq", folder / "static", {})[0], threads)
    return Runner(ChainedParts(parts[::2], parts[1::2]), policy, whole)


def measure(runner: Runner, images: Any, batch: int, rounds: int) -> tuple[list[float], list[float], Any]:
    """Seconds per image of each round with early exit and without, and the samples segments received."""
    samples: list[npt.NDArray[np.int64]] = []

    def early() -> None:
        starts = range(0, len(images), batch)
        samples.append(np.sum([runner.early(images[i : i + batch]).samples for i in starts], axis=0))

    def static() -> None:
        for i in range(0, len(images), batch):
            runner.static(images[i : i + batch])

    seconds = interleaved({"early": early, "static": static}, rounds)
    n = len(images)
    return [s / n for s in seconds["early"]], [s / n for s in seconds["static"]], samples[-1]


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.early_exit", description=__doc__)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--exits", default="0,4,5,7")
    parser.add_argument("--head", default="fc", help="of all exits")
    parser.add_argument("--bits", type=int, default=8)
    parser.add_argument(
        "--ratios", default="0.106,0.326,0.117,0.191,0.26", help="shares that leave at each exit"
    )
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--batches", default="1,8,32,128")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--runtimes", default="torch,integers,onnx", help="integers: PyTorch with maps of integers"
    )
    parser.add_argument("--accelerator", default="edge_tpu_quad")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    with bad_input_in_one_line():
        run(options)


def run(options: argparse.Namespace) -> None:
    """The benchmark itself."""
    spec = load_backbone("paper").scaled(options.width)
    exits = tuple(int(part) for part in options.exits.split(","))
    ratios = [float(part) for part in options.ratios.split(",")]
    if len(ratios) != len(exits) + 1 or abs(sum(ratios) - 1) > 1e-6:
        raise OfframpError(f"expected {len(exits) + 1} shares that sum to 1, got {options.ratios}")
    bits = (options.bits,) * spec.n_blocks
    heads = (options.head,) * (len(exits) + 1)
    architecture = Architecture(exits, heads, bits, bits, options.bits, options.bits)
    size, classes = options.image_size, 10
    early = drawn(spec, architecture, classes, size)
    static_architecture = Architecture((), heads[-1:], bits, bits)
    static = drawn(spec, static_architecture, classes, size)
    generator = torch.Generator().manual_seed(1)
    images = torch.randn((options.images, spec.in_channels, size, size), generator=generator)
    with torch_threads(options.threads), tempfile.TemporaryDirectory() as folder:
        with torch.inference_mode():
            logits = torch.stack([torch.stack(early(x[None]), 1)[0] for x in images]).numpy()
        policy = policy_for(logits, ratios)
        runners: dict[str, tuple[Runner, Any]] = {}
        if "torch" in options.runtimes:
            runners["torch"] = (
                torch_runner(early, static, policy),
                images.to(memory_format=torch.channels_last),
            )
        if "integers" in options.runtimes:
            one = images[:1]
            runners["integers"] = (
                torch_runner(keep_integers(early, one), keep_integers(static, one), policy),
                images.to(memory_format=torch.channels_last),
            )
        if "onnx" in options.runtimes:
            made = onnx_runner(early, static, policy, Path(folder), options.threads)
            runners["onnx"] = made, images.numpy()
        macs = segment_macs(architecture, spec, size, classes)
        static_macs = int(segment_macs(static_architecture, spec, size, classes).sum())
        cost = simulated_cost(architecture, spec, size, classes, Placement(options.accelerator))
        rows, profiles = [], {}
        for name, (runner, x) in runners.items():
            for batch in (int(part) for part in options.batches.split(",")):
                rows.append(_row(name, runner, x, batch, options.rounds, macs, static_macs, cost))
            of_one = (row for row in rows if row["runtime"] == name and row["batch"] == 1)
            alone = next(of_one, None) or _row(name, runner, x, 1, options.rounds, macs, static_macs, cost)
            profiles[name] = _profile(runner, x, options.rounds, alone, macs)
    write_json(
        options.json,
        {
            "rows": rows,
            "profile_batch_1": profiles,
            **provenance(("torch", "brevitas", "onnxruntime", "numpy"), **_settings(options)),
        },
    )


def _row(
    name: str, runner: Runner, x: Any, batch: int, rounds: int, macs: Any, static_macs: int, cost: Any
) -> dict[str, Any]:
    early, static, samples = measure(runner, x, batch, rounds)
    n = len(x)
    leaving = samples - np.append(samples[1:], 0)
    by_macs = executed_macs(samples, macs) / (n * static_macs)
    row = {
        "runtime": name,
        "batch": batch,
        "images": n,
        "samples_per_segment": samples.tolist(),
        "early_seconds_per_image": Timing.of(early),
        "static_seconds_per_image": Timing.of(static),
        "time_ratio": median_ratio(early, static),
        "macs_ratio": by_macs,
        "simulated_latency_ratio": cost.mean_over_static(leaving / n)[0],
    }
    row["gap"] = row["time_ratio"] / by_macs - 1
    print(
        f"{name:8s} batch {batch:4d}: {Timing.of(early).median_seconds * 1e3:8.3f} ms an image, static "
        f"{Timing.of(static).median_seconds * 1e3:8.3f} ms; ratio {row['time_ratio']:.3f}, MACs {by_macs:.3f} "
        f"(gap {100 * row['gap']:+.0f} %), simulated latency {row['simulated_latency_ratio']:.3f}"
    )
    return row


def _profile(runner: Runner, x: Any, rounds: int, row: dict[str, Any], macs: Any) -> dict[str, Any]:
    """Where the time of one image goes, as shares of the static network's time; medians over rounds."""
    inside, between = [], []
    n = len(x)
    for _ in range(rounds):
        timed = TimedChain(runner.chain)
        started = time.perf_counter()
        for i in range(n):
            replace(runner, chain=timed).early(x[i : i + 1])
        early = time.perf_counter() - started
        started = time.perf_counter()
        for i in range(n):
            runner.static(x[i : i + 1])
        static = time.perf_counter() - started
        inside.append(timed.seconds / static)
        between.append((early - timed.seconds.sum()) / static)
    share = np.median(np.stack(inside), axis=0)  # of each segment, only the images that reached it
    reached = np.array(row["samples_per_segment"]) / n
    whole = share / reached  # of each segment, had every image reached it
    by_macs = np.asarray(macs) * row["macs_ratio"] / float(reached @ macs)
    profile = {
        "segment_over_static": whole.tolist(),
        "segment_macs_over_static": by_macs.tolist(),
        "ratio_in_segments": float(share.sum()),
        "ratio_between_segments": float(np.median(between)),
        "ratio_by_macs": row["macs_ratio"],
        "within_15_percent": abs(row["gap"]) <= ALLOWED_GAP,
    }
    print(
        f"  of the static network's time the segments take {' '.join(f'{100 * t:.0f}' for t in whole)} %, of its "
        f"MACs they have {' '.join(f'{100 * m:.0f}' for m in by_macs)} %; in segments {share.sum():.3f}, "
        f"in between {np.median(between):.3f}"
    )
    return profile


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    return {name: value for name, value in vars(options).items() if name != "json"}


if __name__ == "__main__":
    main()
