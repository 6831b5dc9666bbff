"""Where a study is kept, as a URL: which kind of storage, and what may be shown of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from hwcost.errors import OfframpError

Kind = Literal["sqlite", "journal", "postgresql", "grpc", "other"]

JOURNAL_LOCKS = ("kernel", "link")
_KINDS: dict[str, Kind] = {
    "sqlite": "sqlite",
    "journal": "journal",
    "postgresql": "postgresql",
    "postgres": "postgresql",
    "grpc": "grpc",
}


@dataclass(frozen=True)
class StorageAddress:
    """A storage URL that was understood.

    Attributes:
        kind: What answers there; `other` is whatever else SQLAlchemy has a driver for.
        url: As SQLAlchemy reads it, the driver of PostgreSQL filled in.
    """

    kind: Kind
    url: URL

    @classmethod
    def parse(cls, text: str) -> StorageAddress:
        """Reads a URL.

        Raises:
            OfframpError: It is not one, or a part is missing.
        """
        try:
            url = make_url(text)
            backend = url.get_backend_name()
        except (ArgumentError, ValueError):  # ValueError: a port that is no number
            raise OfframpError(
                "expected a storage URL such as sqlite:///study.db, journal:///study.log, "
                f"postgresql://user@host/name or grpc://host:port, got {text!r}"
            ) from None
        kind = _KINDS.get(backend, "other")
        if kind == "postgresql" and "+" not in url.drivername:
            url = url.set(drivername="postgresql+psycopg")
        if kind == "grpc" and (url.host is None or url.port is None):
            raise OfframpError(f"expected grpc://host:port, got {text!r}")
        if kind == "journal":
            _check_journal(url, text)
        return cls(kind, url)

    @property
    def file(self) -> Path | None:
        """The file of a sqlite database or a journal; None for servers and databases in memory."""
        name = self.url.database
        if self.kind not in ("sqlite", "journal") or not name or name == ":memory:":
            return None
        return Path(name)

    @property
    def shown(self) -> str:
        """The URL without its password."""
        return self.url.render_as_string(hide_password=True)

    @property
    def complete(self) -> str:
        """The URL with its password, for the library that connects."""
        return self.url.render_as_string(hide_password=False)


def _check_journal(url: URL, text: str) -> None:
    if not url.database or url.host:
        raise OfframpError(
            "expected a journal file as journal:///study.log or journal:////absolute/path/study.log, "
            f"got {text!r}"
        )
    unknown = set(url.query) - {"lock"}
    if unknown or url.query.get("lock", "kernel") not in JOURNAL_LOCKS:
        raise OfframpError(
            f"expected no option or lock={'|'.join(JOURNAL_LOCKS)} behind the journal file, got {text!r}"
        )


def default_url(folder: Path) -> str:
    """The sqlite database of a run's folder.

    Raises:
        OfframpError: The folder's name holds a question mark, which ends the file's name in a URL.
    """
    if "?" in str(folder):
        raise OfframpError(
            f"expected a folder without a question mark for the database, got {str(folder)!r}; rename it or give "
            "--storage"
        )
    return f"sqlite:///{folder / 'study.db'}"


def without_password(url: str) -> str:
    """The URL as it may be shown."""
    return make_url(url).render_as_string(hide_password=True)
