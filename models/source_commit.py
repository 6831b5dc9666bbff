"""The commit of the source tree that is running."""

import functools
import subprocess
from pathlib import Path


@functools.cache
def source_commit() -> str | None:
    """The commit, with `-dirty` where files were changed; None outside of a repository of our own."""
    here = Path(__file__).resolve()
    tracked = _git(here.parent, "ls-files", "--error-unmatch", here.name)
    if tracked is None:
        return None  # installed inside somebody else's repository
    return _git(here.parent, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        ended = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return ended.stdout.strip() or None if ended.returncode == 0 else None
