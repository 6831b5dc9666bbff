"""Random allocations, changed chips and single figures for tests of whole evaluations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hwcost.chip.accelerator import Accelerator
from hwcost.chip.link import Link, LinkBetween
from hwcost.stage_costs import StageCosts


def allocations_of(accelerator: Accelerator, n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    drawn = np.stack([rng.integers(0, len(c), 50 * n) for c in accelerator.catalogues], axis=1)
    return drawn[accelerator.n_pes(drawn).sum(axis=1) <= accelerator.pe_budget][:n]


def leaking(accelerator: Accelerator) -> Accelerator:
    cores = tuple(replace(c, leakage_w=0.02, leakage_w_per_pe=2e-5) for c in accelerator.compute_cores)
    return replace(accelerator, compute_cores=cores)


def with_link(chip: Accelerator, a: int, b: int, link: Link) -> Accelerator:
    names = [core.name for core in chip.compute_cores]
    kept = tuple(between for between in chip.links_between if not between.joins(names[a], names[b]))
    return replace(chip, links_between=(*kept, LinkBetween((names[a], names[b]), link)))


def score(costs: StageCosts, objective: str) -> np.ndarray:
    latency, energy = costs.latency_cycles[:, -1], costs.energy_pj[:, -1]
    return {"latency": latency, "energy": energy, "edp": latency * energy}[objective]
