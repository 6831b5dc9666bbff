"""How fast a trained network is evaluated: as it was trained, folded, and as it is deployed.

    python -m benchmarks.evaluation --json evaluation.json

The paper's backbone with exits A, E, F, H and drawn weights on random images; scales are calibrated on them. All
three give the logits of every exit; those of the folded and of the deployed network must be the same bit by bit, or
there is no figure. One thread, as a trial has.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.harness import Timing, interleaved, median_ratio, provenance, write_json
from models.architecture import Architecture
from models.backbones.open import open_backbone
from models.byte_products import are_exact
from models.calibrate import calibrate, measure_ranges
from models.fold import fold_network
from models.integer_network import keep_integers
from models.loop import torch_threads
from models.network import EarlyExitNetwork, architecture_mounts, initialize
from models.train import empty_network

EXITS, CLASSES, SIZE = (0, 4, 5, 7), 10, 32
TRAINED, FOLDED, DEPLOYED = "as trained", "folded", "deployed"


def drawn_network(width: float, bits: int, images: Tensor) -> EarlyExitNetwork:
    """A quantized network in evaluation mode that cuts as little as a trained one."""
    spec = open_backbone("paper", width, images.shape[1], SIZE)
    n, heads = spec.n_blocks, ("fc",) * (len(EXITS) + 1)
    architecture = Architecture(EXITS, heads, (bits,) * n, (bits,) * n, bits, bits)
    mounts = architecture_mounts(architecture, spec)
    float_network = EarlyExitNetwork(spec, mounts, CLASSES, SIZE)
    initialize(float_network, torch.Generator().manual_seed(0))
    network = empty_network(spec, mounts, architecture.precision(), CLASSES, SIZE)
    network.load_state_dict(float_network.state_dict(), strict=False)
    calibrate(network, measure_ranges(float_network, [images]))
    with torch.no_grad():
        network.train()
        for _ in range(20):  # statistics of BatchNorm
            network(images)
    return network.eval()


def main() -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.evaluation", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--widths", type=float, nargs="+", default=[1.0, 0.25])
    parser.add_argument("--bits", type=int, nargs="+", default=[8, 4])
    parser.add_argument("--images", type=int, default=32, help="at once, as in a trial")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(options.images, 3, SIZE, SIZE, generator=generator)
    images = images.contiguous(memory_format=torch.channels_last)
    rows = []
    print(f"bytes are multiplied exactly: {'yes' if are_exact() else 'no'}; ms an image, one thread")
    for width in options.widths:
        for bits in options.bits:
            with torch_threads(1), torch.no_grad():
                network = drawn_network(width, bits, images)
                folded = fold_network(network, images[:1])
                deployed = keep_integers(folded, images[:1])
                same = all(torch.equal(a, b) for a, b in zip(folded(images), deployed(images), strict=True))
                if not same:
                    print("error: the deployed network has other logits than the folded one", file=sys.stderr)
                    return 1
                networks = {TRAINED: network, FOLDED: folded, DEPLOYED: deployed}
                actions = {name: (lambda n=n: n(images)) for name, n in networks.items()}
                seconds = interleaved(actions, options.rounds, warmups=3)
            times = {name: Timing.of(values) for name, values in seconds.items()}
            ratio = median_ratio(seconds[FOLDED], seconds[DEPLOYED])
            rows.append({"width": width, "bits": bits, "times": times, "folded_over_deployed": ratio})
            shown = ", ".join(f"{n} {1e3 * t.median_seconds / len(images):.2f}" for n, t in times.items())
            print(f"width {width:g}, {bits} bit: {shown}; folded / deployed {ratio:.2f}")
    settings = {"images": options.images, "rounds": options.rounds, "bytes": are_exact()}
    write_json(options.json, {"networks": rows, **provenance(("torch", "brevitas"), **settings)})
    return 0


if __name__ == "__main__":
    sys.exit(main())
