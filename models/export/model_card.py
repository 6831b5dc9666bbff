"""The model card: what a network is, what it was measured to do, and how to run it. Markdown."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from models.checkpoint import CheckpointKeys
from models.checkpoint_notes import CheckpointNotes
from models.exit_policy import LARGEST_THRESHOLD, ExitPolicy
from models.export.cost import SimulatedCost
from models.export.parts import exit_names
from models.export.usage import usage
from models.network import EarlyExitNetwork


@dataclasses.dataclass(frozen=True, eq=False)
class Measured:
    """What the exported network did on real images.

    Attributes:
        description: What the images are.
        n_images: How many the figures are from.
        exit_accuracies: (n_exits,) if all left there.
        exit_ratios: (n_exits,) under the policy.
        accuracy: Under the policy.
        trained_accuracy: The same of the network as it was trained.
    """

    description: str
    n_images: int
    exit_accuracies: npt.NDArray[np.float64]
    exit_ratios: npt.NDArray[np.float64]
    accuracy: float
    trained_accuracy: float

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "description": self.description,
            "n_images": self.n_images,
            "exit_accuracies": self.exit_accuracies.tolist(),
            "exit_ratios": self.exit_ratios.tolist(),
            "accuracy": self.accuracy,
            "trained_accuracy": self.trained_accuracy,
        }


@dataclasses.dataclass(frozen=True, eq=False)
class CardFacts:
    """Everything a model card tells.

    Attributes:
        kind: Format of the files.
        keys: Of the checkpoint.
        notes: Of the training.
        policy: When samples leave.
        policy_origin: Where the policy is from, in words.
        measured: On real images.
        cost: On a simulated accelerator.
        agreement: Lines on how well the files agree with the trained network.
        files: Names of the files.
        versions: Of the packages, as `name version`.
    """

    kind: str
    keys: CheckpointKeys
    notes: CheckpointNotes
    policy: ExitPolicy
    policy_origin: str
    measured: Measured
    cost: SimulatedCost
    agreement: Sequence[str]
    files: Sequence[str]
    versions: Sequence[str]


def threshold_text(threshold: float) -> str:
    """For people: `never` and `all` where nobody or everybody leaves, for which the ends of the number line stand."""
    if abs(threshold) > LARGEST_THRESHOLD:
        return "never" if threshold > 0 else "all"
    return f"{threshold:.6g}"


def model_card(network: EarlyExitNetwork, facts: CardFacts) -> str:
    """The model card as Markdown text.

    Args:
        network: The trained network.
        facts: What to tell of it.
    """
    keys, measured = facts.keys, facts.measured
    latency, energy, product = facts.cost.mean_over_static(measured.exit_ratios)
    shape = f"{network.spec.in_channels} x {keys.image_size} x {keys.image_size}"
    return "\n".join(
        [
            f"# Early-exit network on {keys.backbone}",
            "",
            f"Image classifier ({keys.classes} classes) that stops at the first exit that is sure enough. "
            f"Quantized; exported as {facts.kind}.",
            "",
            "## Exits",
            "",
            *_exit_table(network, facts),
            "",
            f"Accuracy under the policy: {_percent(measured.accuracy)} of these files, "
            f"{_percent(measured.trained_accuracy)} of the network as it was trained. "
            f"Images: {measured.description}; the table is of {measured.n_images} of them. "
            "The accuracy of an exit is that of all images, had they left there.",
            "",
            f"Policy: {_policy(facts.policy)} {facts.policy_origin}.",
            "",
            "## Cost",
            "",
            f"Simulated on `{facts.cost.accelerator}` with the PE arrays {' '.join(facts.cost.pe_arrays)} at the "
            f"level `{facts.cost.level}`, latency in cycles of the nominal clock; not measured on silicon. Mean over "
            f"these images relative to the static 8-bit network on the default arrays at the nominal level: latency "
            f"{latency:.3f}, energy {energy:.3f}, energy-latency product {product:.3f}.",
            "",
            "## Genome",
            "",
            *genome_lines(keys),
            "",
            "## Data and training",
            "",
            *training_lines(keys, facts.notes),
            "",
            "## Agreement with the trained network",
            "",
            *facts.agreement,
            "",
            "## How to run",
            "",
            *usage(facts.kind, shape, facts.notes, exit_names(network), facts.policy),
            "",
            f"Files: {', '.join(f'`{name}`' for name in facts.files)}.",
            "",
            f"Versions: {', '.join(facts.versions)}.",
            "",
        ]
    )


def _exit_table(network: EarlyExitNetwork, facts: CardFacts) -> list[str]:
    rows = [
        "| exit | head | threshold | temperature | accuracy | leave here | latency, kcycles | energy, uJ | MACs, M |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    temperatures = facts.policy.temperatures
    assert temperatures is not None
    for index, (name, mount) in enumerate(zip(exit_names(network), network.mounts, strict=True)):
        threshold = facts.policy.thresholds[index]
        shown = "takes the rest" if threshold == -math.inf else threshold_text(threshold)
        cells = [
            f"`{name}`",
            mount.kind,
            shown,
            f"{temperatures[index]:.4g}",
            _percent(facts.measured.exit_accuracies[index]),
            _percent(facts.measured.exit_ratios[index]),
            f"{facts.cost.latency_cycles[index] / 1e3:.1f}",
            f"{facts.cost.energy_pj[index] / 1e6:.2f}",
            f"{facts.cost.macs[index] / 1e6:.2f}",
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def _policy(policy: ExitPolicy) -> str:
    texts = {
        "max_softmax": "leave when the highest probability reaches the exit's threshold",
        "entropy": "leave when minus the entropy (nats) reaches the exit's threshold",
        "margin": "leave when the highest minus the second highest probability reaches the exit's threshold",
        "patience": "leave when so many exits before this one predicted the same class",
    }
    softened = "probabilities are of logits divided by the exit's temperature"
    return f"`{policy.score}`, {texts[policy.score]}; {softened};"


def genome_lines(keys: CheckpointKeys) -> list[str]:
    """Lines of a Markdown list on what the network is made of."""
    architecture = keys.architecture
    exits = ", ".join(str(block) for block in architecture.exits) or "none: a static network"
    return [
        f"- backbone: {keys.backbone}, images of {keys.image_size} x {keys.image_size}",
        f"- early exits after blocks: {exits}",
        f"- heads, the final one last: {', '.join(architecture.heads)}",
        f"- weight bits per block: {' '.join(map(str, architecture.weight_bits))}",
        f"- activation bits per block: {' '.join(map(str, architecture.activation_bits))}",
        f"- early heads: {architecture.head_weight_bits}-bit weights, "
        f"{architecture.head_activation_bits}-bit activations; stem and final head: 8",
    ]


def training_lines(keys: CheckpointKeys, notes: CheckpointNotes) -> list[str]:
    """Lines of a Markdown list on where its weights come from."""
    accuracies = " ".join(_percent(accuracy) for accuracy in notes.validation_accuracies)
    return [
        f"- data: {notes.data_name or 'not recorded'}"
        + (f" ({notes.archive_name})" if notes.archive_name else "")
        + (f", decoded images SHA-256 `{notes.content_sha256}`" if notes.content_sha256 else ""),
        f"- splits and augmentation: `{keys.data or 'not recorded'}`; recipe: `{keys.recipe or 'not recorded'}`",
        f"- validation accuracy of each exit, measured after training: {accuracies or 'not recorded'}",
        f"- commit of the training: {notes.commit or 'not recorded'}",
        "- neither the validation split, which chose between designs, nor the calibration split, which chose "
        "thresholds, is a test set",
    ]


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.2f} %"
