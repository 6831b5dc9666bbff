"""Fills a table of layers with what ZigZag finds for them; runs where ZigZag is installed.

    python benchmarks/zigzag_table.py docs/results/simulator/unseen/zigzag_layers.csv filled.csv

Both tables are in the form `python -m hwcost.validate` reads; results the first one has do not count. Alone in its
file and without our packages, as `zigzag_layers.py`; zigzag-dse 3.9.1 also wants `six`, which it does not ask
for. Per row every temporal mapping LOMA proposes with at most 6 loop factors is evaluated, under the unrolling of
`spatial_mapping_rule` (`auto`: the three ZigZag proposes); latency is that of the fastest one, energy that of the one
with least energy.
"""

from __future__ import annotations

import csv
import logging
import math
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped, unused-ignore]
import zigzag  # type: ignore[import-not-found, unused-ignore]
from zigzag.mapping.temporal_mapping import TemporalMappingType  # type: ignore[import-not-found, unused-ignore]
from zigzag.stages.evaluation.cost_model_evaluation import CostModelStage  # type: ignore[import-not-found, unused-ignore]
from zigzag.stages.main import MainStage  # type: ignore[import-not-found, unused-ignore]
from zigzag.stages.mapping.spatial_mapping_generation import SpatialMappingGeneratorStage  # type: ignore[import-not-found, unused-ignore] # fmt: skip
from zigzag.stages.mapping.temporal_mapping_generator_stage import TemporalMappingGeneratorStage  # type: ignore[import-not-found, unused-ignore] # fmt: skip
from zigzag.stages.parser.accelerator_parser import AcceleratorParserStage  # type: ignore[import-not-found, unused-ignore]
from zigzag.stages.parser.workload_parser import WorkloadParserStage  # type: ignore[import-not-found, unused-ignore]
from zigzag.stages.stage import Stage  # type: ignore[import-not-found, unused-ignore]
from zigzag.stages.workload_iterator import WorkloadStage  # type: ignore[import-not-found, unused-ignore]

HARDWARE = Path(zigzag.__file__).parent / "inputs" / "hardware"
MAX_FACTORS = 6
LOOPS = ("B", "G", "K", "C", "OX", "OY", "FX", "FY")
NUMBERS = (*LOOPS, "IX", "IY", "stride", "pad", "w_bits", "a_bits", "psum_bits")
LEVELS = {"dram": "energy_dram_pj", "sram": "energy_sram_pj", "rf": "energy_rf_pj"}

Row = dict[str, Any]


class Best(Stage):  # type: ignore[misc, unused-ignore]
    """Keeps the fastest mapping and the one with least energy."""

    def run(self) -> Iterator[tuple[Any, Any]]:
        """Both of them, as ZigZag's stages hand on a result and what goes with it."""
        fastest = least = None
        for found, _ in self.list_of_callables[0](self.list_of_callables[1:], **self.kwargs).run():
            key = found.latency_total2, found.energy_total
            if fastest is None or key < (fastest.latency_total2, fastest.energy_total):
                fastest = found
            if least is None or key[::-1] < (least.energy_total, least.latency_total2):
                least = found
        yield fastest, least


def hardware(row: Row) -> dict[str, Any]:
    """ZigZag's own description with the row's array, home of the activations and width of the DRAM port."""
    name, _, width = row["accelerator"].partition("_dram")
    found: dict[str, Any] = yaml.safe_load((HARDWARE / f"{name}.yaml").read_text())
    found["operational_array"]["sizes"] = [int(size) for size in row["array"].split("x")]
    dram = found["memories"]["dram"]
    if row["activations"] == "onchip":
        dram["operands"] = ["I2"]
        dram["ports"][0]["allocation"] = ["I2, fh", "I2, tl"]
    if width:
        dram["ports"][0]["bandwidth_max"] = int(width)
    return found


