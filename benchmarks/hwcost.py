"""Speed and memory of the simulator beside ZigZag's.

    python -m benchmarks.hwcost --reference DIR --json hwcost.json

Layer evaluations: distinct (layer, bits, array) jobs of the paper's backbone, each with a mapping search of its own,
nothing remembered; with the unrolling the preset describes and with any loop on any dimension. Designs: random
genomes of the paper's backbone (exits, heads, bits, allocations all drawn) on `edge_tpu_quad`, their layers mapped to
its four cores; warm: every layer has been costed before; cold: none has. One thread; medians over rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import Timing, interleaved, provenance, write_json
from hwcost import CostModel, WorkloadBatch, load_accelerator
from hwcost.chip.accelerator import Accelerator
from hwcost.chip.core import ComputeCore
from hwcost.mapping.loops import Loop
from hwcost.mapping.mapper import OBJECTIVES, map_layers
from hwcost.networks import BackboneSpec, EarlyExitGenomes, early_exit_batch, load_backbone
from hwcost.validation.table import read_rows

PRESET = "edge_tpu_quad"
IMAGE_SIZE, CLASSES = 32, 10
BITS = (2, 3, 4, 6, 8)
HEADS = 3  # fc, fc_hidden, gap
GROWTH = (1, 10, 100, 1000, 10_000)
ALLOCATIONS = 100_000


def random_genomes(spec: BackboneSpec, n: int, seed: int) -> EarlyExitGenomes:
    """Distinct networks: every gene drawn evenly."""
    rng = np.random.default_rng(seed)
    points, blocks = len(spec.mounting_points), spec.n_blocks
    return EarlyExitGenomes(
        exits=rng.random((n, points)) < 0.5,
        heads=rng.integers(0, HEADS, (n, points + 1)),
        weight_bits=rng.choice(BITS, (n, blocks)),
        activation_bits=rng.choice(BITS, (n, blocks)),
        head_weight_bits=rng.choice(BITS, n),
        head_activation_bits=rng.choice(BITS, n),
    )


def random_allocations(accelerator: Accelerator, n: int, seed: int) -> np.ndarray:
    """Drawn evenly from all within the budget."""
    rng = np.random.default_rng(seed)
    kept: list[np.ndarray] = []
    while sum(len(part) for part in kept) < n:
        drawn = np.stack([rng.integers(0, len(c), n) for c in accelerator.catalogues], axis=1)
        kept.append(drawn[accelerator.n_pes(drawn).sum(axis=1) <= accelerator.pe_budget])
    return np.concatenate(kept)[:n]


def layer_jobs(core: ComputeCore, batch: WorkloadBatch, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Distinct (layer, bits) rows and arrays of the catalogue: (n, n_columns) and (n, n_dims)."""
    rng = np.random.default_rng(0)
    designs = (batch.workload(i).cost_rows()[batch.workload(i).has_weights] for i in range(batch.n_designs))
    rows = np.unique(np.concatenate(list(designs)), axis=0)
    sizes = np.array([array.sizes for array in core.catalogue])
    jobs = rng.permutation(len(rows) * len(sizes))[:n]
    return rows[jobs // len(sizes)], sizes[jobs % len(sizes)]


def free_core(core: ComputeCore) -> ComputeCore:
    """The core with any loop but the batch on any dimension."""
    loops = tuple(loop for loop in Loop if loop != Loop.B)
    return replace(core, dimensions=tuple(replace(d, loops=loops) for d in core.dimensions))


def peak_memory() -> float:
    """Bytes of a process of its own that costs 100,000 allocations of one network."""
    code = (
        "import benchmarks.hwcost as b, resource, numpy as np\n"
        "spec, chip = b.load_backbone('paper'), b.load_accelerator(b.PRESET)\n"
        "batch = b.early_exit_batch(spec, b.random_genomes(spec, 1, 0), b.IMAGE_SIZE, b.CLASSES)\n"
        f"found = b.CostModel(chip).evaluate(batch, b.random_allocations(chip, {ALLOCATIONS}, 0))\n"
        f"assert found.latency_cycles.shape[0] == {ALLOCATIONS}\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout)


def zigzag(options: argparse.Namespace) -> dict[str, Any]:
    """Layers a second by ZigZag, where it can be run or a table says how long it took."""
    if options.zigzag_python:
        script = Path(__file__).with_name("zigzag_layers.py")
        done = subprocess.run(
            [options.zigzag_python, str(script)], capture_output=True, text=True, check=True
        )
        measured = json.loads(done.stdout.splitlines()[-1])
        seconds = list(measured["seconds"].values())
        return {
            "zigzag_layers_per_second": 1 / statistics.median(seconds),
            "zigzag_source": f"zigzag-dse {measured['version']} run here, median of {len(seconds)} layers",
        }
    if options.reference:
        path = options.reference / "zigzag_layers.csv"
        rows = [row for row in read_rows(path, ("zigzag_wall_s",)) if row.has("zigzag_wall_s")]
        seconds = [row.positive("zigzag_wall_s") for row in rows]
        return {
            "zigzag_layers_per_second": 1 / statistics.median(seconds),
            "zigzag_source": f"median of column zigzag_wall_s of {path.name}, {len(seconds)} rows; not run here",
        }
    return {
        "zigzag_layers_per_second": None,
        "zigzag_source": "give --zigzag-python or --reference",
    }


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All figures."""
    memory = peak_memory()  # first: a child counts what its parent held when it was started
    spec, chip = load_backbone("paper"), load_accelerator(PRESET)
    core = chip.compute_cores[0]
    n = options.designs
    batch = early_exit_batch(spec, random_genomes(spec, n, 0), IMAGE_SIZE, CLASSES)
    allocations = random_allocations(chip, n, 1)
    fixed = layer_jobs(core, batch.take(slice(0, 200)), options.layer_jobs)
    free_rows, free_arrays = (values[: options.free_jobs] for values in fixed)
    warm = CostModel(chip)

    def designs(objective: str, count: int = n) -> Callable[[], object]:
        part = batch.take(slice(0, count))
        return lambda: warm.evaluate(part, allocations[:count], objective)

    def lay_out_and_cost(model: CostModel) -> object:
        made = early_exit_batch(spec, random_genomes(spec, n, 0), IMAGE_SIZE, CLASSES)
        return model.evaluate(made, allocations)

    actions: dict[str, Callable[[], object]] = {
        "layers": lambda: map_layers(core, *fixed, "edp"),
        # a layer without maps may fit no full unrolling of these dimensions: searched and found infinite
        "layers_free": lambda: map_layers(free_core(core), free_rows, free_arrays, "edp", must_fit=False),
        "cold": lambda: lay_out_and_cost(CostModel(chip)),
        **{f"warm_{objective}": designs(objective) for objective in OBJECTIVES},
        **{f"growth_{count}": designs("edp", count) for count in GROWTH if count <= n},
    }
    seconds = interleaved(actions, options.rounds)
    timings = {name: Timing.of(values) for name, values in seconds.items()}

    def rate(name: str, count: int) -> float:
        return count / timings[name].median_seconds

    return {
        "layer_evaluations_per_second": rate("layers", len(fixed[0])),
        "layer_evaluations_per_second_free": rate("layers_free", len(free_rows)),
        "layer_jobs": len(fixed[0]),
        "layer_jobs_free": len(free_rows),
        "designs_per_second": rate("warm_edp", n),
        "designs_per_second_objective": "edp",
        **{f"designs_per_second_{objective}": rate(f"warm_{objective}", n) for objective in OBJECTIVES},
        "designs_per_second_cold": rate("cold", n),
        "designs": n,
        "designs_per_second_by_batch": {str(c): rate(f"growth_{c}", c) for c in GROWTH if c <= n},
        "peak_bytes_100000_allocations": memory,
        "peak_bytes_this_process": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        **zigzag(options),
        "timings": timings,
        **provenance(("numpy",), rounds=options.rounds, preset=PRESET, threads=os.environ["OMP_NUM_THREADS"]),
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hwcost", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--designs", type=int, default=10_000, help="random genomes (default 10000)")
    parser.add_argument("--layer-jobs", type=int, default=20_000, help="layer-array pairs (default 20000)")
    parser.add_argument(
        "--free-jobs", type=int, default=500, help="of them with free unrolling (default 500)"
    )
    parser.add_argument("--rounds", type=int, default=5, help="rounds timed (default 5)")
    parser.add_argument("--reference", type=Path, metavar="DIR", help="folder with zigzag_layers.csv")
    parser.add_argument(
        "--zigzag-python", metavar="PYTHON", help="interpreter that has zigzag-dse: it is run"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures as JSON")
    options = parser.parse_args()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        if os.environ.get(name) != "1":
            # read when numpy is loaded: start over with them
            os.environ[name] = "1"
            os.environ["OPENBLAS_NUM_THREADS"] = "1"
            os.execv(sys.executable, [sys.executable, "-m", "benchmarks.hwcost", *sys.argv[1:]])
    result = measure(options)
    for name, value in result.items():
        if name not in ("timings", "versions", "settings"):
            print(
                f"{name:36s}{value:,.0f}" if isinstance(value, float) and value > 10 else f"{name:36s}{value}"
            )
    write_json(options.json, result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
