"""What the doctor finds, and where it keeps what it changes."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        check: What was looked at.
        level: `ok`; `note`: worth knowing, nothing is wrong; `fault`.
        text: What was found, for people.
        mendable: `--repair` can mend it.
        repaired: It was mended.
    """

    check: str
    level: Literal["ok", "note", "fault"]
    text: str
    mendable: bool = False
    repaired: bool = False

    @property
    def left(self) -> bool:
        """Whether it is a fault that is still there."""
        return self.level == "fault" and not self.repaired

    @property
    def shown(self) -> str:
        """A word for people."""
        return "repaired" if self.repaired else self.level

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


class Backup:
    """A folder in the run's folder for what is changed or taken away; made when it is needed.

    Args:
        out: The run's folder.
    """

    def __init__(self, out: Path) -> None:
        self._out = out
        self._folder: Path | None = None

    @property
    def name(self) -> str | None:
        """Where things are kept; None as long as nothing was."""
        return None if self._folder is None else str(self._folder)

    @property
    def folder(self) -> Path:
        """The folder; a new one for every run of the doctor."""
        if self._folder is None:
            number = 1
            while (folder := self._out / f"doctor-{number}").exists():
                number += 1
            folder.mkdir(parents=True)
            self._folder = folder
        return self._folder

    def copy(self, path: Path) -> Path:
        """Keeps a copy of a file."""
        return Path(shutil.copy2(path, self._free(path.name)))

    def take_away(self, path: Path, kind: str) -> None:
        """Moves a file out of the run."""
        target = self.folder / kind
        target.mkdir(exist_ok=True)
        shutil.move(path, target / path.name)

    def write(self, name: str, text: str) -> None:
        """Keeps a text."""
        self._free(name).write_text(text, encoding="utf-8")

    def _free(self, name: str) -> Path:
        path, number = self.folder / name, 1
        while path.exists():
            path, number = self.folder / f"{name}.{number}", number + 1
        return path
