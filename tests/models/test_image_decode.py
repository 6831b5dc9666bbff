from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hwcost.errors import OfframpError
from models.image_decode import decode_tree, resize
from tests.models.image_files import encoded, tree, write_folder, write_tar, write_zip


def test_pixels_and_labels_against_a_plain_loop(tmp_path: Path) -> None:
    files = tree(per_class=4, classes=("eel", "cat", "dog"))
    images = decode_tree(write_zip(tmp_path / "set.zip", files), 10)
    assert images.class_names == ("cat", "dog", "eel")
    expected = sorted(name for name in files if name.startswith("train/"))
    assert images.train_images.shape == (len(expected), 3, 10, 10)
    for index, name in enumerate(expected):
        pixels = np.asarray(Image.open(io.BytesIO(files[name])))
        for channel in range(3):
            assert np.array_equal(images.train_images[index, channel].numpy(), pixels[:, :, channel])
        assert images.class_names[int(images.train_labels[index])] == name.split("/")[1]


def test_order_and_kind_of_storage_do_not_matter(tmp_path: Path) -> None:
    files = tree()
    backwards = dict(reversed(files.items()))
    prints = {
        decode_tree(path, 8).fingerprint
        for path in (
            write_folder(tmp_path / "set", files),
            write_tar(tmp_path / "set.tar.xz", files),
            write_zip(tmp_path / "set.zip", backwards),
        )
    }
    assert len(prints) == 1
    files["train/cat/0000.png"] = encoded(1234)
    assert decode_tree(write_zip(tmp_path / "other.zip", files), 8).fingerprint not in prints


def test_images_are_resized_with_antialiasing(tmp_path: Path) -> None:
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::2] = 255  # one pixel wide: without antialiasing they would come out black or white
    stream = io.BytesIO()
    Image.fromarray(stripes).save(stream, format="PNG")
    files = tree(size=64, mode="L") | {"train/cat/0000.png": stream.getvalue()}
    images = decode_tree(write_zip(tmp_path / "set.zip", files), 16)
    inner = images.train_images[0, 0, 2:-2, 2:-2].to(torch.float32)
    assert 100 < float(inner.min()) <= float(inner.max()) < 155


@pytest.mark.parametrize("value", [0, 100, 255])
def test_resizing_keeps_a_flat_image(value: int) -> None:
    image = Image.fromarray(np.full((8, 8), value, np.uint8))
    assert np.unique(np.asarray(resize(image, 32))).tolist() == [value]


def test_grey_images_have_one_channel(tmp_path: Path) -> None:
    images = decode_tree(write_zip(tmp_path / "set.zip", tree(mode="L")), 10)
    assert (images.channels, images.image_size, images.classes) == (1, 10, 2)


def test_progress_ends_at_the_number_of_images(tmp_path: Path) -> None:
    calls: list[int] = []
    decode_tree(write_zip(tmp_path / "set.zip", tree()), 10, calls.append)
    assert calls[-1] == 12


BROKEN = {
    "text": b"not an image at all",
    "empty": b"",
    "cut JPEG": encoded(0, size=64, file_format="JPEG")[:400],
    "cut PNG": encoded(0, size=64)[:400],
    "PNG with a changed header": encoded(0)[:20] + b"\xff" * 12 + encoded(0)[32:],
    "program for another decoder": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_image_is_named(tmp_path: Path, data: bytes) -> None:
    files = tree(size=64) | {"train/dog/0001.png": data}
    with pytest.raises(OfframpError, match=r"expected an image, got 'train/dog/0001.png' which is broken"):
        decode_tree(write_zip(tmp_path / "set.zip", files), 10)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            encoded(0, size=12),
            r"expected images of one size, got 'train/dog/0001.png' with 12x12 and '.*10x10",
        ),
        (encoded(0, mode="L"), r"all images grey or all in colour, got 'train/dog/0001.png' grey"),
        (encoded(0, mode="RGBA"), "got 'train/dog/0001.png' of mode RGBA"),
    ],
)
def test_images_that_do_not_go_together(tmp_path: Path, data: bytes, message: str) -> None:
    files = tree() | {"train/dog/0001.png": data}
    with pytest.raises(OfframpError, match=message):
        decode_tree(write_zip(tmp_path / "set.zip", files), 10)


def test_oblong_images_are_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (10, 12)).save(stream, format="PNG")
    files = dict.fromkeys(tree(), stream.getvalue())
    with pytest.raises(OfframpError, match=r"expected square images .* 10x12"):
        decode_tree(write_zip(tmp_path / "set.zip", files), 10)


def test_a_decompression_bomb_is_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.new("1", (20000, 20000)).save(stream, format="PNG")
    assert len(stream.getvalue()) < 2**20
    files = dict.fromkeys(tree(), stream.getvalue())
    with pytest.raises(OfframpError):
        decode_tree(write_zip(tmp_path / "set.zip", files), 10)
