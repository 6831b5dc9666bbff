"""The folder an export is written into: all of it at once, and over nothing that is not an earlier export."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hwcost.errors import OfframpError


def check_folder(out: Path, marker: str) -> None:
    """Refuses to write over anything that is not an earlier export.

    Args:
        out: The folder that is to be written.
        marker: File that an export has.

    Raises:
        OfframpError: See above.
    """
    if out.exists() and not out.is_dir():
        raise OfframpError(f"expected a folder to write into, got the file {out.name}; choose another --out")
    if out.is_dir() and any(out.iterdir()) and not (out / marker).is_file():
        raise OfframpError(
            f"expected an empty folder or an earlier export, got {out.name} with other files; choose another --out"
        )


@contextlib.contextmanager
def staged(out: Path) -> Iterator[Path]:
    """A folder that takes the place of `out` when the body has ended well, and vanishes when not."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
    except OSError as error:
        raise OfframpError(
            f"expected a place to write, got {error.strerror or error}; choose another --out"
        ) from error
    try:
        yield staging
        staging.chmod(0o755)
        if out.exists():
            shutil.rmtree(out)
        staging.rename(out)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
