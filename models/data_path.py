"""Where data are, as users name it; imports no PyTorch, so that a name is refused before anything slow is loaded."""

from __future__ import annotations

from pathlib import Path

from hwcost.errors import OfframpError


def find_data(source: str) -> Path | None:
    """The folder or file a source names.

    Args:
        source: As a user writes it; `~` is a home folder.

    Returns:
        Its path; None where nothing is there.

    Raises:
        OfframpError: When such a name cannot be looked up: nobody's home, too long, in a folder that is closed.
    """
    try:
        path = Path(source).expanduser()
        return path if source and path.exists() else None
    except (RuntimeError, OSError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or " ".join(str(error).split())
        raise OfframpError(
            f"expected a path that can be looked up as the data, got {source!r} ({reason}); name a folder or archive"
        ) from error
