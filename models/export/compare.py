"""Runs exported files, the folded network and the trained one on the same images and compares them."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from models.exit_policy import ExitPolicy
from models.export.agreement import compare_chain, compare_logits
from models.export.part_check import compare_parts
from models.export.runtimes import ChainedParts, OnnxPart, QonnxPart, Runner, TorchPart, qonnx_to_qcdq
from models.export.verdict import Comparisons
from models.fold import fold_network
from models.network import EarlyExitNetwork

FloatArray = npt.NDArray[np.float32]
Floats = TypeVar("Floats", npt.NDArray[np.float32], npt.NDArray[np.float64])
Format = Literal["qonnx", "qcdq", "torch"]

BATCH = 128
BASELINE_IMAGES = 500
"""Images that PyTorch runs in float64 too: that takes twice as long."""

EXACT_IMAGES = 100
"""Of these, those that the folded network runs in float64."""

EXECUTOR_IMAGES = 4
"""Images that qonnx's own executor runs: it takes up to a second for each."""


@dataclasses.dataclass(frozen=True, eq=False)
class ComparedNetworks:
    """What was compared, and logits of all exits for further figures.

    Attributes:
        found: The comparisons.
        exported: (n, n_exits, classes) of the file with the whole network.
        trained: (n, n_exits, classes) of the network as it was trained.
    """

    found: Comparisons
    exported: FloatArray
    trained: FloatArray


def compare_files(
    kind: Format,
    paths: list[Path],
    networks: tuple[EarlyExitNetwork, EarlyExitNetwork],
    images: FloatArray,
    chain_images: int,
    policy: ExitPolicy,
) -> ComparedNetworks:
    """Runs everything there is.

    Args:
        kind: Format of the files.
        paths: The files in the order of `models.export.parts.network_parts`.
        networks: The trained network and the folded one.
        images: (n, c, h, w) normalized.
        chain_images: How many of them run through the separate files one at a time.
        policy: When samples leave.
    """
    network, folded = networks
    trained, reference = torch_logits(network, images), torch_logits(folded, images)
    n_chain = min(chain_images, len(images))
    with tempfile.TemporaryDirectory() as scratch:
        whole, *separate = _runners(kind, paths, Path(scratch))
        exported = np.stack(whole(images), axis=1)  # (n, n_exits, classes)
        parts = compare_parts([path.name for path in paths[1:]], separate, folded, images)
        chain = compare_chain(
            ChainedParts(separate[::2], separate[1::2]), images[:n_chain], reference[:n_chain], policy
        )
    few = images[:BASELINE_IMAGES]
    with in_float64(network):
        exact = torch_logits(network, few.astype(np.float64))
        fewer = few[:EXACT_IMAGES].astype(np.float64)
        exact_folded = torch_logits(fold_network(network, torch.from_numpy(fewer[:1])), fewer)
    executor = None
    if kind == "qonnx":
        n = min(EXECUTOR_IMAGES, len(images))
        executor = compare_logits(reference[:n], np.stack(QonnxPart(paths[0])(images[:n]), axis=1), policy)
    found = Comparisons(
        agreement=compare_logits(reference, exported, policy),
        folding=compare_logits(trained, reference, policy),
        parts=parts,
        chain=chain,
        exact_folding=compare_logits(exact[: len(fewer)], exact_folded, policy),
        baseline=compare_logits(trained[: len(few)], exact, policy),
        executor=executor,
    )
    return ComparedNetworks(found, exported, trained)


def torch_logits(network: EarlyExitNetwork, images: Floats) -> Floats:
    """(n, n_exits, classes) of a network in PyTorch, in the arithmetic of the images."""
    found = []
    with torch.inference_mode():
        for chunk in torch.from_numpy(images).split(BATCH):
            found.append(torch.stack(network(chunk.to(memory_format=torch.channels_last)), dim=1))
    logits: Floats = torch.cat(found).to(chunk.dtype).numpy()
    return logits


@contextlib.contextmanager
def in_float64(network: EarlyExitNetwork) -> Iterator[None]:
    """A float32 network computes in float64 meanwhile; afterwards every number is as before."""
    network.double()
    try:
        yield
    finally:
        network.float()


def _runners(kind: Format, paths: list[Path], scratch: Path) -> list[Runner]:
    """Each file in its runtime; QONNX goes through qonnx's converter into ONNX Runtime."""
    if kind == "torch":
        return [TorchPart(path) for path in paths]
    if kind == "qcdq":
        return [OnnxPart(path) for path in paths]
    for path in paths:
        qonnx_to_qcdq(path, scratch / path.name)
    return [OnnxPart(scratch / path.name, converted=True) for path in paths]
