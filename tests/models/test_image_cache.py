from __future__ import annotations

import json
import logging
import multiprocessing
import subprocess
import sys
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest
import torch

from models.image_cache import cache_key, cached_images
from models.image_decode import decode_tree
from models.image_set import ImageSet
from tests.models.image_files import tree, write_zip

KEY = cache_key("some source", 10)


class Builder:
    """Decodes an archive and counts how often it was asked to."""

    def __init__(self, folder: Path) -> None:
        self.path = write_zip(folder / "set.zip", tree())
        self.calls = 0

    def __call__(self) -> ImageSet:
        self.calls += 1
        return decode_tree(self.path, 10)


@pytest.fixture
def builder(tmp_path: Path) -> Builder:
    return Builder(tmp_path)


def test_the_second_call_reads_what_the_first_stored(tmp_path: Path, builder: Builder) -> None:
    first = cached_images(tmp_path, KEY, builder)
    second = cached_images(tmp_path, KEY, builder)
    assert builder.calls == 1
    assert second.fingerprint == first.fingerprint
    assert torch.equal(first.train_images, second.train_images)
    assert torch.equal(first.test_labels, second.test_labels)
    assert (second.class_names, second.name) == (first.class_names, first.name)
    assert not list((tmp_path / "data").glob("*.tmp"))


@pytest.mark.parametrize("where", [8, 100, 0.5, -1], ids=["header", "header text", "pixels", "last byte"])
def test_a_flipped_byte_is_noticed_and_rebuilt(
    tmp_path: Path, builder: Builder, caplog: pytest.LogCaptureFixture, where: float
) -> None:
    first = cached_images(tmp_path, KEY, builder)
    path = tmp_path / "data" / f"{KEY}.safetensors"
    data = bytearray(path.read_bytes())
    index = int(where * len(data)) if isinstance(where, float) else where
    data[index] ^= 0x10
    path.write_bytes(data)
    with caplog.at_level(logging.WARNING):
        again = cached_images(tmp_path, KEY, builder)
    assert builder.calls == 2
    assert "damaged and are decoded again" in caplog.text
    assert again.fingerprint == first.fingerprint
    assert cached_images(tmp_path, KEY, builder).fingerprint == first.fingerprint
    assert builder.calls == 2


@pytest.mark.parametrize("content", ["", "{}", "[]", "null", '{"name": 1', '{"fingerprint": "0"}'])
def test_a_damaged_description_is_rebuilt(
    tmp_path: Path, builder: Builder, caplog: pytest.LogCaptureFixture, content: str
) -> None:
    cached_images(tmp_path, KEY, builder)
    (tmp_path / "data" / f"{KEY}.json").write_text(content)
    cached_images(tmp_path, KEY, builder)
    assert builder.calls == 2
    assert "decoded again" in caplog.text


def test_other_class_names_are_noticed(tmp_path: Path, builder: Builder) -> None:
    cached_images(tmp_path, KEY, builder)
    path = tmp_path / "data" / f"{KEY}.json"
    fields = json.loads(path.read_text())
    fields["class_names"].reverse()
    path.write_text(json.dumps(fields))
    assert cached_images(tmp_path, KEY, builder).class_names == ("cat", "dog")


def test_images_without_description_are_no_entry(tmp_path: Path, builder: Builder) -> None:
    cached_images(tmp_path, KEY, builder)
    (tmp_path / "data" / f"{KEY}.json").unlink()
    (tmp_path / "data" / f"{KEY}.4711.tmp").write_bytes(b"left by a killed process")
    cached_images(tmp_path, KEY, builder)
    assert builder.calls == 2
    assert not list((tmp_path / "data").glob("*.tmp"))


def test_a_cache_that_cannot_be_written_only_warns(
    tmp_path: Path, builder: Builder, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    images = cached_images(tmp_path, KEY, builder)
    assert images.classes == 2
    assert "not kept" in caplog.text


FULL_DISK = """
import resource, sys
from pathlib import Path
from models.image_cache import cached_images
from models.image_decode import decode_tree
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))  # every file ends here, as on a full disk
images = cached_images(Path(sys.argv[1]), "key", lambda: decode_tree(Path(sys.argv[1], "set.zip"), 10))
print(images.classes)
"""


def test_a_full_disk_only_warns(tmp_path: Path, builder: Builder) -> None:
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path)]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "2\n"
    assert "not kept" in result.stderr
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["key.lock"]


def test_keys_depend_on_source_and_size() -> None:
    assert len({cache_key("a", 8), cache_key("b", 8), cache_key("a", 16)}) == 3
    assert cache_key("a", 8) == cache_key("a", 8)


def _decode_and_log(folder: Path, start: Event, log: Path) -> None:
    def build() -> ImageSet:
        with log.open("a") as stream:
            stream.write("built\n")
        return decode_tree(folder / "set.zip", 10)

    start.wait(60)
    images = cached_images(folder, KEY, build)
    with log.open("a") as stream:
        stream.write(images.fingerprint + "\n")


def test_two_processes_at_once_decode_once(tmp_path: Path, builder: Builder) -> None:
    context = multiprocessing.get_context("spawn")
    start, log = context.Event(), tmp_path / "log"
    workers = [context.Process(target=_decode_and_log, args=(tmp_path, start, log)) for _ in range(2)]
    for worker in workers:
        worker.start()
    start.set()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0, 0]
    lines = log.read_text().split()
    assert lines.count("built") == 1
    assert len(lines) == 3
    assert len(set(lines)) == 2
