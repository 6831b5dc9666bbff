"""The published networks of arXiv 2512.04705, costed by our simulator; the front of a run beside theirs.

    python -m benchmarks.paper_networks DIR --csv paper_networks.csv --json paper_networks.json
    python -m benchmarks.paper_networks DIR --run runs/cifar10 --accelerator edge_tpu_quad

DIR holds `paper_models.csv`, where exits, heads, accuracy and exit ratios are the authors' own. Their mean
energy-latency product is made as they make it: over exits the ratio times (energy up to the exit) times (latency up
to it). Absolute products of two simulators differ, so both are also divided by a static network of the same
simulator: ours by the static reference on the same chip, theirs by what their table has for the backbone alone, the
median of its rows. The table that `--csv` writes is one that `dashboards.report --reference-front` draws.

With `--accelerator` the published networks are costed on that chip instead of one like theirs; on a run's own,
products compare as they are. Of a run that was refined the refined designs count, by test accuracy; otherwise all, by
validation accuracy. They compare with these points as far as data and training do: the authors trained on CIFAR-10
with a recipe of their own and report test accuracy.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from benchmarks.harness import provenance, write_json
from hwcost.chip.accelerator_file import load_accelerator
from hwcost.errors import OfframpError
from hwcost.evaluate import CostModel
from hwcost.validation.paper_models import PRESET, network, network_of
from hwcost.validation.table import Row, read_rows
from study.results import RunResults, load_run

COLUMNS = ("model", "exit_blocks", "heads", "w_bits", "a_bits", "top1", "exit_ratios", "mean_et_pj_cycles")
STATIC_COLUMN = "backbone_et_pj_cycles"


@dataclass(frozen=True)
class Published:
    """A published network.

    Attributes:
        model: Its name in the table.
        exits: Blocks, joined by `-`, the final one included.
        heads: Kinds, by exit.
        accuracy: Top-1 on their test images, as a fraction.
        theirs_pj_cycles: Their mean energy-latency product.
        theirs_relative: The same over that of their backbone alone.
        mean_latency_cycles: By our simulator.
        mean_energy_pj: By our simulator.
        mean_edp_pj_cycles: By our simulator, as they define it.
        edp_relative: The same over our static reference.
        on_front: No other network of the table is as accurate at less, by our costs.
    """

    model: str
    exits: str
    heads: str
    accuracy: float
    theirs_pj_cycles: float
    theirs_relative: float | None
    mean_latency_cycles: float
    mean_energy_pj: float
    mean_edp_pj_cycles: float
    edp_relative: float
    on_front: bool = False


def published(path: Path, chip: str = PRESET) -> list[Published]:
    """The 8-bit networks of a table, by falling accuracy.

    Args:
        path: Of the table.
        chip: Accelerator they are costed on, a preset or a file.

    Raises:
        OfframpError: The table cannot be read.
    """
    rows = [
        row for row in read_rows(path, COLUMNS) if (row.integer("w_bits"), row.integer("a_bits")) == (8, 8)
    ]
    if not rows:
        raise OfframpError(f"expected 8-bit networks in {path.name}, got none")
    accelerator = load_accelerator(chip)
    model, allocation = CostModel(accelerator), np.array([accelerator.default_allocation])
    static = model.evaluate(network((), ("fc",)), allocation)
    reference = float(static.latency_cycles[0, -1] * static.energy_pj[0, -1])
    theirs = [row.positive(STATIC_COLUMN) for row in rows if row.has(STATIC_COLUMN)]
    light = float(np.median(theirs)) if theirs else None
    found = []
    for row in rows:
        costs = model.evaluate(network_of(row), allocation)
        latency, energy = costs.latency_cycles[0], costs.energy_pj[0]
        ratios = _ratios(row, len(latency))
        product = float(ratios @ (latency * energy))
        their_product = row.positive("mean_et_pj_cycles")
        found.append(
            Published(
                row.text("model"), row.text("exit_blocks"), row.text("heads"), row.positive("top1"), their_product,
                None if light is None else their_product / light,
                float(ratios @ latency), float(ratios @ energy), product, product / reference,
            )
        )  # fmt: skip
    return _with_front(sorted(found, key=lambda n: -n.accuracy))


def _ratios(row: Row, n_exits: int) -> np.ndarray:
    try:
        ratios = np.array([float(text) for text in row.text("exit_ratios").split()])
    except ValueError:
        ratios = np.array([])
    if len(ratios) != n_exits or not abs(ratios.sum() - 1) < 0.01:
        raise OfframpError(
            f"{row.where}: expected {n_exits} exit ratios that sum to 1, got {row.text('exit_ratios')!r}"
        )
    return ratios / ratios.sum()


def _with_front(networks: list[Published]) -> list[Published]:
    front, least = [], float("inf")
    for each in sorted(networks, key=lambda n: (-n.accuracy, n.edp_relative)):
        front.append(Published(**{**asdict(each), "on_front": each.edp_relative < least}))
        least = min(least, each.edp_relative)
    return front


def cheapest(designs: pd.DataFrame, accuracy: float) -> pd.Series | None:
    """The design of a run's table with the least product that is at least as accurate; None where there is none."""
    enough = designs[designs["accuracy"] >= accuracy - 1e-12]
    return enough.iloc[int(enough["edp_relative"].argmin())] if len(enough) else None


