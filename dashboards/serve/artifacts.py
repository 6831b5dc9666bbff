"""Files of trained designs, as an artifact store that only reads.

An identifier is looked up in a table; no part of a request ever becomes a path. Weights are read from the run's
folder, everything else is made when it is asked for.
"""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from optuna.artifacts.exceptions import ArtifactNotFound

from dashboards.serve.copy import FILE_PREFIX

_NAMESPACE = uuid.UUID("8c7d6f5e-1f1b-4a34-9f0a-6d0f2c9b3a10")


@dataclass(frozen=True)
class Artifact:
    """A file that is offered.

    Attributes:
        filename: As it is saved by those who load it.
        mimetype: Of its content.
        content: Makes it; None: it is not there any more.
    """

    filename: str
    mimetype: str
    content: Callable[[], bytes | Path | None]


@dataclass
class ArtifactShelf:
    """The files of all designs; what Optuna calls an artifact store.

    Attributes:
        folder: Where files may come from; links that lead out of it are not followed.
    """

    folder: Path | None
    _offered: dict[str, Artifact] = field(default_factory=dict)

    def offer(self, owner: str, artifact: Artifact) -> dict[str, str]:
        """Puts a file on offer; returns the attributes that list it with its trial or study.

        Args:
            owner: What it belongs to; with the file's name it makes the identifier.
            artifact: The file.
        """
        identifier = self.identifier(owner, artifact.filename)
        self._offered[identifier] = artifact
        meta: dict[str, Any] = {
            "artifact_id": identifier,
            "filename": artifact.filename,
            "mimetype": artifact.mimetype,
            "encoding": None,
        }
        return {FILE_PREFIX + identifier: json.dumps(meta)}

    @staticmethod
    def identifier(owner: str, filename: str) -> str:
        """The same for the same file in every process."""
        return str(uuid.uuid5(_NAMESPACE, f"{owner}/{filename}"))

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """The content of a file on offer.

        Raises:
            ArtifactNotFound: There is no such file, or it lies outside the folder.
        """
        artifact = self._offered.get(artifact_id)
        content = artifact.content() if artifact is not None else None
        if content is None:
            raise ArtifactNotFound("not found")
        if isinstance(content, bytes):
            return io.BytesIO(content)
        return self._inside(content).open("rb")

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        """Refused.

        Raises:
            PermissionError: Always.
        """
        raise PermissionError("expected a request to read; this dashboard shows a copy of the study")

    def remove(self, artifact_id: str) -> None:
        """Refused.

        Raises:
            PermissionError: Always.
        """
        raise PermissionError("expected a request to read; this dashboard shows a copy of the study")

    def _inside(self, path: Path) -> Path:
        resolved = path.resolve()
        if (
            self.folder is None
            or not resolved.is_relative_to(self.folder.resolve())
            or not resolved.is_file()
        ):
            raise ArtifactNotFound("not found")
        return resolved
