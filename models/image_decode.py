"""From encoded images to uint8 tensors of one size."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from hwcost.errors import OfframpError
from models.image_set import ImageSet, content_fingerprint
from models.image_tree import PARTS, ImageFile, read_tree

DecodeProgress = Callable[[int], None]

# Formats are named so that a file cannot reach Pillow's decoders that start other programs.
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "PPM", "TIFF")
_GREY_MODES = ("1", "L")
_COLOUR_MODES = ("RGB", "P", "CMYK", "YCbCr")
_MAX_DECODED_BYTES = 8 * 2**30
_MAX_PIXELS = 64 * 2**20  # below the size from which Pillow warns of decompression bombs
_PROGRESS_EVERY = 1000


class _Decoder:
    """Decodes one image after another and holds each to the size and kind of the first."""

    def __init__(self, image_size: int) -> None:
        self.image_size = image_size
        self.channels = 0
        self._source_size = (0, 0)
        self._first = ""

    def decode(self, file: ImageFile) -> bytes:
        """Return ``image_size * image_size * channels`` bytes in (h, w, c) order."""
        try:
            image = Image.open(io.BytesIO(file.data), formats=_FORMATS)
            self._check(image, file.path)
            pixels: Image.Image = image.convert("L" if self.channels == 1 else "RGB")
        except OfframpError:
            raise
        except Exception as error:  # damaged bytes raise a dozen unrelated types inside Pillow
            raise OfframpError(f"expected an image, got {file.path!r} which is broken; remove it") from error
        return resize(pixels, self.image_size).tobytes()

    def _check(self, image: Image.Image, path: str) -> None:
        if image.mode not in _GREY_MODES + _COLOUR_MODES:
            raise OfframpError(
                f"expected grey or RGB images of 8 bits without transparency, got {path!r} of mode "
                f"{image.mode}; convert it"
            )
        channels = 1 if image.mode in _GREY_MODES else 3
        width, height = image.size
        if not self._first:
            if width != height or width * height > _MAX_PIXELS:
                raise OfframpError(
                    f"expected square images of at most {_MAX_PIXELS} pixels, got {path!r} with "
                    f"{width}x{height}; crop them"
                )
            self._first, self._source_size, self.channels = path, image.size, channels
        if image.size != self._source_size:
            raise OfframpError(
                f"expected images of one size, got {path!r} with {width}x{height} and {self._first!r} with "
                f"{self._source_size[0]}x{self._source_size[1]}; resize them"
            )
        if channels != self.channels:
            grey, colour = (path, self._first) if channels == 1 else (self._first, path)
            raise OfframpError(
                f"expected all images grey or all in colour, got {grey!r} grey and {colour!r} in colour; "
                f"convert them"
            )


def resize(image: Image.Image, image_size: int) -> Image.Image:
    """Resize to a square, bilinearly; Pillow widens the filter where it shrinks, so nothing aliases."""
    if image.size == (image_size, image_size):
        return image
    return image.resize((image_size, image_size), Image.Resampling.BILINEAR)


def decode_tree(path: Path, image_size: int, progress: DecodeProgress | None = None) -> ImageSet:
    """Decode all images of a folder or archive.

    Classes and images are ordered by name, so a folder and an archive of it give the same tensors.

    Args:
        path: Folder or archive.
        image_size: Height and width that every image is resized to.
        progress: Called now and then with the number of images decoded so far.

    Raises:
        OfframpError: At the first thing that is wrong with the tree or an image.
    """
    decoder = _Decoder(image_size)
    pixels: dict[str, list[tuple[str, str, bytes]]] = {part: [] for part in PARTS}
    n_bytes = n_images = 0
    for file in read_tree(path):
        decoded = decoder.decode(file)
        pixels[file.part].append((file.class_name, file.name, decoded))
        n_images += 1
        n_bytes += len(decoded)
        if n_bytes > _MAX_DECODED_BYTES:
            raise OfframpError(
                f"expected at most {_MAX_DECODED_BYTES >> 30} GiB of decoded images, got more in "
                f"{path.name!r} at image size {image_size}; set a smaller image size or use fewer images"
            )
        if progress is not None and n_images % _PROGRESS_EVERY == 0:
            progress(n_images)
    if progress is not None:
        progress(n_images)
    class_names = tuple(sorted({class_name for class_name, _, _ in pixels["train"]}))
    tensors: list[Tensor] = []
    for part in PARTS:
        tensors += _stack(pixels.pop(part), class_names, image_size, decoder.channels)
    train_images, train_labels, test_images, test_labels = tensors
    return ImageSet(
        name=path.name,
        train_images=train_images,
        train_labels=train_labels,
        test_images=test_images,
        test_labels=test_labels,
        class_names=class_names,
        fingerprint=content_fingerprint(train_images, train_labels, test_images, test_labels, class_names),
        archive_name=path.name,
    )


def _stack(
    entries: list[tuple[str, str, bytes]], class_names: tuple[str, ...], image_size: int, channels: int
) -> tuple[Tensor, Tensor]:
    """Return images (n, c, h, w) uint8 and labels (n,) int64, ordered by class and file name."""
    entries.sort(key=lambda entry: entry[:2])
    labels = {name: index for index, name in enumerate(class_names)}
    flat = np.frombuffer(b"".join(entry[2] for entry in entries), dtype=np.uint8)
    pixels = flat.reshape(len(entries), image_size, image_size, channels).transpose(0, 3, 1, 2)
    return (
        torch.from_numpy(pixels.copy()),  # the copy is contiguous as (n, c, h, w)
        torch.tensor([labels[entry[0]] for entry in entries], dtype=torch.int64),
    )
