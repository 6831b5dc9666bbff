from __future__ import annotations

import hashlib
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from hwcost.errors import OfframpError
from models.image_archive import MAX_MEMBER_BYTES, identify, is_archive, members
from tests.models.image_files import encoded, tree, write_folder, write_tar, write_zip

Writer = Callable[[Path, dict[str, bytes]], Path]
WRITERS: dict[str, Writer] = {
    "set.tar": lambda path, files: write_tar(path, files, "w"),
    "set.tar.gz": lambda path, files: write_tar(path, files, "w:gz"),
    "set.tgz": lambda path, files: write_tar(path, files, "w:gz"),
    "set.tar.xz": write_tar,
    "set.TXZ": write_tar,
    "set.zip": write_zip,
    "set": write_folder,
}


def contents(path: Path) -> dict[str, bytes]:
    return {member.path: member.read() for member in members(path) if member.kind == "file"}


@pytest.mark.parametrize("name", WRITERS)
def test_every_kind_gives_the_same_files(tmp_path: Path, name: str) -> None:
    files = tree()
    path = WRITERS[name](tmp_path / name, files)
    assert contents(path) == files
    assert is_archive(path) == (name != "set")


@pytest.mark.parametrize("name", [name for name in WRITERS if name != "set"])
@pytest.mark.parametrize("keep", [0.0, 0.3, 0.6])
def test_a_cut_archive_is_refused(tmp_path: Path, name: str, keep: float) -> None:
    path = WRITERS[name](tmp_path / name, tree())
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(OfframpError, match=f"{name}.*damaged or cut short"):
        contents(path)


def test_a_tar_cut_between_two_members_is_refused(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "set.tar", tree(), "w")
    with tarfile.open(path) as archive:
        third = archive.getmembers()[3].offset
    path.write_bytes(path.read_bytes()[:third])
    with pytest.raises(OfframpError, match="no end mark"):
        contents(path)


def test_a_tar_with_a_damaged_header_is_refused(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "set.tar", tree(), "w")
    with tarfile.open(path) as archive:
        header = archive.getmembers()[4].offset
    data = bytearray(path.read_bytes())
    data[header + 3] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(OfframpError, match="damaged or cut short"):
        contents(path)


@pytest.mark.parametrize("name", ["set.tar.xz", "set.tar.gz", "set.zip"])
def test_changed_bytes_are_refused(tmp_path: Path, name: str) -> None:
    path = WRITERS[name](tmp_path / name, tree(per_class=20))
    data = bytearray(path.read_bytes())
    middle = len(data) // 3
    for offset in range(64):
        data[middle + offset] ^= 0x5A
    path.write_bytes(data)
    with pytest.raises(OfframpError, match="damaged or cut short"):
        contents(path)


def test_another_file_type_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "set.rar"
    path.write_bytes(b"Rar!")
    with pytest.raises(OfframpError, match=r"expected a folder or an archive .*got 'set.rar'"):
        list(members(path))
    text = tmp_path / "set.tar.xz"
    text.write_text("not an archive")
    with pytest.raises(OfframpError, match="damaged"):
        list(members(text))


def test_a_huge_member_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "set.zip"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("train/cat/bomb.png", "w") as stream,
    ):
        for _ in range(MAX_MEMBER_BYTES // 2**20 + 1):
            stream.write(bytes(2**20))
    assert path.stat().st_size < 2**20
    with pytest.raises(OfframpError, match=r"bomb\.png"):
        contents(path)


def test_identity_of_a_file_is_its_sha256(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "set.zip", tree())
    assert identify(path) == hashlib.sha256(path.read_bytes()).hexdigest()


def test_identity_of_a_folder_follows_names_sizes_and_times(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "set", tree())
    before = identify(root)
    assert identify(root) == before
    image = root / "train/cat/0000.png"
    os.utime(image, ns=(0, 1))
    touched = identify(root)
    (root / "train/cat/0001.png").rename(root / "train/cat/9999.png")
    renamed = identify(root)
    (root / "test/dog/new.png").write_bytes(encoded(99))
    assert len({before, touched, renamed, identify(root)}) == 4


def test_images_of_one_size_and_one_time_of_modification_are_told_apart(tmp_path: Path) -> None:
    """As bitmaps are that a reproducible archive was unpacked to."""
    roots = [write_folder(tmp_path / name, tree()) for name in ("one", "other")]
    for root in roots:
        for file in root.rglob("*.png"):
            file.write_bytes(root.name[0].encode() * 100)
            os.utime(file, ns=(0, 0))
    assert identify(roots[0]) != identify(roots[1])
    before = identify(roots[0])
    changed = roots[0] / "train/cat/0000.png"
    changed.write_bytes(b"x" * 100)
    os.utime(changed, ns=(0, 0))
    assert identify(roots[0]) != before
