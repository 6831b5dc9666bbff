"""Which random changes are made to training images. Imports nothing heavy: configurations embed it."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

from hwcost.errors import OfframpError


@dataclasses.dataclass(frozen=True)
class AugmentSpec:
    """Random changes made to each training image.

    Attributes:
        flip: Mirror left to right with probability 1/2. None: where mirrored images keep their class
            (not for digits).
        crop_padding: Shift by up to this many pixels in both directions; 0 turns it off.
        padding_mode: What appears at the border of a shifted image: its reflection or black.
        cutout: Side in pixels of one square set to the mean colour; 0 turns it off. Its centre lies
            anywhere in the image, so the square may stick out (DeVries and Taylor 2017, section 3).
    """

    flip: bool | None = None
    crop_padding: int = 4
    padding_mode: Literal["reflect", "zero"] = "reflect"
    cutout: int = 0

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        if self.flip is not None and not isinstance(self.flip, bool):
            raise OfframpError(f"expected true or false for augment flip, got {self.flip!r}")
        for name in ("crop_padding", "cutout"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise OfframpError(f"expected a number of pixels from 0 for augment {name}, got {value!r}")
        if self.padding_mode not in ("reflect", "zero"):
            raise OfframpError(
                f"expected reflect or zero for augment padding_mode, got {self.padding_mode!r}"
            )

    def resolved(self, mirror_safe: bool) -> AugmentSpec:
        """Return the spec with ``flip`` decided: None becomes ``mirror_safe``."""
        return self if self.flip is not None else dataclasses.replace(self, flip=mirror_safe)

    def check_image_size(self, image_size: int) -> None:
        """Refuse settings that images of this size cannot take.

        Raises:
            OfframpError: When the padding or the cutout square is as large as the image.
        """
        for name in ("crop_padding", "cutout"):
            value = getattr(self, name)
            if value >= image_size:
                raise OfframpError(
                    f"expected augment {name} below the image size {image_size}, got {value}; set less"
                )
