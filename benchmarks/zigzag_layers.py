"""ZigZag's own time for layers of the paper's backbone on its Edge-TPU-like core; runs where ZigZag is installed.

    python benchmarks/zigzag_layers.py

Alone in its file and without our packages, so that the interpreter that has ZigZag may be another one than ours. The
last line of the output is JSON: seconds per layer. One process, one layer at a time, LOMA with its default limit of
6 loop factors, one spatial mapping per layer (K | C | OX | OY, a depth-wise layer's channels on the first dimension).
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any

# output channels, input channels, groups, output side, filter side, stride: the paper's stem and its block 5
LAYERS = {
    "stem": (32, 3, 1, 32, 3, 1),
    "expand": (192, 32, 1, 32, 1, 1),
    "depthwise": (192, 192, 192, 16, 3, 2),
    "project": (64, 192, 1, 16, 1, 1),
}
_DENSE = {"D1": "K, 8", "D2": "C, 8", "D3": "OX, 4", "D4": "OY, 4"}
# by the operator types ZigZag knows; the second stands for a depth-wise convolution
UNROLLED = {
    "default": _DENSE,
    "Conv": _DENSE,
    "Conv_downsample": {"D1": "G, 8", "D3": "OX, 4", "D4": "OY, 4"},
}
EQUATIONS = {
    "Conv": "O[b][k][oy][ox]+=W[k][c][fy][fx]*I[b][c][iy][ix]",
    "Conv_downsample": "O[b][g][k][oy][ox]+=W[g][k][c][fy][fx]*I[b][g][c][iy][ix]",
}


def _workload(k: int, c: int, g: int, side: int, window: int, stride: int) -> list[dict[str, Any]]:
    grouped = g > 1
    kind = "Conv_downsample" if grouped else "Conv"
    sizes = {"B": 1, "OY": side, "OX": side, "FY": window, "FX": window}
    sizes |= {"G": g, "K": k // g, "C": c // g} if grouped else {"K": k, "C": c}
    return [
        {
            "id": 0,
            "name": "layer",
            "operator_type": kind,
            "equation": EQUATIONS[kind],
            "dimension_relations": [f"ix={stride}*ox+1*fx", f"iy={stride}*oy+1*fy"],
            "loop_dims": list(sizes),
            "loop_sizes": list(sizes.values()),
            "operand_precision": {"W": 8, "I": 8, "O": 16, "O_final": 8},
            "operand_source": {"I": 0, "W": 0},
        }
    ]


def _mapping() -> str:
    parts = []
    for name, unrolled in UNROLLED.items():
        lines = "".join(f"    {dimension}:\n      - {loop}\n" for dimension, loop in unrolled.items())
        operands = "  memory_operand_links:\n    O: O\n    W: I2\n    I: I1\n"
        parts.append(f"- name: {name}\n  spatial_mapping:\n{lines}{operands}")
    return "\n".join(parts)


def measure() -> dict[str, float]:
    """Seconds per layer."""
    import yaml  # type: ignore[import-untyped, unused-ignore]
    import zigzag  # type: ignore[import-not-found, unused-ignore]
    from zigzag.api import get_hardware_performance_zigzag  # type: ignore[import-not-found, unused-ignore]

    hardware = Path(zigzag.__file__).parent / "inputs" / "hardware" / "edge_tpu_like.yaml"
    seconds = {}
    with tempfile.TemporaryDirectory() as folder:
        mapping = Path(folder) / "mapping.yaml"
        mapping.write_text(_mapping())
        for name, sizes in LAYERS.items():
            workload = Path(folder) / f"{name}.yaml"
            workload.write_text(yaml.safe_dump(_workload(*sizes)))
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                started = time.perf_counter()
                get_hardware_performance_zigzag(
                    str(workload), str(hardware), str(mapping), opt="latency", dump_folder=f"{folder}/{name}",
                    loma_show_progress_bar=False,
                )  # fmt: skip
                seconds[name] = time.perf_counter() - started
    return seconds


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    print(json.dumps({"version": metadata.version("zigzag-dse"), "seconds": measure()}))
