"""Nothing but an earlier export is written over, and a failure leaves what was there."""

import contextlib
import json
from pathlib import Path

import pytest

from hwcost.errors import OfframpError
from models.export.folder import check_folder, staged

MARKER = "export.json"


def export_in(folder: Path, content: str = "old") -> Path:
    folder.mkdir()
    (folder / "network.onnx").write_text(content)
    (folder / MARKER).write_text(json.dumps({"files": ["network.onnx", MARKER]}))
    return folder


def test_an_earlier_export_is_replaced_whole(tmp_path: Path) -> None:
    out = export_in(tmp_path / "out")
    check_folder(out, MARKER)
    with staged(out) as folder:
        (folder / "other.onnx").write_text("new")
    assert [path.name for path in out.iterdir()] == ["other.onnx"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_failure_leaves_the_earlier_export(tmp_path: Path) -> None:
    out = export_in(tmp_path / "out")
    half = contextlib.ExitStack()
    (half.enter_context(staged(out)) / "network.onnx").write_text("half")
    half.push(lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        half.close()
    assert (out / "network.onnx").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_export_with_files_of_the_user_is_refused(tmp_path: Path) -> None:
    out = export_in(tmp_path / "out")
    (out / "notes.txt").write_text("mine")
    with pytest.raises(OfframpError, match=r"other files \(notes\.txt\)"):
        check_folder(out, MARKER)


@pytest.mark.parametrize("report", ["[]", "{}", "not JSON", '{"files": 3}'])
def test_a_folder_with_another_file_of_that_name_is_refused(tmp_path: Path, report: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / MARKER).write_text(report)
    with pytest.raises(OfframpError, match="other files"):
        check_folder(tmp_path / "out", MARKER)


@pytest.mark.parametrize("out", [".", ".."])
def test_the_current_folder_and_those_above_are_refused(
    tmp_path: Path, out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "inner")
    with pytest.raises(OfframpError, match="a folder of its own"):
        check_folder(Path(out), MARKER)


def test_behind_a_link_the_folder_it_names_is_replaced(tmp_path: Path) -> None:
    out = export_in(tmp_path / "out")
    (tmp_path / "link").symlink_to(out)
    check_folder(tmp_path / "link", MARKER)
    with staged(tmp_path / "link") as folder:
        (folder / "network.onnx").write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert (out / "network.onnx").read_text() == "new"


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OfframpError, match="a place to write"), staged(tmp_path / "file" / "out"):
        pass
