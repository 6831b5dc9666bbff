"""The programs of a model card, run as they are printed."""

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.checkpoint_notes import CheckpointNotes
from models.exit_policy import ExitPolicy
from models.export.onnx_files import write_onnx
from models.export.torch_files import write_torch
from models.export.usage import usage
from models.inference import exits_taken
from models.scores import SCORES, ScoreName, read_logits, readings_score
from tests.models.export.small_export import folded, folded_logits, images

NOTES = CheckpointNotes((0.5,), (0.25,), tuple("0123456789"))
TEMPERATURES = np.array([0.7, 0.3, 1.0])
MIDDLE = {"max_softmax": 0.6, "entropy": -1.2, "margin": 0.4, "patience": 1.0}
KINDS = ("qcdq", "qonnx", "torch")
N_IMAGES = {"qcdq": 40, "qonnx": 12, "torch": 40}
"""qonnx's executor takes its time."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of each format."""
    made = tmp_path_factory.mktemp("files")
    for kind in KINDS:
        (made / kind).mkdir()
    write_onnx(folded(), "qcdq", made / "qcdq", {})
    write_onnx(folded(), "qonnx", made / "qonnx", {})
    write_torch(folded(), made / "torch")
    return made


def programs(kind: str, policy: ExitPolicy) -> list[str]:
    """The one for the whole network, the one that stops early."""
    text = "\n".join(usage(kind, "1 x 16 x 16", NOTES, ("exit0", "exit1", "final"), policy))
    return [piece.split("```")[0] for piece in text.split("```python\n")[1:]]


def middle(score: ScoreName) -> ExitPolicy:
    return ExitPolicy(np.array([MIDDLE[score]] * 2 + [-np.inf]), score, TEMPERATURES)


@functools.cache
def run(kind: str, score: ScoreName) -> dict[str, Any]:
    """What the program that stops early defines; the current folder has the files."""
    names: dict[str, Any] = {}
    exec(compile(programs(kind, middle(score))[1], "card", "exec"), names)
    return names


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_program_of_the_card_stops_where_the_policy_does(
    kind: str, score: ScoreName, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder / kind)
    n = N_IMAGES[kind]
    logits = folded_logits(images()[:n])
    expected = exits_taken(logits, middle(score))
    assert len(set(expected)) >= 2
    for index, exit_ in enumerate(expected):
        found = run(kind, score)["classify"](images()[index : index + 1])
        assert found == (logits[index, exit_].argmax(), exit_)


@pytest.mark.parametrize("score", ["max_softmax", "entropy", "margin"])
@pytest.mark.parametrize("kind", ["qcdq", "torch"])
def test_a_sample_on_the_threshold_leaves(
    kind: str, score: ScoreName, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thresholds are scores of calibration samples, kept in float32: whoever set one leaves by it."""
    monkeypatch.chdir(folder / kind)
    names = run(kind, score)
    monkeypatch.setitem(names, "thresholds", list(names["thresholds"]))
    readings = read_logits(folded_logits(images()[:30])[:, 0], TEMPERATURES[0])
    own = readings_score(score, readings.confidence, readings.entropy, readings.margin)
    for index, threshold in enumerate(own.tolist()):
        names["thresholds"][0] = threshold
        assert names["classify"](images()[index : index + 1])[1] == 0
        names["thresholds"][0] = float(np.nextafter(np.float32(threshold), np.float32(np.inf)))
        assert names["classify"](images()[index : index + 1])[1] > 0


@pytest.mark.parametrize("kind", KINDS)
def test_the_program_for_all_exits(kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder / kind)
    image = images()[:1]
    names: dict[str, Any] = {"image": torch.from_numpy(image) if kind == "torch" else image}
    exec(compile(programs(kind, middle("margin"))[0], "card", "exec"), names)
    found = names["logits_of_exits"]
    if kind == "qonnx":
        found = [found[name] for name in ("exit0", "exit1", "final")]
    given = np.stack([np.asarray(logits.detach() if kind == "torch" else logits) for logits in found], axis=1)
    np.testing.assert_allclose(given, folded_logits(image), atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_an_exit_nobody_takes_is_written_as_python(kind: str) -> None:
    policy = ExitPolicy(np.array([np.inf, 0.5, -np.inf]))
    assert "thresholds = [math.inf, 0.5, -math.inf]" in programs(kind, policy)[1]
