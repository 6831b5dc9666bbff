"""A run's folder with made-up but consistent numbers: costs add up, exit ratios sum to 1, the front is a front."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tomli_w

N_BLOCKS = 12
BITS = (2, 3, 4, 6, 8)
ARRAYS = ("4x4x2x2", "8x8x4x4", "16x4x4x4", "32x2x4x4")
LEVELS = ("mac", "register", "sram", "dram", "link")
HEADS = ("fc", "fc_hidden", "gap")


def write_run(
    folder: Path,
    trials: int = 40,
    derived: int = 3,
    seed: int = 0,
    name: str = "synthetic",
    data_name: str = "CIFAR-10 (JPEG copy)",
    core_prefix: str = "edge_tpu",
    feasible_share: float = 0.9,
    all_on_front: bool = False,
) -> Path:
    """Writes the files of a run.

    Args:
        folder: To write into; made.
        trials: Rows of `trials.csv`; every tenth fails.
        derived: Further designs of each trained network.
        seed: Of the made-up numbers.
        name: Of the study.
        data_name: Of the images.
        core_prefix: Of the cores' names.
        feasible_share: Of the designs.
        all_on_front: Whether every feasible design is listed as a member of the front, for sizes and times.
    """
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    static = _design(rng, "static", 0, static=True, core_prefix=core_prefix)
    best_static = static["row"] | {
        "edp_relative": 0.86,
        "heads": "gap",
        "pe_arrays": " ".join(["16x4x4x4"] * 4),
    }
    for key in ("mean_latency_cycles", "worst_latency_cycles"):
        best_static[key] = 0.86 * static["row"][key]
    best_static["mean_edp_pj_cycles"] = 0.86 * static["row"]["mean_edp_pj_cycles"]
    best_static["accuracy"] -= 0.001
    best_static["accuracy_drop"] = 0.001

    designs, rows = [], []
    for trial in range(trials):
        common = {"trial": trial, "state": "FAIL" if trial % 10 == 9 else "COMPLETE"}
        if common["state"] == "FAIL":
            rows.append(common | {"failure": "loss is not finite"})
            continue
        for copy in range(1 + derived):
            design = _design(rng, f"{trial:06x}{copy:06x}", trial, static=False, core_prefix=core_prefix)
            row = design["row"]
            row["edp_relative"] = row["mean_edp_pj_cycles"] / static["row"]["mean_edp_pj_cycles"]
            row["accuracy_drop"] = static["row"]["accuracy"] - row["accuracy"]
            row["feasible"] = bool(rng.random() < feasible_share)
            row["violation"] = 0.0 if row["feasible"] else 0.1
            row["source"] = "derived" if copy else "proposed"
            designs.append(design)
            if not copy:
                rows.append(common | row | {"generation": trial // 8, "finished_seconds": 30.0 * (trial + 1)})
    front = [(d, True) for d in designs if d["row"]["feasible"]] if all_on_front else _front(designs)
    _write_tables(folder, rows, designs, front)
    _write_curves(folder, front, static["row"]["mean_edp_pj_cycles"])
    _write_reliability(folder, front)
    _write_refined(folder, static["row"], best_static, front)
    reference = static["row"] | {"trained": "jointly", "accuracy_alone": 0.80, "accuracy_jointly": 0.81}
    reference |= {"edp_relative": 1.0, "accuracy_drop": 0.0, "best_static": best_static}
    (folder / "static_reference.json").write_text(json.dumps(reference), encoding="utf-8")
    environment = {
        "command": "python -m study.run --preset cifar10-small --data cifar10.tar.xz",
        "commit": "0123456789abcdef0123456789abcdef01234567",
        "versions": {"python": "3.11.9", "torch": "2.13.0"},
        "machine": {"system": "Linux", "processor": "Example CPU @ 2.50GHz", "cores": 2, "device": "cpu"},
        "seeds": {"study": seed, "splits": 0},
        "data": {"name": data_name, "sha256": "00", "validation": 5000, "classes": ["a", "b"]},
    }
    (folder / "environment.json").write_text(json.dumps(environment), encoding="utf-8")
    config = {
        "run": {"name": name},
        "backbone": {"name": "paper", "width": 0.25},
        "hardware": {"accelerator": "edge_tpu_quad"},
    }
    (folder / "config.toml").write_text(tomli_w.dumps(config), encoding="utf-8")
    return folder


def _design(rng: np.random.Generator, name: str, trial: int, static: bool, core_prefix: str) -> dict:
    n_exits = 0 if static else int(rng.integers(0, 5))
    exits = sorted(rng.choice(10, size=n_exits, replace=False).tolist())
    heads = [*rng.choice(HEADS, size=n_exits).tolist(), "fc" if static else str(rng.choice(HEADS))]
    bits = (
        [8] * N_BLOCKS if static else rng.choice(BITS, size=N_BLOCKS, p=[0.1, 0.15, 0.35, 0.2, 0.2]).tolist()
    )
    act = (
        [8] * N_BLOCKS
        if static
        else rng.choice(BITS, size=N_BLOCKS, p=[0.05, 0.1, 0.35, 0.25, 0.25]).tolist()
    )
    arrays = ["8x8x4x4"] * 4 if static else rng.choice(ARRAYS, size=4).tolist()
    layers = _layers(rng, exits, heads, bits, act, arrays, core_prefix)
    by_segment = layers.groupby("segment")[["latency_cycles", "energy_pj"]].sum().cumsum()
    latency, energy = by_segment["latency_cycles"].to_numpy(), by_segment["energy_pj"].to_numpy()

    stay = 1.0
    ratios = []
    for block in exits:
        ratios.append(stay * float(rng.uniform(0.1, 0.25 + 0.05 * block)))
        stay -= ratios[-1]
    ratios.append(stay)
    quality = (
        0.81 + 0.012 * (not static) - 0.008 * (8 - float(np.mean(bits))) - 0.004 * (8 - float(np.mean(act)))
    )
    alone = [quality - 0.03 * (11 - block) * float(rng.uniform(0.6, 1.2)) for block in (*exits, 11)]
    leaving = [min(0.99, a + 0.15 * (1 - i / len(alone))) for i, a in enumerate(alone)]
    accuracy = quality - 0.015 * sum(ratios[:-1]) + float(rng.normal(0, 0.004)) * (not static)
    ratio = np.array(ratios)
    row = {
        "design": name, "trial": trial, "state": "COMPLETE", "feasible": True, "source": "proposed",
        "split": "validation", "accuracy": round(accuracy * 5000) / 5000, "accuracy_drop": 0.0,
        "mean_latency_cycles": float(ratio @ latency), "mean_energy_pj": float(ratio @ energy),
        "mean_edp_pj_cycles": float(ratio @ (latency * energy)), "edp_relative": 1.0,
        "worst_latency_cycles": float(latency[-1]),
        "weight_memory_bits": int(sum(40_000 * b for b in bits)),
        "exits": " ".join(map(str, exits)), "heads": " ".join(heads), "weight_bits": " ".join(map(str, bits)),
        "activation_bits": " ".join(map(str, act)), "head_weight_bits": 8, "head_activation_bits": 8,
        "pe_arrays": " ".join(arrays), "policy_target": 0.01, "violation": 0.0, "training_samples": 100_000,
        "seconds": 40.0, "architecture": name,
    }  # fmt: skip
    points = pd.DataFrame(
        {
            "design": name, "trial": trial, "exit": range(len(ratios)), "block": [*exits, 11], "head": heads,
            "threshold": [*rng.uniform(0.6, 0.98, n_exits), None], "ratio": ratios,
            "leaving_accuracy": leaving, "exit_accuracy": alone, "latency_cycles": latency, "energy_pj": energy,
            "edp_pj_cycles": latency * energy, "split": "validation", "temperature": 1.0,
            "calibration_error": rng.uniform(0.01, 0.05, len(ratios)), "raw_calibration_error": 0.06,
        }
    )  # fmt: skip
    return {"row": row, "exits": points, "layers": layers.assign(design=name, trial=trial)}


def _layers(
    rng: np.random.Generator,
    exits: list[int],
    heads: list[str],
    bits: list[int],
    act: list[int],
    arrays: list[str],
    core_prefix: str,
) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []

    def add(layer: str, op: str, segment: int, head: bool, macs: int, weight: int, activation: int) -> None:
        core = int(rng.integers(4))
        energy = {
            "mac": 0.02 * macs * weight / 8,
            "register": 0.01 * macs,
            "sram": 0.02 * macs * activation / 8 + 20_000,
            "dram": 2_000.0 * weight * 8,
            "link": float(rng.uniform(0, 3_000)),
        }
        rows.append(
            {
                "layer": layer, "op": op, "segment": segment, "head": head, "core": f"{core_prefix}_{core}",
                "pe_array": arrays[core], "macs": macs, "weight_bits": weight, "input_bits": activation,
                "output_bits": activation, "start_cycles": sum(r["latency_cycles"] for r in rows),
                "latency_cycles": macs / 700 + float(rng.uniform(500, 2_000)),
                "energy_pj": sum(energy.values()), **{f"energy_{k}_pj": v for k, v in energy.items()},
            }
        )  # fmt: skip

    segment = 0
    add("stem", "conv", 0, False, 500_000, 8, 8)
    for block in range(N_BLOCKS):
        width = 1_000_000 * (1 + block % 5)
        if block:
            add(f"b{block}.expand", "conv", segment, False, width, bits[block], act[block])
        add(f"b{block}.depthwise", "conv", segment, False, width // 4, bits[block], act[block])
        add(f"b{block}.project", "conv", segment, False, width, bits[block], act[block])
        if block in exits:
            add(f"exit{block}.pool", "pool", segment, True, 0, 8, 8)
            add(f"exit{block}.{heads[segment]}", "linear", segment, True, 40_000, 8, 8)
            segment += 1
    add("final.pool", "pool", segment, True, 0, 8, 8)
    add("final.fc", "linear", segment, True, 50_000, 8, 8)
    return pd.DataFrame(rows)


def _front(designs: list[dict]) -> list[tuple[dict, bool]]:
    """Members in three objectives with their mark for two; plain loops."""

    def beats(a: dict, b: dict, keys: tuple[str, ...]) -> bool:
        pairs = [(-a["accuracy"], -b["accuracy"]), *((a[k], b[k]) for k in keys)]
        return all(x <= y for x, y in pairs) and any(x < y for x, y in pairs)

    pool = [d for d in designs if d["row"]["feasible"]]
    members = []
    for design in pool:
        marks = [
            not any(beats(o["row"], design["row"], keys) for o in pool)
            for keys in (("mean_latency_cycles", "mean_energy_pj"), ("mean_edp_pj_cycles",))
        ]
        if any(marks):
            members.append((design, marks[1]))
    return members


def _write_tables(
    folder: Path, rows: list[dict], designs: list[dict], front: list[tuple[dict, bool]]
) -> None:
    header = pd.DataFrame(designs[0]["row"], index=[0]).iloc[:0] if designs else pd.DataFrame()
    trials = pd.DataFrame(rows)
    pareto = pd.DataFrame([d["row"] | {"headline": mark} for d, mark in front])
    tables = {
        "trials": trials.drop(columns=["design"], errors="ignore"),
        "designs": pd.DataFrame([d["row"] for d in designs]),
        "pareto": pareto if len(pareto) else header.assign(headline=pd.Series(dtype=bool)),
        "exits": pd.concat([d["exits"] for d, _ in front]) if front else designs[0]["exits"].iloc[:0],
        "layers": pd.concat([d["layers"] for d, _ in front]) if front else designs[0]["layers"].iloc[:0],
    }
    for name, frame in tables.items():
        frame.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")


def _write_curves(folder: Path, front: list[tuple[dict, bool]], reference: float) -> None:
    """More and more samples leave at the first exits; costs follow from the ratios."""
    rows = []
    for design, _ in front:
        exits = design["exits"]
        if len(exits) < 2:
            continue
        latency, energy = exits["latency_cycles"].to_numpy(), exits["energy_pj"].to_numpy()
        alone = exits["exit_accuracy"].to_numpy()
        for curve, n_points in (("shared", 33), ("per_exit", 19)):
            for point in range(n_points):
                leave = 1 - point / (n_points - 1) if curve == "shared" else point / (n_points - 1)
                ratios = np.array([*(leave * (1 - leave) ** i for i in range(len(exits) - 1)), 0.0])
                ratios[-1] = 1 - ratios.sum()
                product = float(ratios @ (latency * energy))
                rows.append(
                    {
                        "design": design["row"]["design"], "trial": design["row"]["trial"], "curve": curve,
                        "point": point, "target": point / 18 if curve == "per_exit" else None,
                        "thresholds": " ".join(["inf" if leave == 0 else f"{1 - leave:.4f}"] * (len(exits) - 1)),
                        "ratios": " ".join(f"{r:.6g}" for r in ratios), "accuracy": float(ratios @ alone),
                        "mean_latency_cycles": float(ratios @ latency), "mean_energy_pj": float(ratios @ energy),
                        "mean_edp_pj_cycles": product, "edp_relative": product / reference, "split": "validation",
                    }
                )  # fmt: skip
    pd.DataFrame(rows).to_csv(folder / "policy_curves.csv", index=False, lineterminator="\n")


def _write_reliability(folder: Path, front: list[tuple[dict, bool]]) -> None:
    rows = []
    for name, exits in {d["row"]["architecture"]: d["exits"] for d, _ in front}.items():
        for index, block in enumerate(exits["block"]):
            for number in range(15):
                confidence = 0.3 + 0.7 * (number + 0.5) / 15
                place = {"architecture": name, "exit": index, "block": block, "bin": number, "samples": 333}
                rows.append(
                    place | {"confidence": confidence, "accuracy": confidence**1.2, "split": "validation"}
                )
    pd.DataFrame(rows).to_csv(folder / "reliability.csv", index=False, lineterminator="\n")


def _write_refined(
    folder: Path, static: dict, best_static: dict, front: list[tuple[dict, bool]], gain: float = 0.02
) -> None:
    """Everything a little better than in the search, three seeds each."""
    fixed = [(static, "static_reference", False), (best_static, "best_static", False)]
    rows = []
    for row, role, mark in [*fixed, *((d["row"], "member", mark) for d, mark in front)]:
        drop = static["accuracy"] - row["accuracy"]
        rows.append(
            row
            | {
                "accuracy": row["accuracy"] + gain, "accuracy_drop": drop, "split": "test", "headline": mark,
                "role": role, "seeds": 3, "accuracy_std": 0.002, "accuracy_low": row["accuracy"] + gain - 0.005,
                "accuracy_high": row["accuracy"] + gain + 0.005, "accuracy_drop_low": drop - 0.004,
                "accuracy_drop_high": drop + 0.003, "mean_edp_pj_cycles_std": 1.0,
                "validation_accuracy": row["accuracy"],
            }
        )  # fmt: skip
    pd.DataFrame(rows).to_csv(folder / "refined.csv", index=False, lineterminator="\n")


def write_gaps(folder: Path) -> None:
    """Rewrites a run's tables with what real ones may lack: static designs are of no trial, batches were not noted,
    an error was not measured."""
    refined, exits = (
        pd.read_csv(folder / f"{name}.csv", keep_default_na=False, dtype=str) for name in ("refined", "exits")
    )
    refined["trial"] = ["", "", *map(str, range(2, len(refined)))]
    refined["rung"] = "0"
    refined["batch_size"] = ["", *["64"] * (len(refined) - 1)]
    exits.loc[0, ["calibration_error", "raw_calibration_error"]] = ""
    for name, frame in (("refined", refined), ("exits", exits)):
        frame.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")
