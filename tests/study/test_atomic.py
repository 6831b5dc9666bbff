from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hwcost.errors import OfframpError
from study.atomic import write_text


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_writes_and_replaces(tmp_path):
    path = tmp_path / "a" / "b" / "t.csv"
    write_text(path, "x,ä\r\n1,2\n")
    assert path.read_bytes() == "x,ä\r\n1,2\n".encode()
    write_text(path, "new")
    assert path.read_text() == "new"
    assert names(path.parent) == ["t.csv"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_reader_sees_the_old_or_the_new_file(tmp_path):
    path = tmp_path / "t.csv"
    write_text(path, "old")
    with path.open() as reader:
        write_text(path, "new" * 1000)
        assert reader.read() == "old"  # the file that was open is untouched: it was replaced, not rewritten


def test_on_a_full_disk_what_was_there_stays(small_disk):
    (small_disk / "kept.csv").write_text("kept")
    with pytest.raises(
        OfframpError, match=r"expected to write kept\.csv .*No space left.*make room"
    ) as caught:
        write_text(small_disk / "kept.csv", "x" * 4_000_000)
    assert "\n" not in str(caught.value)
    assert names(small_disk) == ["kept.csv"]  # no half file is left behind
    assert (small_disk / "kept.csv").read_text() == "kept"
    write_text(small_disk / "kept.csv", "fits")
    assert (small_disk / "kept.csv").read_text() == "fits"


def test_past_the_allowed_file_size_what_was_there_stays(tmp_path):
    """The same fault without root: the process may not write files over 16 kB."""
    path = tmp_path / "t.csv"
    write_text(path, "kept")
    code = f"""
import resource, signal, sys
from pathlib import Path
from hwcost.errors import OfframpError
from study.atomic import write_text
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (16_384, 16_384))
try:
    write_text(Path({str(path)!r}), "x" * 200_000)
except OfframpError as error:
    print(error)
    sys.exit(7)
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 7, ended.stderr
    assert "File too large" in ended.stdout
    assert names(tmp_path) == ["t.csv"]
    assert path.read_text() == "kept"


def test_a_folder_that_cannot_be_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OfframpError, match=r"expected to write t\.csv in .*file"):
        write_text(tmp_path / "file" / "t.csv", "x")
    (tmp_path / "t.csv").mkdir()
    with pytest.raises(OfframpError, match=r"expected to write t\.csv"):
        write_text(tmp_path / "t.csv", "x")
    assert names(tmp_path) == ["file", "t.csv"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    with pytest.raises(OfframpError, match="Permission denied"):
        write_text(folder / "t.csv", "x")
