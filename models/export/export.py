"""From a checkpoint to a folder of files, compared with the trained network and described."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from hwcost.errors import OfframpError
from models.backbone import Backbone
from models.checkpoint import Checkpoint, CheckpointKeys
from models.exit_policy import ExitPolicy
from models.export.agreement import Agreement, ChainAgreement, compare_chain, compare_logits
from models.export.cost import simulated_cost
from models.export.folder import check_folder, staged
from models.export.images import EvaluationImages, evaluation_images, notes_or_images
from models.export.model_card import CardFacts, Measured, model_card
from models.export.onnx_files import write_onnx
from models.export.parts import exit_names
from models.export.runtimes import ChainedParts, OnnxPart, QonnxPart, Runner, TorchPart, qonnx_to_qcdq
from models.export.torch_files import write_torch
from models.export.words import agreement_lines
from models.fold import fold_network
from models.inference import exits_taken
from models.loop import torch_threads
from models.network import EarlyExitNetwork
from models.open_checkpoint import open_checkpoint

FloatArray = npt.NDArray[np.float32]
Format = Literal["qonnx", "qcdq", "torch"]
FORMATS: tuple[Format, ...] = ("qonnx", "qcdq", "torch")

REPORT = "export.json"
CARD = "README.md"
BATCH = 128
BASELINE_IMAGES = 500
"""Images that PyTorch runs in float64 too: that takes twice as long."""

EXECUTOR_IMAGES = 4
"""Images that qonnx's own executor runs: it takes up to a second for each."""

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
        accelerator: For the simulated cost.
        policy: Instead of the checkpoint's.
        backbone: Factory (`package.module:function`) of a backbone that is not one of ours. A checkpoint never names
            the code to run: whoever exports does.
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
    accelerator: str = "edge_tpu_quad"
    policy: ExitPolicy | None = None
    backbone: Backbone | str | None = None
    threads: int = 1


@dataclasses.dataclass(frozen=True)
class ExportReport:
    """What was written and how well it agrees.

    Attributes:
        folder: With the files.
        files: Their names, the model card's too.
        agreement: Of the whole network in its runtime with the folded network in PyTorch.
        folding: Of the folded network with the trained one, both in PyTorch.
        chain: Of the separate files, run one image at a time and stopped.
        baseline: Of the trained network with itself, float32 against float64: differences that no export causes.
        executor: Of QONNX files in qonnx's own executor; None for other formats.
        values: All of it as JSON values, as in `export.json`.
    """

    folder: Path
    files: tuple[str, ...]
    agreement: Agreement
    folding: Agreement
    chain: ChainAgreement
    baseline: Agreement
    executor: Agreement | None
    values: dict[str, Any]

    @property
    def good(self) -> bool:
        """Whether the files do what the folded network does, and that differs from training by rounding alone.

        Rounding moves as many images as it does when the trained network itself is run in float64; four times as
        many, and one in a hundred more, are something else.
        """
        allowed = 1 - 4 * (1 - self.baseline.same_exit) - 0.01
        return self.agreement.good and self.folding.same_exit >= allowed


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
        network, checkpoint = open_checkpoint(request.checkpoint, request.backbone)
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
    cost = simulated_cost(keys.architecture, network.spec, keys.image_size, keys.classes, request.accelerator)
    folded = fold_network(network, torch.from_numpy(images.images[:1]))
    described = {"backbone": keys.backbone, "architecture": json.dumps(keys.architecture.to_dict())}
    if request.kind == "torch":
        paths = write_torch(folded, folder)
    else:
        paths = write_onnx(folded, request.kind, folder, described)
    trained = torch_logits(network, images.images)
    reference = torch_logits(folded, images.images)
    n_chain = min(request.chain_images, len(images.images))
    chained = images.images[:n_chain]
    with tempfile.TemporaryDirectory() as scratch:
        runners = _runners(request.kind, paths, Path(scratch))
        logits = np.stack(runners[0](images.images), axis=1)  # (n, n_exits, classes)
        chain = compare_chain(
            ChainedParts(runners[1::2], runners[2::2]), chained, reference[:n_chain], policy
        )
    agreement = compare_logits(reference, logits, policy)
    folding = compare_logits(trained, reference, policy)
    baseline = compare_logits(
        trained[:BASELINE_IMAGES], exact_logits(network, images.images[:BASELINE_IMAGES]), policy
    )
    executor = None
    if request.kind == "qonnx":
        few = images.images[:EXECUTOR_IMAGES]
        executor = compare_logits(reference[: len(few)], np.stack(QonnxPart(paths[0])(few), axis=1), policy)
    measured = _measured(logits, trained, images, policy)
    cost = simulated_cost(keys.architecture, network.spec, keys.image_size, keys.classes, request.accelerator)
    files = (*(path.name for path in paths), CARD, REPORT)
    notes = notes_or_images(checkpoint, images)
    versions = _versions(request.kind)
    facts = CardFacts(
        request.kind, keys, notes, policy, origin, measured, cost,
        agreement_lines(request.kind, agreement, folding, chain, baseline, executor), files, versions,
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
        "agreement": {**agreement.to_dict(), "good": agreement.good},
        "folding": folding.to_dict(),
        "chain": chain.to_dict(),
        "pytorch_float64": baseline.to_dict(),
        "qonnx_executor": None if executor is None else executor.to_dict(),
        "versions": versions,
    }
    text = json.dumps(values, indent=2) + "\n"
    (folder / REPORT).write_text(text, encoding="utf-8")
    return ExportReport(request.out, files, agreement, folding, chain, baseline, executor, json.loads(text))


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


def torch_logits(network: EarlyExitNetwork, images: FloatArray) -> FloatArray:
    """(n, n_exits, classes) of a network in PyTorch."""
    found = []
    with torch.inference_mode():
        for chunk in torch.from_numpy(images).split(BATCH):
            found.append(torch.stack(network(chunk.to(memory_format=torch.channels_last)), dim=1))
    logits: FloatArray = torch.cat(found).float().numpy()
    return logits


def exact_logits(network: EarlyExitNetwork, images: FloatArray) -> npt.NDArray[np.float64]:
    """(n, n_exits, classes) of a float32 network in float64; the network is as before afterwards."""
    found = []
    network.double()  # no number changes, there and back
    try:
        with torch.inference_mode():
            for chunk in torch.from_numpy(images).split(BATCH):
                x = chunk.double().to(memory_format=torch.channels_last)
                found.append(torch.stack(network(x), dim=1))
    finally:
        network.float()
    logits: npt.NDArray[np.float64] = torch.cat(found).numpy()
    return logits


def _runners(kind: Format, paths: list[Path], scratch: Path) -> list[Runner]:
    """Each file in its runtime; QONNX goes through qonnx's converter into ONNX Runtime."""
    if kind == "torch":
        return [TorchPart(path) for path in paths]
    if kind == "qcdq":
        return [OnnxPart(path) for path in paths]
    for path in paths:
        qonnx_to_qcdq(path, scratch / path.name)
    return [OnnxPart(scratch / path.name) for path in paths]


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
    return [f"{name} {metadata.version(name)}" for name in ("torch", "brevitas", *packages)]
