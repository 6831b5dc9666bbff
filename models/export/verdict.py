"""Whether exported files may be deployed: every comparison counts, and what fails is named."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from models.export.agreement import CLOSE, REQUIRED_SHARE, Agreement, ChainAgreement
from models.export.part_check import PartAgreement


@dataclasses.dataclass(frozen=True)
class Comparisons:
    """Everything that was compared.

    Attributes:
        agreement: Of the whole network in its runtime with the folded network in PyTorch.
        folding: Of the folded network with the trained one, both in PyTorch.
        parts: Of every separate file in the place of its part, see `models.export.part_check`.
        chain: Of the separate files, run one image at a time and stopped.
        exact_folding: The same in float64, where rounding carries no value over the border between two levels.
        baseline: Of the trained network with itself, float32 against float64: differences that no export causes.
        executor: Of QONNX files in qonnx's own executor; None for other formats.
    """

    agreement: Agreement
    folding: Agreement
    parts: tuple[PartAgreement, ...]
    chain: ChainAgreement
    exact_folding: Agreement
    baseline: Agreement
    executor: Agreement | None

    @property
    def folding_allowance(self) -> float:
        """Least share of images that take the same exit before and after folding.

        Rounding moves as many images as it does when the trained network itself is run in float64; four times as
        many, and one in a hundred more, are something else.
        """
        return 1 - 4 * (1 - self.baseline.same_exit) - 0.01

    @property
    def folding_class_allowance(self) -> float:
        """The same of their class, which alone sees what lies behind the last early exit."""
        return 1 - 4 * (1 - self.baseline.same_class) - 0.01

    @property
    def required_classes(self) -> float:
        """Least share of images that have to get the same class.

        Where the digits of a runtime's functions are its own, as of GELU, as many images as rounding moves in
        PyTorch itself may get another class in addition: a wrong file moves far more.
        """
        return REQUIRED_SHARE - (1 - self.baseline.same_class)

    def _agrees(self, found: Agreement | ChainAgreement) -> bool:
        return found.good and found.same_class >= self.required_classes

    def _line(self, what: str, found: Agreement | ChainAgreement) -> str:
        return (
            f"{what}: {100 * found.same_exit:.2f} % of {found.images} images take the exit they take in PyTorch, at "
            f"least {100 * REQUIRED_SHARE:g} % are needed; {100 * found.same_class:.2f} % get the same class, at "
            f"least {100 * self.required_classes:.2f} % are needed"
        )

    def faults(self, network_file: str) -> list[str]:
        """What speaks against deploying the files, a line each; empty when nothing does.

        Args:
            network_file: Name of the file with the whole network.
        """
        found = []
        if not self._agrees(self.agreement):
            found.append(self._line(network_file, self.agreement))
        for part in self.parts:
            if part.same_class < self.required_classes:
                found.append(
                    f"{part.file} gives {100 * part.same_class:.2f} % of {part.images} images the class that its "
                    f"part gives in PyTorch, at least {100 * self.required_classes:.2f} % are needed"
                )
        if not self._agrees(self.chain):
            found.append(self._line("the separate segments and heads, run one after the other", self.chain))
        if self.executor is not None and not self._agrees(self.executor):
            found.append(self._line(f"{network_file} in qonnx's own executor", self.executor))
        exact = self.exact_folding
        if min(exact.same_exit, exact.close_images) < REQUIRED_SHARE:
            found.append(
                f"folding the BatchNorms leaves in float64 the exit of {100 * exact.same_exit:.2f} % of "
                f"{exact.images} images and the logits of {100 * exact.close_images:.2f} % within {CLOSE:g}, at "
                f"least {100 * REQUIRED_SHARE:g} % are needed of both"
            )
        if self.folding.same_exit < self.folding_allowance:
            found.append(
                f"folding the BatchNorms leaves the exit of {100 * self.folding.same_exit:.2f} % of "
                f"{self.folding.images} images, at least {100 * self.folding_allowance:.2f} % were expected from "
                "rounding alone"
            )
        if self.folding.same_class < self.folding_class_allowance:
            found.append(
                f"folding the BatchNorms leaves the class of {100 * self.folding.same_class:.2f} % of "
                f"{self.folding.images} images, at least {100 * self.folding_class_allowance:.2f} % were expected "
                "from rounding alone"
            )
        return found

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "agreement": {**self.agreement.to_dict(), "good": self.agreement.good},
            "folding": self.folding.to_dict(),
            "folding_float64": self.exact_folding.to_dict(),
            "parts": [part.to_dict() for part in self.parts],
            "chain": self.chain.to_dict(),
            "pytorch_float64": self.baseline.to_dict(),
            "qonnx_executor": None if self.executor is None else self.executor.to_dict(),
        }


def comparison_lines(kind: str, found: Comparisons, faults: Sequence[str]) -> list[str]:
    """Lines of a Markdown list: what was found, and first of all what is wrong.

    Args:
        kind: `qcdq`, `qonnx` or `torch`.
        found: Everything that was compared.
        faults: Of it.
    """
    runtime = {
        "torch": "torch.export",
        "qcdq": "ONNX Runtime",
        "qonnx": "ONNX Runtime, converted by qonnx",
    }[kind]
    chain = found.chain
    worst = min(found.parts, key=lambda part: (part.same_class, -part.largest_logit_difference))
    lines = [f"- do not deploy these files: {fault}" for fault in faults]
    lines += [
        f"- the files in {runtime} and the folded network in PyTorch: {_in_words(found.agreement)}",
        f"- the folded network and the trained one, both in PyTorch: {_in_words(found.folding)}",
        f"- the same two in float64: {_in_words(found.exact_folding)}",
        f"- the trained network in PyTorch, float32 and float64: {_in_words(found.baseline)}. These differences and "
        "those of folding in float32 are rounding that carries a value over the border between two levels of a "
        "quantizer",
        f"- each separate file in the place of its part, the worst of them `{worst.file}`: "
        f"{100 * worst.same_class:.2f} % of {worst.images} images get the same class at the exit behind it",
        f"- separate segments and heads, stopped by the policy: {100 * chain.same_exit:.2f} % of {chain.images} "
        f"images take the same exit, {100 * chain.same_class:.2f} % get the same class; the segments received "
        f"{', '.join(map(str, chain.samples))} of them",
    ]
    if found.executor is not None:
        lines.append(f"- qonnx's own executor and the folded network in PyTorch: {_in_words(found.executor)}")
    return lines


def _in_words(found: Agreement) -> str:
    equal = found.largest_logit_difference == 0
    logits = (
        "all logits are equal bit by bit"
        if equal
        else f"largest difference of logits {found.largest_logit_difference:.2g} (they span "
        f"{found.logit_spread:.3g}), below 1e-4 for {100 * found.close_images:.1f} % of the images"
    )
    return (
        f"{100 * found.same_exit:.2f} % of {found.images} images take the same exit, "
        f"{100 * found.same_class:.2f} % get the same class; {logits}"
    )
