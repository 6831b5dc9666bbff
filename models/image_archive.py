"""Members of a folder, tar or zip file, read in place: nothing is ever written to disk.

Only names and bytes come out of here; what the names mean is decided in ``models.image_tree``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import gzip
import hashlib
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Literal, cast

from hwcost.errors import OfframpError

ARCHIVE_SUFFIXES = (".tar.xz", ".txz", ".tar.gz", ".tgz", ".tar", ".zip")
MAX_MEMBER_BYTES = 64 * 2**20  # a photograph has a few MiB; a larger member is no training image
_TAR_BLOCK_BYTES = 512
_READ_BYTES = 2**20


@dataclasses.dataclass(frozen=True)
class Member:
    """One entry of an archive or folder.

    Attributes:
        path: Its path as stored, not checked yet.
        kind: What it is; ``other`` stands for devices, pipes and sockets.
        read: Returns its bytes; to be called before the next member is asked for.
    """

    path: str
    kind: Literal["file", "folder", "link", "other"]
    read: Callable[[], bytes]


def is_archive(path: Path) -> bool:
    """Whether the name of ``path`` ends like an archive that can be read."""
    return path.name.lower().endswith(ARCHIVE_SUFFIXES)


def members(path: Path) -> Iterator[Member]:
    """Yield the members of a folder or archive.

    Raises:
        OfframpError: When the archive is damaged, cut short or of an unknown kind.
    """
    name = path.name.lower()
    if path.is_dir():
        walk = _folder_members(path)
    elif name.endswith(".zip"):
        walk = _zip_members(path)
    elif is_archive(path):
        walk = _tar_members(path)
    else:
        raise OfframpError(
            f"expected a folder or an archive ({', '.join(ARCHIVE_SUFFIXES)}), got {path.name!r}"
        )
    with _damage_reported(path):
        for member in walk:
            yield dataclasses.replace(member, read=functools.partial(_guarded_read, path, member.read))


def _guarded_read(path: Path, read: Callable[[], bytes]) -> bytes:
    with _damage_reported(path):
        return read()


@contextlib.contextmanager
def _damage_reported(path: Path) -> Iterator[None]:
    """Turn what the archive libraries raise on damaged input into one clear line."""
    try:
        yield
    except (tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error, EOFError, OSError) as error:
        raise OfframpError(
            f"expected a readable archive, got {path.name!r} damaged or cut short "
            f"({_one_line(error)}); get it again"
        ) from error
    except (NotImplementedError, RuntimeError) as error:  # how zipfile says encrypted or unknown method
        raise OfframpError(
            f"expected a plain archive, got {path.name!r} which cannot be unpacked ({_one_line(error)}); "
            f"pack it without a password"
        ) from error


def identify(path: Path) -> str:
    """Return a SHA-256 that changes when the folder or archive does.

    Of a file it is the SHA-256 of its bytes, of a folder that of all relative paths, sizes, times of modification
    and change, and inodes: images of one size are unpacked with one modification time often enough, and the others
    nobody sets.
    """
    digest = hashlib.sha256()
    if path.is_dir():
        for part in ("train", "test"):
            for folder, names in _walk(path / part):
                for name in names:
                    status = (folder / name).lstat()
                    entry = (folder / name).relative_to(path).as_posix()
                    facts = status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino
                    digest.update(f"{entry!r} {facts}\n".encode())
        return digest.hexdigest()
    try:
        with path.open("rb") as stream:
            while block := stream.read(_READ_BYTES):
                digest.update(block)
    except OSError as error:
        raise OfframpError(f"expected a readable archive, got {path.name!r} ({_one_line(error)})") from error
    return digest.hexdigest()


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _walk(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yield each folder below ``root`` with the sorted names in it, following no link."""
    for folder, folders, files in os.walk(root):
        folders.sort()
        yield Path(folder), sorted(folders + files)


def _folder_members(root: Path) -> Iterator[Member]:
    for part in ("train", "test"):  # whatever else lies in the folder is not looked at
        if (root / part).is_symlink():
            yield Member(part, "link", bytes)
            continue
        for folder, names in _walk(root / part):
            yield Member(folder.relative_to(root).as_posix(), "folder", bytes)
            for name in names:
                yield _folder_member(root, folder / name)


def _folder_member(root: Path, path: Path) -> Member:
    status = path.lstat()
    kind: Literal["file", "folder", "link", "other"] = "other"
    if stat.S_ISLNK(status.st_mode):
        kind = "link"
    elif stat.S_ISDIR(status.st_mode):
        kind = "folder"
    elif stat.S_ISREG(status.st_mode):
        kind = "file"
    entry = path.relative_to(root).as_posix()

    def read() -> bytes:
        _check_size(entry, status.st_size)
        return path.read_bytes()

    return Member(entry, kind, read)


def _zip_members(path: Path) -> Iterator[Member]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():

            def read(info: zipfile.ZipInfo = info) -> bytes:
                _check_size(info.filename, info.file_size)
                with archive.open(info) as stream:  # checks the CRC at the end of the member
                    return stream.read()

            kind: Literal["file", "folder", "link"] = "folder" if info.is_dir() else "file"
            if stat.S_ISLNK(info.external_attr >> 16):
                kind = "link"
            # orig_filename keeps what ZipInfo may have cut off or replaced: it is the one to check.
            yield Member(info.orig_filename, kind, read)


def _tar_members(path: Path) -> Iterator[Member]:
    compressed = not path.name.lower().endswith(".tar")
    with _open_tar_stream(path) as stream:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for info in archive:

                def read(info: tarfile.TarInfo = info) -> bytes:
                    _check_size(info.name, info.size)
                    extracted = archive.extractfile(info)
                    return b"" if extracted is None else extracted.read()

                kind: Literal["file", "folder", "link", "other"] = "other"
                if info.issym() or info.islnk():
                    kind = "link"
                elif info.isdir():
                    kind = "folder"
                elif info.isreg():
                    kind = "file"
                yield Member(info.name, kind, read)
            end = archive.offset
        # A damaged header ends tarfile's loop without a word. Compressed streams are found out by
        # their own checksum once read to the end; plain ones by the mark that must stand there.
        if compressed:
            while stream.read(_READ_BYTES):
                pass
        else:
            stream.seek(end)
            if stream.read(_TAR_BLOCK_BYTES) != bytes(_TAR_BLOCK_BYTES):
                raise tarfile.ReadError(f"no end mark at byte {end}")


def _open_tar_stream(path: Path) -> IO[bytes]:
    name = path.name.lower()
    if name.endswith((".tar.xz", ".txz")):
        return cast(IO[bytes], lzma.open(path))
    if name.endswith((".tar.gz", ".tgz")):
        return cast(IO[bytes], gzip.open(path))
    return path.open("rb")


def _check_size(entry: str, size_bytes: int) -> None:
    if size_bytes > MAX_MEMBER_BYTES:
        raise OfframpError(
            f"expected images of at most {MAX_MEMBER_BYTES} bytes, got {entry!r} with {size_bytes}; "
            f"remove or shrink it"
        )
