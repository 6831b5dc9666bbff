"""Reading a run's folder: everything figures and reports are made from, and nothing else."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from hwcost.errors import OfframpError

TABLES = ("trials", "pareto", "designs", "exits", "layers")
LATER_TABLES = ("policy_curves", "reliability")
"""Tables that runs of earlier versions lack; they are then empty."""
OPTIONAL_TABLES = (*LATER_TABLES, "refined")
"""With the one that only `study.refine` writes."""

# Lists of numbers with spaces between: without this pandas reads "8" as a number and "8 4" as text.
_TEXT = dict.fromkeys(
    (
        "design",
        "state",
        "source",
        "split",
        "exits",
        "heads",
        "weight_bits",
        "activation_bits",
        "pe_arrays",
        "architecture",
        "network",
        "head",
        "failure",
        "level",
        "curve",
        "thresholds",
        "ratios",
    ),
    str,
)


@dataclass(frozen=True)
class RunResults:
    """The tables of one run; columns as in `docs/csv.md`.

    Attributes:
        name: Of the study.
        trials: One row a trial.
        pareto: One row a member of the front.
        designs: One row an evaluated design.
        exits: One row an exit of each front member.
        layers: One row a layer of each front member.
        policy_curves: One row a point of the threshold curves of each front member.
        reliability: One row a bin of each exit of the front's networks.
        refined: One row a design that `study.refine` measured on the test split.
        static_reference: The static reference with the names of `trials.csv`.
        environment: Versions, machine, data.
        config: Of the study.
    """

    name: str
    trials: pd.DataFrame
    pareto: pd.DataFrame
    designs: pd.DataFrame
    exits: pd.DataFrame
    layers: pd.DataFrame
    static_reference: dict[str, Any]
    environment: dict[str, Any]
    config: dict[str, Any]
    policy_curves: pd.DataFrame = field(default_factory=pd.DataFrame)
    reliability: pd.DataFrame = field(default_factory=pd.DataFrame)
    refined: pd.DataFrame = field(default_factory=pd.DataFrame)


def load_run(folder: Path) -> RunResults:
    """Reads the folder that `study.run` wrote.

    Raises:
        OfframpError: A file is missing or cannot be read.
    """
    if not folder.is_dir():
        raise OfframpError(
            f"expected the folder of a run such as runs/quickstart, got {folder}; run study.run first"
        )
    try:
        tables = {name: _table(folder / f"{name}.csv") for name in TABLES}
        for name in OPTIONAL_TABLES:
            path = folder / f"{name}.csv"
            tables[name] = _table(path) if path.exists() else pd.DataFrame()
        reference = json.loads((folder / "static_reference.json").read_text(encoding="utf-8"))
        environment = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
        config = tomllib.loads((folder / "config.toml").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        missing = Path(error.filename).name
        raise OfframpError(
            f"expected {missing} in {folder}, got none; it is written when study.run ends, also when it is stopped"
        ) from None
    except (OSError, ValueError) as error:
        raise OfframpError(f"expected readable results in {folder}, got: {error}") from None
    name = config.get("run", {}).get("name") or folder.name
    return RunResults(name=name, static_reference=reference, environment=environment, config=config, **tables)


def _table(path: Path) -> pd.DataFrame:
    # `layers.csv` of some runs has a yes/no column called head, which stays a truth value.
    text = {key: kind for key, kind in _TEXT.items() if not (path.stem == "layers" and key == "head")}
    gaps = {name: [""] for name in (*_NUMERIC_GAPS, "trial")}
    try:
        frame = pd.read_csv(path, dtype=text, keep_default_na=False, na_values=gaps)
    except pd.errors.EmptyDataError:
        return pd.DataFrame()
    # Static designs are of no trial; beside them the numbers of trials stay whole.
    return frame.astype({"trial": "Int64"}) if "trial" in frame and frame["trial"].hasnans else frame


def as_read(frame: pd.DataFrame) -> pd.DataFrame:
    """A table that was just made, as it would be read back: numbers that may be missing are floats with NaN."""
    gaps = [name for name in _NUMERIC_GAPS if name in frame.columns]
    return frame.assign(**{name: pd.to_numeric(frame[name]).astype(float) for name in gaps})


_NUMERIC_GAPS = (
    "accuracy",
    "accuracy_drop",
    "mean_latency_cycles",
    "mean_energy_pj",
    "mean_edp_pj_cycles",
    "edp_relative",
    "worst_latency_cycles",
    "weight_memory_bits",
    "head_weight_bits",
    "head_activation_bits",
    "policy_target",
    "violation",
    "training_samples",
    "seconds",
    "generation",
    "rung",
    "batch_size",
    "finished_seconds",
    "threshold",
    "leaving_accuracy",
    "calibration_error",
    "raw_calibration_error",
    "clock_hz",
    "mean_latency_seconds",
    "mean_energy_joules",
    "mean_edp_joule_seconds",
    "worst_latency_seconds",
    "area_mm2",
    "target",
    "accuracy_std",
    "mean_edp_pj_cycles_std",
)
