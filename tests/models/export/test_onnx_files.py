import re
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import numpy_helper

from models.architecture import Architecture
from models.export.onnx_files import OnnxFormat, write_onnx
from models.export.runtimes import ChainedParts, OnnxPart, QonnxPart, qonnx_to_qcdq
from models.inference import exits_taken, run_early_exit
from models.plain_layers import PlainLayer
from tests.models.export.small_export import LOW, POLICY, folded, folded_logits, images
from tests.models.small import MIXED

NAMES = ["network", "segment_0", "head_0", "segment_1", "head_1", "segment_2", "head_2"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[OnnxFormat, Architecture], list[Path]]:
    made = {}
    kinds: tuple[OnnxFormat, ...] = ("qcdq", "qonnx")
    for kind in kinds:
        for architecture in (MIXED, LOW):
            folder = tmp_path_factory.mktemp(kind)
            made[kind, architecture] = write_onnx(folded(architecture), kind, folder, {"backbone": "tiny"})
    return made


Files = dict[tuple[OnnxFormat, Architecture], list[Path]]


@pytest.mark.parametrize("architecture", [MIXED, LOW])
@pytest.mark.parametrize("n", [1, 100])
def test_qcdq_in_onnx_runtime(files: Files, architecture: Architecture, n: int) -> None:
    found = np.stack(OnnxPart(files["qcdq", architecture][0])(images()[:n]), axis=1)
    np.testing.assert_array_equal(found, folded_logits(images()[:n], architecture))


@pytest.mark.parametrize("architecture", [MIXED, LOW])
def test_onnx_runtime_makes_no_integer_kernels_of_them(
    files: Files, architecture: Architecture, tmp_path: Path
) -> None:
    """With the options it comes with; such kernels saturate on some processors and round on all."""
    for path in files["qcdq", architecture]:
        options = ort.SessionOptions()
        options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
        options.log_severity_level = 3
        ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        kinds = {node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node}
        assert kinds & {"MatMul", "FusedMatMul", "Conv", "FusedConv"}
        assert not {kind for kind in kinds if re.search("Integer|NBits|QLinear|QGemm|QAttention", kind)}


@pytest.mark.parametrize("architecture", [MIXED, LOW])
def test_qonnx_in_its_own_executor_and_converted(
    files: Files, architecture: Architecture, tmp_path: Path
) -> None:
    path = files["qonnx", architecture][0]
    few = images()[:4]
    np.testing.assert_allclose(
        np.stack(QonnxPart(path)(few), axis=1), folded_logits(few, architecture), atol=1e-4
    )
    qonnx_to_qcdq(path, tmp_path / "converted.onnx")
    found = np.stack(OnnxPart(tmp_path / "converted.onnx", converted=True)(images()), axis=1)
    np.testing.assert_array_equal(found, folded_logits(images(), architecture))


def test_every_exit_is_an_output_and_every_part_a_file(files: Files) -> None:
    for paths in files.values():
        assert [path.stem for path in paths] == NAMES
        whole = onnx.load(str(paths[0]))
        assert [value.name for value in whole.graph.input] == ["image"]
        assert [value.name for value in whole.graph.output] == ["exit0", "exit1", "final"]
        assert {prop.key: prop.value for prop in whole.metadata_props} == {"backbone": "tiny"}


@pytest.mark.parametrize("kind", ["qcdq", "qonnx"])
def test_parts_chained_and_stopped_give_the_same_exits(
    files: Files, kind: OnnxFormat, tmp_path: Path
) -> None:
    paths = files[kind, MIXED]
    if kind == "qonnx":
        for path in paths:
            qonnx_to_qcdq(path, tmp_path / path.name)
        paths = [tmp_path / path.name for path in paths]
    parts = [OnnxPart(path, converted=kind == "qonnx") for path in paths]
    x = images()
    result = run_early_exit(ChainedParts(parts[1::2], parts[2::2]), x, len(x), POLICY)
    expected = exits_taken(folded_logits(x), POLICY)
    np.testing.assert_array_equal(result.exits, expected)
    left = np.bincount(result.exits, minlength=3)
    assert (left > 0).all()
    assert result.samples.tolist() == [100, 100 - left[0], left[2]]


def weights(model: onnx.ModelProto) -> list[np.ndarray]:
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    readers = ("Clip", "DequantizeLinear", "Quant")
    return [arrays[n.input[0]] for n in model.graph.node if n.op_type in readers and n.input[0] in arrays]


def test_qcdq_stores_the_integers(files: Files) -> None:
    for architecture in (MIXED, LOW):
        stored = weights(onnx.load(str(files["qcdq", architecture][0])))
        layers = [m for m in folded(architecture).modules() if isinstance(m, PlainLayer)]
        assert len(stored) == len(layers)
        assert all(array.dtype == np.int8 for array in stored)
        wanted = sorted(np.abs(layer.source.integers.numpy()).sum() for layer in layers)
        assert sorted(np.abs(array.astype(int)).sum() for array in stored) == wanted


def test_qonnx_names_the_bits(files: Files) -> None:
    model = onnx.load(str(files["qonnx", LOW][0]))
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    quants = [node for node in model.graph.node if node.op_type == "Quant"]
    assert {node.domain for node in quants} == {"qonnx.custom_op.general"}
    bits = {float(arrays[node.input[3]]) for node in quants}
    assert bits == {2.0, 3.0, 4.0, 8.0}
    assert {node.op_type for node in model.graph.node}.isdisjoint({"Identity", "Transpose", "Constant"})
    for node in quants:  # constants, or what the network computes: nothing in between
        assert all(name in arrays for name in node.input[1:])
