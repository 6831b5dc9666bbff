"""Training steps on a GPU: our kernels and CUDA graphs beside the library's kernels launched one by one.

    python -m benchmarks.gpu_step --json gpu_step.json

The paper's backbone at full width, 32x32 images. The float network has every exit with every kind of head, as in
pre-training; the quantized one four exits, 4-bit weights and activations, once with Brevitas's own quantizers. A step
is forward, backward and optimizer. `first` is the first step of a process-wide new shape: libraries choose or make
kernels in it, ours are compiled. Run it in a process of its own; it takes a minute or two.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from unittest import mock

import torch
from torch import Tensor

from benchmarks.harness import Timing, provenance, write_json
from hwcost.networks import load_backbone, uniform_precision
from models import cuda_depthwise, cuda_norm, cuda_quantizer
from models.architecture import HEAD_KINDS
from models.brevitas_adapter import QuantLayers
from models.gradients import Gradients
from models.layers import FloatLayers, LayerFactory
from models.loop import arithmetic
from models.network import EarlyExitNetwork, Mount, all_mounts, initialize
from models.objective import exit_weights, joint_loss
from models.recipe import Arithmetic

MOUNTS = tuple(Mount(block, kind) for block, kind in ((0, "fc"), (4, "conv1"), (7, "fc_hidden"), (11, "fc")))

KERNELS = ("ours", "library", "Brevitas")


@dataclass(frozen=True)
class Variant:
    """One way of doing a step.

    Attributes:
        network: `float` or `quantized`.
        kernels: `ours`, `library`, or `Brevitas`: the library's and Brevitas's own quantizers.
        graph: The step is launched as one CUDA graph.
        precision: Of convolutions.
        batch: Images.
    """

    network: str
    kernels: str
    graph: bool
    precision: Arithmetic
    batch: int


def variants(float_batch: int, batch: int, kernels: Sequence[str] = KERNELS) -> list[Variant]:
    half: Arithmetic = "bfloat16"
    found = [
        Variant("float", "ours", True, half, float_batch),
        Variant("float", "ours", False, half, float_batch),
        Variant("float", "library", True, half, float_batch),
        Variant("float", "library", False, half, float_batch),
        Variant("quantized", "ours", True, half, batch),
        Variant("quantized", "ours", True, "float32", batch),
        Variant("quantized", "ours", False, half, batch),
        Variant("quantized", "library", True, half, batch),
        Variant("quantized", "Brevitas", False, "float32", batch),
    ]
    return [variant for variant in found if variant.kernels in kernels]


@contextmanager
def kernels_of(kernels: str) -> Iterator[None]:
    """Without ours, the modules that have them find no Triton."""
    modules = (cuda_quantizer, cuda_depthwise, cuda_norm)
    with ExitStack() as replaced:
        for module in modules if kernels != "ours" else ():
            replaced.enter_context(mock.patch.object(module, "has_triton", return_value=False))
        yield


def step_of(variant: Variant) -> Callable[[], None]:
    spec = load_backbone("paper")
    generator = torch.Generator().manual_seed(0)
    is_float = variant.network == "float"
    mounts = all_mounts(spec, HEAD_KINDS) if is_float else MOUNTS
    layers: LayerFactory = FloatLayers() if is_float else QuantLayers(fast=variant.kernels != "Brevitas")
    network = EarlyExitNetwork(spec, mounts, 10, 32, uniform_precision(spec.n_blocks, 4, 4), layers)
    initialize(network, generator)
    network.to(device="cuda", memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    images = torch.randn(variant.batch, 3, 32, 32, generator=generator).cuda()
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(10, (variant.batch,), generator=generator).cuda()
    teacher = torch.randn(variant.batch, 10, generator=generator).cuda()
    weights = exit_weights([mount.block == spec.n_blocks - 1 for mount in mounts], 1.0).cuda()
    distilled = torch.full_like(weights, 0.5)

    def compute(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        with arithmetic(variant.precision, images.device):
            logits = network(images)
        loss = joint_loss(logits, labels, teacher, weights, distilled, 2.0, 0.0)
        return loss, loss.detach()

    gradients = Gradients(compute, list(network.parameters()), graphs=variant.graph)
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-4, momentum=0.9, nesterov=True)

    def step() -> None:
        gradients(images, labels)
        optimizer.step()

    return step


def timed(step: Callable[[], None]) -> float:
    torch.cuda.synchronize()
    started = time.perf_counter()
    step()
    torch.cuda.synchronize()
    return time.perf_counter() - started


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu_step", description=__doc__)
    parser.add_argument("--batch", type=int, default=128, help="of the quantized network")
    parser.add_argument("--float-batch", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--kernels", nargs="+", choices=KERNELS, default=KERNELS)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("error: expected a CUDA device, got none; run it where there is one", file=sys.stderr)
        return 2
    rows = []
    for variant in variants(options.float_batch, options.batch, options.kernels):
        torch.cuda.reset_peak_memory_stats()
        with kernels_of(variant.kernels):
            step = step_of(variant)
            first = timed(step)
            for _ in range(3):
                step()
            timing = Timing.of(timed(step) for _ in range(options.rounds))
        peak = torch.cuda.max_memory_allocated()
        how = "graph" if variant.graph else "one by one"
        print(
            f"{variant.network:10s}{variant.kernels:9s}{how:11s}{variant.precision:9s} batch {variant.batch}: "
            f"{timing.median_seconds * 1e3:7.2f} ms, first {first:5.1f} s, {peak / 2**30:.1f} GiB",
            flush=True,
        )
        rows.append({**asdict(variant), "step": timing, "first_seconds": first, "peak_bytes": peak})
        del step
        torch.cuda.empty_cache()
    write_json(
        options.json,
        {
            "variants": rows,
            "device": torch.cuda.get_device_name(),
            **provenance(("torch", "brevitas", "triton"), rounds=options.rounds),
        },
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
