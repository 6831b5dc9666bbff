from __future__ import annotations

import io
import os
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from hwcost.errors import OfframpError
from models.image_tree import read_tree
from tests.models.image_files import encoded, tree, write_folder, write_tar, write_zip

CLIMBING = [
    "../outside.png",
    "/tmp/outside.png",
    "train/cat/../../../x.png",
    "train\\..\\..\\x.png",
    "C:/x.png",
]


def refused(path: Path, message: str) -> None:
    with pytest.raises(OfframpError, match=message) as caught:
        list(read_tree(path))
    assert "\n" not in str(caught.value)


def test_parts_classes_and_names(tmp_path: Path) -> None:
    files = tree(per_class=1)
    found = list(read_tree(write_tar(tmp_path / "set.tar", files, "w")))
    assert [(file.part, file.class_name, file.name) for file in found] == [
        ("train", "cat", "0000.png"),
        ("train", "dog", "0000.png"),
        ("test", "cat", "0000.png"),
        ("test", "dog", "0000.png"),
    ]
    assert [file.data for file in found] == list(files.values())


@pytest.mark.parametrize("prefix", ["./", "pictures/", "./pictures/"])
def test_an_enclosing_folder_is_fine(tmp_path: Path, prefix: str) -> None:
    files = {prefix + name: data for name, data in tree().items()}
    files["readme.md"] = b"hello"
    assert len(list(read_tree(write_tar(tmp_path / "set.tar", files, "w")))) == 12


def test_two_data_sets_in_one_archive(tmp_path: Path) -> None:
    files = {f"{prefix}/{name}": data for prefix in ("a", "b") for name, data in tree().items()}
    refused(write_zip(tmp_path / "set.zip", files), "expected one train/ and one test/")


def test_hidden_and_other_files_are_left_alone(tmp_path: Path) -> None:
    extra = {
        "train/cat/.DS_Store": b"x",
        "train/cat/Thumbs.db": b"x",
        "train/labels.txt": b"x",
        "__MACOSX/train/cat/0000.png": b"x",
        "train/.hidden/0000.png": b"x",
    }
    assert len(list(read_tree(write_zip(tmp_path / "set.zip", tree() | extra)))) == 12


@pytest.mark.parametrize("name", CLIMBING)
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_climbing_paths_are_refused_and_nothing_is_written(tmp_path: Path, name: str, kind: str) -> None:
    files = tree() | {name: encoded(0)}
    root = tmp_path / "inner" / "deep"
    root.mkdir(parents=True)
    path = write_zip(root / "set.zip", files) if kind == "zip" else write_tar(root / "set.tar", files, "w")
    refused(path, "leads out of it")
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [path]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_tar_are_refused(tmp_path: Path, kind: bytes) -> None:
    path = write_tar(tmp_path / "set.tar", tree(), "w")
    with tarfile.open(path, "a") as archive:
        info = tarfile.TarInfo("train/cat/passwd.png")
        info.type = kind
        info.linkname = "/etc/passwd"
        archive.addfile(info)
    refused(path, "expected plain files and folders, got .*passwd.png")


def test_links_in_zip_are_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "set.zip", tree())
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo("train/cat/passwd.png")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    refused(path, "got a link 'train/cat/passwd.png'")


@pytest.mark.parametrize("where", ["train/cat/link.png", "train/bird", "test"])
def test_links_in_folders_are_refused(tmp_path: Path, where: str) -> None:
    files = {name: data for name, data in tree().items() if not name.startswith(where + "/")}
    root = write_folder(tmp_path / "set", files)
    outside = tmp_path / "outside"
    outside.mkdir()
    (root / where).symlink_to(outside)
    refused(root, f"got a link '{where}'")


def test_pipes_in_folders_are_refused(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "set", tree())
    os.mkfifo(root / "train/cat/pipe.png")
    refused(root, "got a device or pipe")


@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_a_missing_part(tmp_path: Path, part: str, kind: str) -> None:
    files = {name: data for name, data in tree().items() if not name.startswith(part)}
    path = write_zip(tmp_path / "a.zip", files) if kind == "zip" else write_folder(tmp_path / "set", files)
    refused(path, f"got no class folder under {part}/")


def test_an_archive_without_either(tmp_path: Path) -> None:
    refused(write_zip(tmp_path / "set.zip", {"cat/1.png": encoded(0)}), "got no class folder under train/")


def test_an_empty_class_folder(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "set.tar", tree(), "w", folders=("train", "train/bird", "test/bird"))
    refused(path, "got none in train/bird/")
    root = write_folder(tmp_path / "set", tree())
    (root / "test/bird").mkdir()
    refused(root, "got none in test/bird/")


def test_other_classes_in_test(tmp_path: Path) -> None:
    files = tree(classes=("cat", "dog", "eel")) | {"test/fox/1.png": encoded(1)}
    files = {name: data for name, data in files.items() if not name.startswith("test/eel")}
    refused(write_zip(tmp_path / "set.zip", files), "only in train: 'eel', only in test: 'fox'")


def test_one_class(tmp_path: Path) -> None:
    refused(write_zip(tmp_path / "set.zip", tree(classes=("cat",))), "expected two or more classes .* 'cat'")


@pytest.mark.parametrize("name", ["train/1.png", "train/cat/black/1.png"])
def test_images_at_another_depth(tmp_path: Path, name: str) -> None:
    refused(write_zip(tmp_path / "set.zip", tree() | {name: encoded(0)}), f"<class>/<image>, got '{name}'")


def test_a_path_twice(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "set.tar", tree(), "w")
    data = encoded(5)
    with tarfile.open(path, "a") as archive:
        info = tarfile.TarInfo("./train/cat/0000.png")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    refused(path, "twice")


def test_a_line_break_in_a_name_stays_one_line(tmp_path: Path) -> None:
    refused(write_tar(tmp_path / "set.tar", tree() | {"../a\nb.png": b""}, "w"), "leads out of it")
