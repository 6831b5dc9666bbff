"""Whether a storage can be read to its end, and how what is left of a damaged one is saved."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from hwcost.errors import OfframpError
from study.doctor_findings import Backup, Finding
from study.storage import StorageAddress
from study.storage.journal import journal_lock, torn_tail

_CHECK = "storage"


def check_storage(url: str, repair: bool, backup: Backup) -> list[Finding]:
    """Looks at the storage itself, without Optuna.

    Args:
        url: Of the storage.
        repair: Whether to mend it.
        backup: Where it is kept as it was.

    Raises:
        OfframpError: It is not there.
    """
    address = StorageAddress.parse(url)
    path = address.file
    if path is None:
        return [Finding(_CHECK, "note", f"{address.kind}: its own tools check a server's files")]
    if not path.exists():
        raise OfframpError(f"expected a study in {path}, got no such file; name its --storage")
    if address.kind == "sqlite":
        return [_sqlite(path, repair, backup)]
    return [_journal(path, str(address.url.query.get("lock", "kernel")), repair, backup)]


def _sqlite(path: Path, repair: bool, backup: Backup) -> Finding:
    with path.open("rb") as file:
        if file.read(16) not in (b"SQLite format 3\0", b""):
            return Finding(_CHECK, "fault", f"{path.name} is no sqlite database")
    problems = _integrity(path)
    if not problems:
        return Finding(_CHECK, "ok", f"{path.name}: every page of the database is sound")
    text = f"{path.name} is damaged ({problems[0]})"
    if not repair or (busy := _busy(path)):
        return Finding(_CHECK, "fault", text + (busy if repair else ""), mendable=True)
    for part in (path, *_beside(path)):
        backup.copy(part)
    try:
        saved, lost = _rebuild(path)
    except sqlite3.DatabaseError as error:
        _fresh(path).unlink(missing_ok=True)
        reason = f"{text}; nothing could be read from it ({error}): put a backup in its place or begin anew"
        return Finding(_CHECK, "fault", reason)
    return Finding(
        _CHECK,
        "fault",
        f"{text}; {saved} rows were saved into a new database, {lost} could not be read",
        mendable=True,
        repaired=not _integrity(path),
    )


def _busy(path: Path) -> str:
    """What to say where processes of this machine have the storage open: they would go on with the old file."""
    users = _users([path, path.with_name(path.name + "-wal"), path.with_name(path.name + ".writer")])
    if not users:
        return ""
    numbers = ", ".join(map(str, users))
    return (
        f"; not mended, as {len(users)} process(es) have it open ({numbers}): stop them, and those on other "
        "machines, first"
    )


def _users(files: Sequence[Path]) -> list[int]:
    """Numbers of other processes that have one of the files open, as far as this user may see."""
    wanted = {(status.st_dev, status.st_ino) for file in files if file.exists() for status in [file.stat()]}
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        if int(process.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            for handle in (process / "fd").iterdir():
                with contextlib.suppress(OSError):
                    status = handle.stat()
                    if (status.st_dev, status.st_ino) in wanted:
                        found.append(int(process.name))
                        break
    return sorted(found)


def _beside(path: Path) -> list[Path]:
    files = [path.with_name(path.name + end) for end in ("-wal", "-shm")]
    return [file for file in files if file.exists()]


def _integrity(path: Path) -> list[str]:
    """What sqlite says is wrong; nothing for a sound database."""
    try:
        with contextlib.closing(
            sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=60)
        ) as base:
            answers = [str(row[0]) for row in base.execute("PRAGMA integrity_check(10)")]
    except sqlite3.DatabaseError as error:
        return [str(error)]
    return [] if answers == ["ok"] else [line for answer in answers for line in answer.splitlines()]


def _fresh(path: Path) -> Path:
    return path.with_name(path.name + ".rebuilt")


def _rebuild(path: Path) -> tuple[int, int]:
    """Writes what can be read into a new database in the place of the old; rows saved, rows lost."""
    fresh = _fresh(path)
    fresh.unlink(missing_ok=True)
    saved = lost = 0
    old = sqlite3.connect(path, timeout=60)
    new = sqlite3.connect(fresh)
    with contextlib.closing(old), contextlib.closing(new):
        schema = old.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
        for kind, _, sql in schema:
            if kind == "table":
                new.execute(sql)
        for kind, table, _ in schema:
            if kind != "table":
                continue
            for row in _rows(old, table):
                if row is None:
                    lost += 1
                    continue
                marks = ", ".join("?" * len(row))
                new.execute(f'INSERT OR IGNORE INTO "{table}" VALUES ({marks})', row)
                saved += 1
        for kind, _, sql in schema:
            if kind == "index":
                new.execute(sql)
        new.commit()
    for file in _beside(path):
        file.unlink()
    fresh.replace(path)
    return saved, lost


def _rows(base: sqlite3.Connection, table: str) -> Iterator[tuple[object, ...] | None]:
    """All rows of a table, one by one where reading on fails; None for one that is lost."""
    query = f'SELECT * FROM "{table}"'
    try:
        yield from base.execute(query).fetchall()
        return
    except sqlite3.DatabaseError:
        pass
    try:
        last = base.execute(f'SELECT max(rowid) FROM "{table}"').fetchone()[0] or 0
    except sqlite3.DatabaseError:
        yield None
        return
    for number in range(1, last + 1):
        try:
            yield from base.execute(f"{query} WHERE rowid = ?", (number,)).fetchall()
        except sqlite3.DatabaseError:
            yield None


def _journal(path: Path, lock_kind: str, repair: bool, backup: Backup) -> Finding:
    torn, bad = torn_tail(path), _unreadable(path)
    if not torn and not bad:
        return Finding(_CHECK, "ok", f"{path.name}: every line of the journal can be read")
    parts = [f"{len(bad)} line(s) cannot be read, the first is line {bad[0]}"] if bad else []
    parts += [f"it ends in half a line of {torn} bytes"] if torn else []
    text = f"{path.name}: {', '.join(parts)}"
    # A torn tail is cut off as every writer does it; lines taken out of the middle confuse who has read beyond them.
    if not repair or (bad and (busy := _busy(path))):
        return Finding(_CHECK, "fault", text + (busy if repair else ""), mendable=True)
    lock = journal_lock(path, lock_kind)
    lock.acquire()
    try:
        backup.copy(path)
        kept = _whole_lines(path)
        fresh = path.with_name(path.name + ".rebuilt")
        with fresh.open("wb") as file:
            file.writelines(kept)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        lock.release()
    mended = not torn_tail(path) and not _unreadable(path)
    return Finding(_CHECK, "fault", f"{text}; they were cut out", mendable=True, repaired=mended)


def _entry(line: bytes) -> bytes | None:
    """A line that can be read: as it is, or what stands behind a piece of another that was cut off."""
    start = 0
    while start >= 0:
        candidate = line[start:]
        try:
            if isinstance(json.loads(candidate), dict):
                return candidate
        except ValueError:
            pass
        start = line.find(b'{"op_code"', start + 1)
    return None


def _unreadable(path: Path) -> list[int]:
    with path.open("rb") as file:
        lines = [line for line in file if line.endswith(b"\n")]
    return [number for number, line in enumerate(lines, start=1) if _entry(line) != line]


def _whole_lines(path: Path) -> list[bytes]:
    with path.open("rb") as file:
        entries = [_entry(line) for line in file if line.endswith(b"\n")]
    return [entry for entry in entries if entry is not None]
