from __future__ import annotations

import pydantic
import pytest

from hwcost.errors import OfframpError
from models.augment_spec import AugmentSpec


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("flip", "yes"),
        ("crop_padding", -1),
        ("crop_padding", 1.5),
        ("cutout", True),
        ("padding_mode", "wrap"),
    ],
)
def test_settings_that_mean_nothing_are_refused(field: str, value: object) -> None:
    with pytest.raises(OfframpError, match=f"augment {field}"):
        AugmentSpec(**{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("safe", [True, False])
def test_flip_is_decided_by_the_data_unless_given(safe: bool) -> None:
    assert AugmentSpec().resolved(safe).flip is safe
    assert AugmentSpec(flip=True).resolved(safe).flip is True
    assert AugmentSpec(flip=False).resolved(safe).flip is False


@pytest.mark.parametrize("field", ["crop_padding", "cutout"])
def test_settings_larger_than_the_image(field: str) -> None:
    AugmentSpec(**{field: 7}).check_image_size(8)  # type: ignore[arg-type]
    with pytest.raises(OfframpError, match=f"{field} below the image size 8"):
        AugmentSpec(**{field: 8}).check_image_size(8)  # type: ignore[arg-type]


def test_a_configuration_can_embed_the_spec() -> None:
    adapter = pydantic.TypeAdapter(AugmentSpec)
    assert adapter.validate_python({"cutout": 8}) == AugmentSpec(cutout=8)
    for bad in ({"cutout": -8}, {"cut_out": 8}, {"padding_mode": "wrap"}):
        with pytest.raises(pydantic.ValidationError):
            adapter.validate_python(bad)
