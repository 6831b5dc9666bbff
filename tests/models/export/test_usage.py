from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.checkpoint_notes import CheckpointNotes
from models.exit_policy import ExitPolicy
from models.export.onnx_files import write_onnx
from models.export.usage import usage
from models.inference import exits_taken
from models.scores import SCORES, ScoreName
from tests.models.export.small_export import folded, folded_logits, images

NOTES = CheckpointNotes((0.5,), (0.25,), tuple("0123456789"))
TEMPERATURES = np.array([0.7, 0.3, 1.0])
MIDDLE = {"max_softmax": 0.6, "entropy": -1.2, "margin": 0.4, "patience": 1.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("files")
    write_onnx(folded(), "qcdq", made, {})
    return made


@pytest.mark.parametrize("score", SCORES)
def test_the_program_of_the_card_stops_where_the_policy_does(
    score: ScoreName, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    policy = ExitPolicy(np.array([MIDDLE[score]] * 2 + [-np.inf]), score, TEMPERATURES)
    lines = usage("qcdq", "1 x 16 x 16", NOTES, ("exit0", "exit1", "final"), policy)
    program = "\n".join(lines).split("```python\n")[-1].split("```")[0]
    names: dict[str, Any] = {}
    exec(compile(program, "card", "exec"), names)
    logits = folded_logits(images()[:40])
    expected = exits_taken(logits, policy)
    assert len(set(expected)) >= 2
    for index, exit_ in enumerate(expected):
        found = names["classify"](images()[index : index + 1])
        assert found == (logits[index, exit_].argmax(), exit_)


def test_an_exit_nobody_takes_is_written_as_python() -> None:
    policy = ExitPolicy(np.array([np.inf, 0.5, -np.inf]))
    lines = usage("qcdq", "1 x 16 x 16", NOTES, ("exit0", "exit1", "final"), policy)
    assert "thresholds = [math.inf, 0.5, -math.inf]" in lines
