"""One step of quantization-aware training beside the float step at its own best setting.

    python -m benchmarks.qat_step --json qat_step.json

Both networks are the paper's backbone with the exits A, E, F, H and the final one (`fc` heads), the same batch and
joint loss; a step is forward, backward and optimizer. The float step is tried with every thread count, memory
format and precision first and then measured at the fastest of them, in turn with ours, in both precisions, and with
Brevitas's own quantizers in both of the ways they are commonly set up. As the float step is taken at its own best
setting, so is ours: `qat_over_float` is that of the faster precision, and both are recorded.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from brevitas import nn as qnn
from brevitas.quant import Int8ActPerTensorFloat, Int8WeightPerTensorFloat, Uint8ActPerTensorFloat
from torch import Tensor, nn

from benchmarks.harness import Timing, interleaved, median_ratio, provenance, write_json
from hwcost.networks import load_backbone, uniform_precision
from models import brevitas_adapter
from models.calibrate import calibrate, measure_ranges
from models.layers import FloatLayers, LayerFactory
from models.loop import arithmetic, torch_threads
from models.network import EarlyExitNetwork, Mount, initialize
from models.objective import exit_weights, joint_loss
from models.recipe import Arithmetic, QatRecipe
from models.train import QatOptimizer

EXITS = (0, 4, 5, 7)
PRECISIONS: tuple[Arithmetic, ...] = ("float32", "bfloat16")


@dataclass(frozen=True)
class Setting:
    """How a float step may be run."""

    threads: int
    channels_last: bool
    precision: Arithmetic

    @property
    def label(self) -> str:
        """For people."""
        layout = "channels last" if self.channels_last else "contiguous"
        return f"{self.threads} threads, {layout}, {self.precision}"


class CommonLayers(brevitas_adapter.QuantLayers):
    """Brevitas with the quantizers its documentation sets out from: percentile statistics for activations."""

    def conv(
        self, in_channels: int, out_channels: int, kernel: int, stride: int, groups: int, weight_bits: int
    ) -> nn.Conv2d:
        """See `LayerFactory`."""
        return qnn.QuantConv2d(
            in_channels, out_channels, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False,
            weight_quant=Int8WeightPerTensorFloat, weight_bit_width=weight_bits,
        )  # fmt: skip

    def linear(self, in_features: int, out_features: int, weight_bits: int) -> nn.Linear:
        """See `LayerFactory`."""
        return qnn.QuantLinear(
            in_features, out_features, bias=True,
            weight_quant=Int8WeightPerTensorFloat, weight_bit_width=weight_bits,
        )  # fmt: skip

    def relu6(self, bits: int) -> nn.Module:
        """See `LayerFactory`."""
        return qnn.QuantReLU(act_quant=Uint8ActPerTensorFloat, bit_width=bits)

    def identity(self, bits: int) -> nn.Module:
        """See `LayerFactory`."""
        return qnn.QuantIdentity(act_quant=Int8ActPerTensorFloat, bit_width=bits)


class Case:
    """A network with everything a step needs."""

    def __init__(self, options: argparse.Namespace, layers: LayerFactory, channels_last: bool) -> None:
        spec = load_backbone("paper").scaled(options.width)
        last = spec.n_blocks - 1
        mounts = tuple(Mount(block, "fc") for block in (*EXITS, last))
        precision = uniform_precision(spec.n_blocks, options.weight_bits, options.activation_bits)
        generator = torch.Generator().manual_seed(0)
        self.network = EarlyExitNetwork(spec, mounts, 10, 32, precision, layers)
        initialize(self.network, generator)
        self.images = torch.randn(options.batch, spec.in_channels, 32, 32, generator=generator)
        self.labels = torch.randint(10, (options.batch,), generator=generator)
        self.teacher = torch.randn(options.batch, 10, generator=generator)
        self.weights = exit_weights([mount.block == last for mount in mounts], 1.0)
        self.distilled = torch.full_like(self.weights, 0.5)
        if channels_last:
            self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            self.images = self.images.to(memory_format=torch.channels_last)
        self.network.train()

    def loss(self, precision: Arithmetic = "float32") -> Tensor:
        """Joint loss of one batch."""
        with arithmetic(precision, self.images.device):
            logits = self.network(self.images)
        return joint_loss(logits, self.labels, self.teacher, self.weights, self.distilled, 2.0, 0.0)


def float_action(options: argparse.Namespace, setting: Setting, compiled: bool = False) -> Callable[[], None]:
    case = Case(options, FloatLayers(), setting.channels_last)
    if compiled:
        case.network.compile()
    optimizer = torch.optim.SGD(case.network.parameters(), lr=1e-3, momentum=0.9, nesterov=True)

    def step() -> None:
        with torch_threads(setting.threads):
            loss = case.loss(setting.precision)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(case.network.parameters(), 5.0)
            optimizer.step()

    return step


def our_action(
    options: argparse.Namespace,
    threads: int,
    fast: bool,
    precision: Arithmetic = "float32",
    compiled: bool = False,
) -> Callable[[], None]:
    case = Case(options, brevitas_adapter.QuantLayers(fast), channels_last=True)
    twin = Case(options, FloatLayers(), channels_last=True)
    calibrate(case.network, measure_ranges(twin.network, [twin.images]))
    case.network.train()
    if compiled:
        case.network.compile()
    optimizer = QatOptimizer(case.network, QatRecipe(learning_rate=1e-3))

    def step() -> None:
        with torch_threads(threads):
            case.network.zero_grad()
            case.loss(precision).backward()
            optimizer.step(1.0)

    return step


def common_action(options: argparse.Namespace, threads: int) -> Callable[[], None]:
    case = Case(options, CommonLayers(), channels_last=True)
    optimizer = torch.optim.SGD(case.network.parameters(), lr=1e-3, momentum=0.9, nesterov=True)

    def step() -> None:
        with torch_threads(threads):
            loss = case.loss()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return step


def _ours(precision: Arithmetic) -> str:
    return f"ours, {precision}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.qat_step", description=__doc__)
    parser.add_argument("--width", type=float, default=0.5)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--weight-bits", type=int, default=4)
    parser.add_argument("--activation-bits", type=int, default=4)
    parser.add_argument("--threads", default="1,2", help="thread counts to try, e.g. 1,2")
    parser.add_argument(
        "--precisions", default=",".join(PRECISIONS),
        help="arithmetics to try; bfloat16 takes minutes a round on a processor without instructions for it",
    )  # fmt: skip
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument(
        "--cpu-time", action="store_true",
        help="time of the process instead of the wall clock, for a busy machine; with --threads 1",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    threads = [int(part) for part in options.threads.split(",")]
    precisions = [name for name in PRECISIONS if name in options.precisions.split(",")]
    if unknown := {*options.precisions.split(",")} - {*PRECISIONS}:
        parser.error(
            f"--precisions: expected some of {', '.join(PRECISIONS)}, got {', '.join(sorted(unknown))}"
        )

    clock = time.process_time if options.cpu_time else time.perf_counter
    settings = [Setting(*choice) for choice in itertools.product(threads, (False, True), precisions)]
    tried = interleaved({s.label: float_action(options, s) for s in settings}, rounds=2, clock=clock)
    best = min(settings, key=lambda s: min(tried[s.label]))
    print(f"best float setting of {len(settings)}: {best.label}")

    actions = {
        "float": float_action(options, best),
        **{_ours(name): our_action(options, best.threads, True, name) for name in precisions},
        "Brevitas, per-channel weights, constant initialisation": our_action(options, best.threads, False),
        "Brevitas, per-tensor weights, statistics": common_action(options, best.threads),
    }
    seconds = interleaved(actions, options.rounds, warmups=2, clock=clock)
    ratios = {name: median_ratio(values, seconds["float"]) for name, values in seconds.items()}
    for name, values in seconds.items():
        print(f"{name:60s}{Timing.of(values).median_seconds * 1e3:9.0f} ms {ratios[name]:7.2f} x float")
    ours = {name: ratios[_ours(name)] for name in precisions}
    write_json(
        options.json,
        {
            "qat_over_float": min(ours.values()),
            "qat_precision": min(ours, key=lambda name: ours[name]),
            "qat_over_float_by_precision": ours,
            "brevitas_over_float": {name: ratio for name, ratio in ratios.items() if "Brevitas" in name},
            "float_setting": best.label,
            "float_settings_tried_seconds": {name: min(values) for name, values in tried.items()},
            "step": {name: Timing.of(values) for name, values in seconds.items()},
            **provenance(
                ("torch", "brevitas"),
                width=options.width, batch=options.batch, weight_bits=options.weight_bits,
                activation_bits=options.activation_bits, rounds=options.rounds, threads=options.threads,
                precisions=options.precisions,
                clock="process" if options.cpu_time else "wall",
            ),
        },
    )  # fmt: skip


if __name__ == "__main__":
    main()
