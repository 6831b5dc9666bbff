"""Files that are either the old ones or the new ones, never half of either."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hwcost.errors import OfframpError


def write_text(path: Path, text: str) -> None:
    """Write a text file at once, in UTF-8.

    Raises:
        OfframpError: The file cannot be written, on a full disk for instance. What stood there stays.
    """
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file at once.

    Raises:
        OfframpError: As of `write_text`.
    """
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(0o644)  # mkstemp gives 0600, which others could not read
        Path(temporary).replace(path)
    except OSError as error:
        raise OfframpError(
            f"expected to write {path.name} in {path.parent}, got: {error.strerror or error}; what was finished "
            "is kept, make room and run the same command again"
        ) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