def beside(networks: list[Published], run: RunResults) -> pd.DataFrame:
    """For each network on the front the cheapest design of a run that is at least as accurate.

    Args:
        networks: Published.
        run: Its refined designs count, those on the test split, where there are any.

    Returns:
        `model`, `accuracy`, `edp_relative`, `run_accuracy`, `run_edp_relative`, `ratio`; NaN where a run has none.
    """
    designs = run.refined if len(run.refined) else run.designs
    designs = designs[designs["feasible"]]
    rows = []
    for each in (n for n in networks if n.on_front):
        best = cheapest(designs, each.accuracy)
        own = float("nan") if best is None else float(best["edp_relative"])
        rows.append({
            "model": each.model, "accuracy": each.accuracy, "edp_relative": each.edp_relative,
            "run_accuracy": float("nan") if best is None else float(best["accuracy"]),
            "run_edp_relative": own, "ratio": own / each.edp_relative,
        })  # fmt: skip
    return pd.DataFrame(rows)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.paper_networks", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--run", type=Path, metavar="RUN", help="folder of a run to set beside the front")
    parser.add_argument("--accelerator", default=PRESET, metavar="NAME|FILE.toml", help=f"default: {PRESET}")
    parser.add_argument("--csv", type=Path, metavar="FILE")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    try:
        networks = published(options.folder / "paper_models.csv", options.accelerator)
        table = None if options.run is None else beside(networks, load_run(options.run))
    except OfframpError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    light = [n for n in networks if not n.heads.endswith("fc_hidden")]
    ranks = {
        name: float(spearmanr([n.theirs_pj_cycles for n in some], [n.mean_edp_pj_cycles for n in some])[0])
        for name, some in (("all", networks), ("with a light final head", light))
    }
    ratio = float(np.median([n.mean_edp_pj_cycles / n.theirs_pj_cycles for n in networks]))
    print(f"{len(networks)} networks; ours over theirs, median: {ratio:.2f}; Spearman of the mean products: "
          + ", ".join(f"{value:.3f} {name}" for name, value in ranks.items()))  # fmt: skip
    print("the front, by our costs:")
    for each in (n for n in networks if n.on_front):
        theirs = "" if each.theirs_relative is None else f", theirs {100 * each.theirs_relative:5.1f} %"
        print(
            f"  {100 * each.accuracy:6.2f} %  product {100 * each.edp_relative:5.1f} %{theirs}  {each.exits}"
        )
    if table is not None:
        print(table.to_string(index=False, float_format=lambda v: f"{v:.4f}"))
    if options.csv is not None:
        frame = pd.DataFrame([asdict(each) for each in networks]).rename(columns={"model": "name"})
        frame.to_csv(options.csv, index=False, lineterminator="\n")
    write_json(options.json, {
        "networks": len(networks), "ours_over_theirs_median": ratio, "spearman": ranks,
        "front": [asdict(n) for n in networks if n.on_front],
        "beside_run": None if table is None else table.to_dict("records"),
        **provenance(("numpy", "pandas", "scipy"), accelerator=options.accelerator),
    })  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
