"""From a checkpoint to a folder of files, compared with the trained network and described."""

from __future__ import annotations

import dataclasses
import importlib
import json
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from hwcost.errors import OfframpError
from models.backbone import Backbone
from models.backbones.open import open_backbone
from models.checkpoint import Checkpoint, CheckpointKeys, read_checkpoint
from models.exit_policy import ExitPolicy
from models.export.compare import Format, compare_files
from models.export.cost import Placement, simulated_cost
from models.export.exactness import largest_sum
from models.export.folder import check_folder, staged
from models.export.images import EvaluationImages, evaluation_images, notes_or_images
from models.export.model_card import CardFacts, Measured, model_card
from models.export.onnx_files import write_onnx
from models.export.parts import exit_names
from models.export.torch_files import write_torch
from models.export.verdict import Comparisons, comparison_lines
from models.fold import fold_network
from models.inference import exits_taken
from models.loop import torch_threads
from models.network import EarlyExitNetwork
from models.open_checkpoint import image_channels, name_and_width, open_checkpoint
from models.source_commit import source_commit

FloatArray = npt.NDArray[np.float32]

REPORT = "export.json"
CARD = "README.md"

DEFAULT_THRESHOLD = 0.9
"""Of every exit where neither the checkpoint nor the command has a policy: a middle value of the paper's range."""


@dataclasses.dataclass(frozen=True)
class ExportRequest:
    """What to export and how to check it.

    Attributes:
        checkpoint: File to read.
        kind: Format of the files.
        out: Folder to make.
        data: Images to compare on, see `models.data.load_dataset`.
        cache: Where decoded images are kept.
        images: How many to compare at most.
        chain_images: How many of them run through the separate files one at a time.
        split_seed: Of the study that trained the network.
        placement: What the simulated cost is of.
        policy: Instead of the checkpoint's.
        backbone: Factory (`package.module:function`) of a backbone that is not one of ours. A checkpoint never names
            the code to run: whoever exports does.
        width: Factor on its channels; None takes it from the backbone's name in the checkpoint, where it is rounded.
        threads: Of the processor.
    """

    checkpoint: Path
    kind: Format
    out: Path
    data: str = "digits"
    cache: Path = Path(".cache")
    images: int = 2000
    chain_images: int = 200
    split_seed: int = 0
    placement: Placement = dataclasses.field(default_factory=Placement)
    policy: ExitPolicy | None = None
    backbone: Backbone | str | None = None
    width: float | None = None
    threads: int = 1


@dataclasses.dataclass(frozen=True)
class ExportReport:
    """What was written and how well it agrees.

    Attributes:
        folder: With the files.
        files: Their names, the model card's too.
        found: The comparisons of files, folded network and trained network.
        faults: What speaks against deploying the files, a line each.
        values: All of it as JSON values, as in `export.json`.
    """

    folder: Path
    files: tuple[str, ...]
    found: Comparisons
    faults: tuple[str, ...]
    values: dict[str, Any]

    @property
    def good(self) -> bool:
        """Whether every file does what the folded network does, and that differs from training by rounding alone."""
        return not self.faults


def export_checkpoint(request: ExportRequest) -> ExportReport:
    """Writes the files, runs them on real images, compares, and writes the model card.

    The folder appears when everything in it is finished; an earlier export in its place is replaced.

    Raises:
        OfframpError: When the checkpoint, the data, the policy or the folder cannot be used.
    """
    check_folder(request.out, REPORT)
    if request.images < 1 or request.chain_images < 1:
        raise OfframpError(
            f"expected at least one image to compare, got {min(request.images, request.chain_images)}"
        )
    with torch_threads(request.threads):
        network, checkpoint = open_checkpoint(request.checkpoint, _backbone(request))
        policy, origin = _policy(request, checkpoint)
        images = evaluation_images(
            request.data,
            checkpoint,
            network.spec.in_channels,
            request.cache,
            request.images,
            request.split_seed,
        )
        with staged(request.out) as folder:
            return _export(request, network, checkpoint, policy, origin, images, folder)