def mapping(row: Row) -> list[dict[str, Any]]:
    """K | C | OX | OY, for depth-wise layers G in place of K or of nothing; left to ZigZag for `auto`."""
    found: dict[str, Any] = {"name": "default", "memory_operand_links": {"O": "O", "W": "I2", "I": "I1"}}
    if row["spatial_mapping_rule"] == "auto":
        return [found]
    sizes = row["array"].split("x")
    unrolled = {
        f"D{i}": [f"{loop}, {n}"]
        for i, (loop, n) in enumerate(zip(("K", "C", "OX", "OY"), sizes, strict=False), 1)
    }
    if row["G"] > 1:
        on_first = row["spatial_mapping_rule"] == "depthwise_g_on_d1"
        unrolled |= {"D1": [f"G, {sizes[0] if on_first else 1}"], "D2": ["G, 1"]}
    return [{**found, "spatial_mapping": unrolled}]


def workload(row: Row) -> list[dict[str, Any]]:
    """The layer."""
    grouped = row["G"] > 1
    g = "[g]" if grouped else ""
    loops = [loop for loop in LOOPS if grouped or loop != "G"]
    return [
        {
            "id": 0,
            "name": "layer",
            "operator_type": "Conv",
            "equation": f"O[b]{g}[k][oy][ox]+=W{g}[k][c][fy][fx]*I[b]{g}[c][iy][ix]",
            "dimension_relations": [f"ix={row['stride']}*ox+1*fx", f"iy={row['stride']}*oy+1*fy"],
            "loop_dims": loops,
            "loop_sizes": [row[loop] for loop in loops],
            "pr_loop_dims": ["IX", "IY"],
            "pr_loop_sizes": [row["IX"], row["IY"]],
            "padding": [[row["pad"]] * 2] * 2,
            "operand_precision": {
                "W": row["w_bits"],
                "I": row["a_bits"],
                "O": row["psum_bits"],
                "O_final": row["a_bits"],
            },
            "operand_source": {"I": 0, "W": 0},
        }
    ]


def evaluate(row: Row) -> Row:
    """The columns of results."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        files = {"accelerator": hardware(row), "mapping": mapping(row), "workload": workload(row)}
        paths = {name: str(Path(folder) / f"{name}.yaml") for name in files}
        for name, content in files.items():
            Path(paths[name]).write_text(yaml.safe_dump(content, sort_keys=False))
        stages = [
            WorkloadParserStage,
            AcceleratorParserStage,
            WorkloadStage,
            Best,
            SpatialMappingGeneratorStage,
            TemporalMappingGeneratorStage,
            CostModelStage,
        ]
        settings: dict[str, Any] = {
            "loma_lpf_limit": MAX_FACTORS,
            "loma_show_progress_bar": False,
            "nb_mappings_generated": 3,
            "enable_mix_spatial_mapping_generation": False,
            "access_same_data_considered_as_no_access": True,
            "temporal_mapping_type": TemporalMappingType("uneven"),
        }
        fastest, (_, least) = MainStage(stages, dump_folder=folder, **paths, **settings).run()[0]
    result = {
        "macs": math.prod(row[loop] for loop in LOOPS),
        "ideal_temporal_cycles": fastest.ideal_temporal_cycle,
        "latency_cycles": fastest.latency_total2,
        "energy_pj": least.energy_total,
        "energy_mac_pj": least.mac_energy,
        **dict.fromkeys(LEVELS.values(), 0.0),
        "zigzag_wall_s": round(time.perf_counter() - started, 2),
    }
    for operand, parts in least.mem_energy_breakdown.items():
        levels = least.mem_hierarchy_dict[least.memory_operand_links.layer_to_mem_op(operand)]
        for level, energy in zip(levels, parts, strict=False):
            result[LEVELS[level.name.split("_")[0]]] += energy
    return result


def main() -> None:
    source, target = (Path(name) for name in sys.argv[1:])
    with source.open(newline="") as file, target.open("w", newline="") as out:
        reader = csv.DictReader(file)
        writer = csv.DictWriter(out, list(reader.fieldnames or ()))
        writer.writeheader()
        for cells in reader:
            row = {**cells, **{name: int(cells[name]) for name in NUMBERS}}
            writer.writerow({**cells, **evaluate(row)})
            out.flush()


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    main()
