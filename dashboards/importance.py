"""Which genes the results depend on: permutation importance of a random forest over all feasible designs.

A forest is fitted to the genes of four fifths of the networks and shuffles one gene at a time among the designs of
the last fifth; what its error grows by is the gene's importance (Breiman 2001, "Random forests"), here as a share of
the variance. Designs that share a network are never on both sides. Five such splits; their mean is shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from dashboards.members import ReportData, ints, records

FEWEST_NETWORKS = 10
"""Fewer say nothing about some forty genes."""

MOST_DESIGNS = 1000
_FOLDS, _TREES, _REPEATS = 5, 50, 3


@dataclass(frozen=True)
class GeneImportance:
    """Importances for one result.

    Attributes:
        genes: Names, the most important first.
        importance: Growth of the squared error when the gene is shuffled, as a share of the variance.
        spread: Standard deviation over splits.
        explained: Share of the variance of held-out networks that the forest explains; at most 1, below 0 when it
            is worse than the mean.
        designs: Designs it was computed from.
        networks: Networks among them.
    """

    genes: tuple[str, ...]
    importance: tuple[float, ...]
    spread: tuple[float, ...]
    explained: float
    designs: int
    networks: int


def gene_table(designs: pd.DataFrame) -> pd.DataFrame:
    """Genes of each design as numbers, one column a gene; genes with one value are left out."""
    rows = []
    for row in records(designs):
        exits, heads = ints(row["exits"]), str(row["heads"]).split()
        genes: dict[str, Any] = {"number of early exits": len(exits)}
        genes |= {f"exit after block {block}": heads[i] for i, block in enumerate(exits)}
        genes["final head"] = heads[-1] if heads else ""
        genes |= {f"weight bits, block {b}": bits for b, bits in enumerate(ints(row["weight_bits"]))}
        genes |= {f"activation bits, block {b}": bits for b, bits in enumerate(ints(row["activation_bits"]))}
        for name in ("head_weight_bits", "head_activation_bits", "policy_target"):
            if name in row:
                genes[name.replace("_", " ")] = row[name]
        if "level" in row:
            genes["voltage and frequency level"] = str(row["level"])
        genes |= {f"PE array, core {core}": array for core, array in enumerate(str(row["pe_arrays"]).split())}
        rows.append(genes)
    table = pd.DataFrame(rows, index=designs.index)
    # Words become their rank; the order means nothing to a forest that may split twice.
    codes = {
        name: pd.factorize(column.fillna("none").astype(str), sort=True)[0]
        if column.dtype == object or pd.api.types.is_string_dtype(column)
        else column.fillna(-1.0)
        for name, column in table.items()
    }
    numbers = pd.DataFrame(codes, index=designs.index).astype(float)
    return numbers.loc[:, numbers.nunique() > 1]


def gene_importance(data: ReportData, column: str, seed: int = 0) -> GeneImportance | None:
    """Importances for `accuracy` or, on a logarithmic scale, a cost; None where there are too few networks."""
    designs = data.leading
    # Designs of one training are alike whatever exits they keep; runs of earlier versions do not tell them apart.
    column_of_network = "network" if "network" in designs.columns else "architecture"
    if column_of_network not in designs.columns or designs[column_of_network].nunique() < FEWEST_NETWORKS:
        return None
    if len(designs) > MOST_DESIGNS:
        designs = designs.sample(MOST_DESIGNS, random_state=seed)
    table = gene_table(designs)
    values = designs[column].to_numpy(dtype=float)
    target = values if column == "accuracy" else np.log(np.maximum(values, 1e-300))
    if not len(table.columns) or not target.std():
        return None
    growth, explained = _held_out(table.to_numpy(), target, designs[column_of_network].to_numpy(), seed)
    mean, spread = growth.mean(axis=0), growth.std(axis=0)
    order = np.argsort(-mean, kind="stable")
    return GeneImportance(
        genes=tuple(str(table.columns[i]) for i in order),
        importance=tuple(float(mean[i]) for i in order),
        spread=tuple(float(spread[i]) for i in order),
        explained=explained,
        designs=len(designs),
        networks=int(designs[column_of_network].nunique()),
    )


def _held_out(
    genes: np.ndarray, target: np.ndarray, group: np.ndarray, seed: int
) -> tuple[np.ndarray, float]:
    """(n_folds, n_genes) growth of the error, and the share of the variance explained, both on held-out networks."""
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.model_selection import GroupKFold

    growth, errors = [], np.empty(len(target))
    for fold, (inside, outside) in enumerate(GroupKFold(_FOLDS).split(genes, target, group)):
        forest = RandomForestRegressor(_TREES, max_features=0.5, random_state=seed + fold, n_jobs=1)
        forest.fit(genes[inside], target[inside])
        errors[outside] = (forest.predict(genes[outside]) - target[outside]) ** 2
        shuffled = _shuffled(genes[outside], np.random.default_rng(seed + fold))
        predicted = forest.predict(shuffled.reshape(-1, genes.shape[1])).reshape(shuffled.shape[:-1])
        growth.append(((predicted - target[outside]) ** 2).mean(axis=(0, 2)) - errors[outside].mean())
    variance = float(target.var())
    return np.array(growth) / variance, 1.0 - float(errors.mean()) / variance


def _shuffled(genes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(n_repeats, n_genes, n_designs, n_genes): copies of the table, each with one gene shuffled; one call predicts
    them all, where a call for each would spend its time on calling."""
    n_designs, n_genes = genes.shape
    copies = np.broadcast_to(genes, (_REPEATS, n_genes, n_designs, n_genes)).copy()
    for repeat in range(_REPEATS):
        for gene in range(n_genes):
            copies[repeat, gene, :, gene] = rng.permutation(genes[:, gene])
    return copies