def _export(
    request: ExportRequest,
    network: EarlyExitNetwork,
    checkpoint: Checkpoint,
    policy: ExitPolicy,
    origin: str,
    images: EvaluationImages,
    folder: Path,
) -> ExportReport:
    keys = checkpoint.keys
    # Refuses an accelerator that is not there before the slow part.
    cost = simulated_cost(keys.architecture, network.spec, keys.image_size, keys.classes, request.placement)
    folded = fold_network(network, torch.from_numpy(images.images[:1]))
    described = {"backbone": keys.backbone, "architecture": json.dumps(keys.architecture.to_dict())}
    if request.kind == "torch":
        paths = write_torch(folded, folder)
    else:
        paths = write_onnx(folded, request.kind, folder, described)
    compared = compare_files(
        request.kind, paths, (network, folded), images.images, request.chain_images, policy
    )
    found, largest = compared.found, largest_sum(folded)
    faults = found.faults(paths[0].name)
    measured = _measured(compared.exported, compared.trained, images, policy)
    files = (*(path.name for path in paths), CARD, REPORT)
    notes = notes_or_images(checkpoint, images)
    versions = _versions(request.kind)
    facts = CardFacts(
        request.kind, keys, notes, policy, origin, measured, cost,
        [*comparison_lines(request.kind, found, faults), largest.line()], files, versions,
    )  # fmt: skip
    (folder / CARD).write_text(model_card(network, facts), encoding="utf-8")
    values = {
        "format": request.kind,
        "files": list(files),
        "exits": list(exit_names(network)),
        "keys": _plain(keys),
        "notes": notes.to_dict(),
        "policy": {**policy.to_dict(), "origin": origin},
        "measured": measured.to_dict(),
        "cost": cost.to_dict(),
        "good": not faults,
        "faults": faults,
        **found.to_dict(),
        "largest_sum": largest.to_dict(),
        "versions": versions,
        "commit": source_commit(),
    }
    text = json.dumps(values, indent=2) + "\n"
    (folder / REPORT).write_text(text, encoding="utf-8")
    return ExportReport(request.out, files, found, tuple(faults), json.loads(text))


def _backbone(request: ExportRequest) -> Backbone | str | None:
    """What `open_checkpoint` is given."""
    given = request.backbone
    if request.width is None or not (given is None or isinstance(given, str)):
        return given
    found = read_checkpoint(request.checkpoint)
    name, _ = name_and_width(found.keys.backbone)
    return open_backbone(given or name, request.width, image_channels(found), found.keys.image_size)


def _policy(request: ExportRequest, checkpoint: Checkpoint) -> tuple[ExitPolicy, str]:
    n_exits = checkpoint.keys.architecture.n_exits
    if request.policy is not None:
        if request.policy.n_exits != n_exits:
            raise OfframpError(
                f"expected {n_exits - 1} thresholds, one per early exit of this network, got "
                f"{request.policy.n_exits - 1}; give them in the order of the exits"
            )
        return request.policy, "given when it was exported"
    if checkpoint.policy is not None:
        return checkpoint.policy, "of the checkpoint"
    return (
        ExitPolicy.shared(DEFAULT_THRESHOLD, n_exits),
        f"an example: the checkpoint has none, {DEFAULT_THRESHOLD} everywhere was assumed",
    )


def _measured(
    exported: FloatArray, trained: FloatArray, images: EvaluationImages, policy: ExitPolicy
) -> Measured:
    """Figures from the validation split alone where it is known."""
    rows = images.of_validation if images.of_validation.any() else np.ones(len(exported), dtype=np.bool_)
    labels = images.labels[rows]
    every = np.arange(len(labels))
    correct, taken = _correct_and_taken(exported[rows], labels, policy)
    correct_before, taken_before = _correct_and_taken(trained[rows], labels, policy)
    return Measured(
        description=images.description,
        n_images=len(labels),
        exit_accuracies=correct.mean(axis=0),
        exit_ratios=np.bincount(taken, minlength=exported.shape[1]) / len(labels),
        accuracy=float(correct[every, taken].mean()),
        trained_accuracy=float(correct_before[every, taken_before].mean()),
    )


def _correct_and_taken(
    logits: FloatArray, labels: npt.NDArray[np.int64], policy: ExitPolicy
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """(n, n_exits) whether each exit is right, (n,) the exit taken."""
    return logits.argmax(axis=2) == labels[:, None], exits_taken(logits, policy)


def _plain(keys: CheckpointKeys) -> dict[str, Any]:
    return {**dataclasses.asdict(keys), "architecture": keys.architecture.to_dict()}


def _versions(kind: Format) -> list[str]:
    packages = {"torch": [], "qcdq": ["onnx", "onnxruntime"], "qonnx": ["onnx", "onnxruntime", "qonnx"]}[kind]
    return [f"{name} {_version(name)}" for name in ("torch", "brevitas", *packages)]


def _version(name: str) -> str:
    """Of a package that others may bring under another name, as onnxruntime-gpu does."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return str(getattr(importlib.import_module(name), "__version__", "of unknown version"))
