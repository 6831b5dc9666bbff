"""Networks to deploy: per design of the headline front a folder with one checkpoint a seed and a model card."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models.architecture import Architecture
from models.checkpoint import Checkpoint, read_checkpoint
from models.exit_policy import ExitPolicy
from models.export.model_card import genome_lines, threshold_text, training_lines
from models.network import Mount
from study.atomic import write_text
from study.exit_sets import columns_of
from study.record import DesignRecord
from study.refine.networks import RefinedNetworks
from study.refine.running import how_to_run
from study.refine.tables import Measured

if TYPE_CHECKING:
    import pandas as pd

FOLDER = "members"


def write_members(networks: RefinedNetworks, measured: list[Measured], refined: pd.DataFrame) -> list[Path]:
    """Writes the folders of the static reference, the best static design and the headline front.

    Args:
        networks: Where the weights are.
        measured: All designs.
        refined: `refined.csv`.

    Returns:
        The folders.
    """
    rows = {(row["role"], row["design"]): row for row in refined.to_dict("records")}
    folders = []
    for one in measured:
        design = one.design
        static = design.role in ("static_reference", "best_static")
        if not (static or design.headline):
            continue
        folder = networks.folder / FOLDER / (design.role if static else design.identifier)
        files = []
        for training, record in zip(design.trainings, one.replicates, strict=True):
            file = folder / f"seed{training.replicate}.safetensors"
            policy = policy_of(record, networks.context.config.space.score)
            trained = read_checkpoint(networks.checkpoint(training))
            with_exits_of(trained, record.genome.architecture, policy).save(file)
            files.append(file)
        row = {str(key): value for key, value in rows[design.role, design.identifier].items()}
        write_text(folder / "README.md", _card(networks, one, row, files))
        folders.append(folder)
    return folders


def policy_of(record: DesignRecord, score: Any) -> ExitPolicy:
    """When samples leave a network of one seed."""
    temperatures = np.array(record.temperatures) if record.temperatures else None
    return ExitPolicy(np.array([*record.thresholds, -math.inf]), score, temperatures)


def with_exits_of(trained: Checkpoint, architecture: Architecture, policy: ExitPolicy) -> Checkpoint:
    """A checkpoint without the heads that a design leaves out, with its policy.

    Args:
        trained: Of the network that was trained.
        architecture: Of the design: that network or one with fewer exits.
        policy: For the exits it has.
    """
    whole, last = trained.keys.architecture, architecture.n_blocks - 1
    blocks = (*architecture.exits, last)
    heads = {Mount(block, kind).name for block, kind in zip(blocks, architecture.heads, strict=True)}
    tensors = {
        name: tensor
        for name, tensor in trained.tensors.items()
        if not name.startswith("heads.") or name.split(".")[1] in heads
    }
    notes = trained.notes
    if notes is not None and notes.validation_accuracies:
        columns = columns_of(whole, architecture.exits)
        notes = replace(notes, validation_accuracies=tuple(notes.validation_accuracies[i] for i in columns))
    return Checkpoint(replace(trained.keys, architecture=architecture), tensors, notes, policy)


def _card(networks: RefinedNetworks, one: Measured, row: dict[str, Any], files: list[Path]) -> str:
    found = read_checkpoint(files[0])
    keys, context = found.keys, networks.context
    assert found.notes is not None
    points = [f"{100 * row[key]:.2f}" for key in ("accuracy", "accuracy_low", "accuracy_high")]
    drop = [f"{100 * row[f'accuracy_drop{end}']:+.2f}" for end in ("", "_low", "_high")]
    spread = (
        "" if len(files) == 1 else f" (standard deviation over seeds {100 * row['accuracy_std']:.2f} points)"
    )
    return "\n".join(
        [
            f"# Early-exit network {row['design']} on {keys.backbone}",
            "",
            f"Image classifier ({keys.classes} classes) that stops at the first exit that is sure enough. "
            f"Quantized; {len(files)} trainings with seeds of their own, with temperatures and thresholds inside: "
            f"{', '.join(f'`{file.name}`' for file in files)}.",
            "",
            f"## Results on the {row['split']} split",
            "",
            f"Accuracy {points[0]} %{spread}, 95 % interval {points[1]} to {points[2]} %; {drop[0]} points below the "
            f"static reference (95 % interval {drop[1]} to {drop[2]}), by a bootstrap over images and seeds. The "
            "design was chosen on the validation split.",
            "",
            f"Mean over images and seeds, simulated on `{context.hardware.accelerator.name}` with the PE arrays "
            f"{row['pe_arrays']} at the level `{row['level']}`, not measured on silicon: latency "
            f"{row['mean_latency_cycles'] / 1e3:.1f} kcycles, energy {row['mean_energy_pj'] / 1e6:.2f} uJ, "
            f"energy-latency product {row['edp_relative']:.1%} of the static reference's.",
            "",
            *_exit_table(one),
            "",
            "## Genome",
            "",
            *genome_lines(keys),
            f"- PE array of each core: {row['pe_arrays']}",
            f"- policy: `{context.config.space.score}`, target {row['policy_target']:g}",
            "",
            "## Data and training",
            "",
            *training_lines(keys, found.notes),
            f"- {networks.recipe.epochs:g} epochs of quantization-aware training from the float network of the study",
            "",
            "## How to run",
            "",
            *how_to_run(context, one.design.genome, files[0], found),
            "",
        ]
    )


def _exit_table(one: Measured) -> list[str]:
    """Thresholds and where images leave, a line for every seed and exit."""
    architecture = one.design.genome.architecture
    blocks = [*map(str, architecture.exits), "final"]
    lines = [
        "| seed | exit | head | threshold | temperature | leave here | accuracy if all left here |",
        "|---|---|---|---|---|---|---|",
    ]
    for training, record in zip(one.design.trainings, one.replicates, strict=True):
        temperatures = record.temperatures or (1.0,) * len(blocks)
        thresholds = [threshold_text(t) for t in record.thresholds]
        for index, threshold in enumerate([*thresholds, "takes the rest"]):
            cells = [
                str(training.replicate), blocks[index], architecture.heads[index], threshold,
                f"{temperatures[index]:.4g}", f"{record.exit_ratios[index]:.1%}",
                f"{record.exit_accuracies[index]:.2%}",
            ]  # fmt: skip
            lines.append(f"| {' | '.join(cells)} |")
    return lines
