"""Results of long trainings kept in files, so that an interrupted benchmark goes on where it was."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from study.environment import commit


def kept(folder: Path, key: Mapping[str, Any], work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The result of `work`, or that of an earlier run with the same key; a damaged file is made anew.

    Args:
        folder: Of the files.
        key: JSON values that the result depends on.
        work: Gives JSON values.
    """
    digest = hashlib.sha256(json.dumps(dict(key), sort_keys=True).encode()).hexdigest()[:24]
    path = folder / f"{digest}.json"
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found
    except (OSError, ValueError):
        pass
    result = work()
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}.tmp")
    unfinished.write_text(json.dumps(result), encoding="utf-8")
    unfinished.replace(path)
    return result


def kept_by_commit(
    folder: Path, key: Mapping[str, Any], work: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """The same as `kept` for what depends on much of the code: it is kept for the commit it was made with.

    Of a working tree with changes nothing is kept, as nobody knows whether it is the same.
    """
    code = commit()
    if not code or code.endswith("-dirty"):
        return work()
    return kept(folder, {**key, "commit": code}, work)
