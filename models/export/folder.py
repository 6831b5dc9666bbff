"""The folder an export is written into: all of it at once, and over nothing that is not an earlier export."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hwcost.errors import OfframpError


def check_folder(out: Path, marker: str) -> None:
    """Refuses to write over anything that is not an earlier export.

    Args:
        out: The folder that is to be written.
        marker: JSON file that an export has, with the names of all its files in the list `files`.

    Raises:
        OfframpError: See above.
    """
    out = out.resolve()
    if out.exists() and not out.is_dir():
        raise OfframpError(f"expected a folder to write into, got the file {out.name}; choose another --out")
    if out == Path.cwd() or out in Path.cwd().parents:
        raise OfframpError(f"expected a folder of its own for the export, got {out}; choose another --out")
    if not out.is_dir():
        return
    others = sorted({path.name for path in out.iterdir()} - _files_of_export(out / marker))
    if others:
        raise OfframpError(
            f"expected an empty folder or an earlier export, got {out.name} with other files ({others[0]}"
            f"{f' and {len(others) - 1} more' if len(others) > 1 else ''}); choose another --out"
        )


def _files_of_export(report: Path) -> set[str]:
    """What an export has written; nothing where there is none."""
    try:
        files = json.loads(report.read_text(encoding="utf-8"))["files"]
        return {str(name) for name in files}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


@contextlib.contextmanager
def staged(out: Path) -> Iterator[Path]:
    """A folder that takes the place of `out` when the body has ended well, and vanishes when not.

    Raises:
        OfframpError: It cannot be made or put there; what was there before stays.
    """
    out = out.resolve()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        # Beside it, where renaming is one step; the earlier export is put aside there too.
        room = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
        (room / "new").mkdir()
    except OSError as error:
        raise _unwritable(error) from error
    try:
        yield room / "new"
        try:
            if out.exists():
                out.rename(room / "old")
            (room / "new").rename(out)
        except OSError as error:
            if (room / "old").exists() and not out.exists():
                (room / "old").rename(out)
            raise _unwritable(error) from error
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _unwritable(error: OSError) -> OfframpError:
    return OfframpError(f"expected a place to write, got {error.strerror or error}; choose another --out")
