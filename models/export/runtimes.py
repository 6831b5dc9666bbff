"""Exported files as networks to run: whole, and segment by segment so that a sample can stop in between."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from models.export.extra import need

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


class OnnxPart:
    """One ONNX file in ONNX Runtime on the CPU, with the options it comes with.

    Args:
        path: File with standard operators only.
        threads: Of the processor.
        converted: From QONNX by the package qonnx: products that ONNX Runtime would replace by integer kernels stay
            as they are, see `models.export.qcdq`; files of our own have none of them.
    """

    def __init__(self, path: Path, threads: int = 1, converted: bool = False) -> None:
        ort = need("onnxruntime")
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # errors only
        left_out = ["QDQSelectorActionTransformer"] if converted else []
        self._session = ort.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"], disabled_optimizers=left_out
        )
        (given,) = self._session.get_inputs()
        self._input_name = given.name
        batch = given.shape[0]
        self._batch = batch if isinstance(batch, int) else None

    def __call__(self, x: FloatArray) -> list[FloatArray]:
        """(n, ...) to one array per output; a file with a fixed batch is run several times."""
        if self._batch is None:
            return list(self._session.run(None, {self._input_name: x}))
        pieces = [x[i : i + self._batch] for i in range(0, len(x), self._batch)]
        found = [self._session.run(None, {self._input_name: piece}) for piece in pieces]
        return [np.concatenate(part) for part in zip(*found, strict=True)]


class TorchPart:
    """One program of `torch.export`."""

    def __init__(self, path: Path) -> None:
        self._module: Any = torch.export.load(str(path)).module()

    def __call__(self, x: FloatArray) -> list[FloatArray]:
        """(n, ...) to one array per output."""
        with torch.no_grad():
            found = self._module(torch.from_numpy(x))
        outputs = found if isinstance(found, (tuple, list)) else (found,)
        return [output.numpy() for output in outputs]


class QonnxPart:
    """One QONNX file in the executor of the package qonnx: slow, and the definition of what the file means."""

    def __init__(self, path: Path) -> None:
        self._model: Any = read_qonnx(path)
        self._execute: Any = need("qonnx.core.onnx_exec").execute_onnx
        self._input = self._model.graph.input[0].name
        self._outputs = [output.name for output in self._model.graph.output]

    def __call__(self, x: FloatArray) -> list[FloatArray]:
        """(n, ...) to one array per output, image by image."""
        found = [self._execute(self._model, {self._input: x[i : i + 1]}) for i in range(len(x))]
        return [np.concatenate([one[name] for one in found]) for name in self._outputs]


def read_qonnx(path: Path) -> Any:
    """A QONNX model with shapes and data types inferred: reading it is a check of its structure."""
    wrapper = need("qonnx.core.modelwrapper").ModelWrapper(str(path))
    shapes = need("qonnx.transformation.infer_shapes").InferShapes()
    types = need("qonnx.transformation.infer_datatypes").InferDataTypes()
    return wrapper.transform(shapes).transform(types)


def qonnx_to_qcdq(path: Path, destination: Path) -> None:
    """Writes a QONNX file with standard operators, by the converter of the package qonnx."""
    convert = need("qonnx.transformation.qonnx_to_qcdq").QuantToQCDQ()
    read_qonnx(path).transform(convert).save(str(destination))


Runner = OnnxPart | TorchPart | QonnxPart


class ChainedParts:
    """Segments and heads in files of their own, driven by `models.inference.run_early_exit`.

    Args:
        segments: Of the backbone, in order.
        heads: One behind each.
    """

    def __init__(self, segments: Sequence[Runner], heads: Sequence[Runner]) -> None:
        self._segments, self._heads = segments, heads
        self.n_segments = len(segments)

    def run_segment(self, segment: int, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The map behind a segment and the logits of its head."""
        (features,) = self._segments[segment](x)
        (logits,) = self._heads[segment](features)
        return features, logits

    def keep(self, x: FloatArray, indices: IntArray) -> FloatArray:
        """The samples with these indices."""
        return np.ascontiguousarray(x[indices])
