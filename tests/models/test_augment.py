from __future__ import annotations

import numpy as np
import pytest
import torch

from models.augment import AugmentSpec, augment_batch, normalize_batch

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
OFF = AugmentSpec(flip=False, crop_padding=0)


def batch(n: int = 64, channels: int = 3, size: int = 12) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randint(0, 256, (n, channels, size, size), dtype=torch.uint8, generator=generator)


def augment(
    images: torch.Tensor, spec: AugmentSpec, seed: int = 0, channels_last: bool = False
) -> torch.Tensor:
    """Return the augmented batch scaled back to 0..255."""
    generator = torch.Generator().manual_seed(seed)
    mean, std = MEAN[: images.shape[1]], STD[: images.shape[1]]
    out = augment_batch(images, spec, mean, std, generator, channels_last)
    scale = torch.tensor(std).view(1, -1, 1, 1)
    return (out * scale + torch.tensor(mean).view(1, -1, 1, 1)) * 255


def test_normalization_against_the_formula() -> None:
    images = batch()
    expected = (images.numpy() / 255.0 - np.array(MEAN)[:, None, None]) / np.array(STD)[:, None, None]
    np.testing.assert_allclose(normalize_batch(images, MEAN, STD).numpy(), expected, atol=1e-5)


def test_nothing_to_do_is_normalization() -> None:
    images = batch()
    generator = torch.Generator().manual_seed(0)
    state = generator.get_state()
    out = augment_batch(images, OFF, MEAN, STD, generator)
    assert torch.equal(out, normalize_batch(images, MEAN, STD))
    assert torch.equal(generator.get_state(), state)


@pytest.mark.parametrize("mode", ["reflect", "zero"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_image_is_one_of_the_possible_crops(mode: str, channels: int) -> None:
    images = batch(n=40, channels=channels, size=8)
    spec = AugmentSpec(flip=True, crop_padding=3, padding_mode=mode)  # type: ignore[arg-type]
    out = augment(images, spec).round().to(torch.uint8).numpy()
    for image, result in zip(images.numpy(), out, strict=True):
        how = {"mode": "reflect"} if mode == "reflect" else {"mode": "constant"}
        padded = np.pad(image, ((0, 0), (3, 3), (3, 3)), **how)  # type: ignore[call-overload]
        crops = [padded[:, y : y + 8, x : x + 8] for y in range(7) for x in range(7)]
        assert any(np.array_equal(result, crop) or np.array_equal(result, crop[:, :, ::-1]) for crop in crops)


def test_flips_come_about_half_the_time_and_shifts_reach_both_ends() -> None:
    images = batch(n=1, size=8).expand(2000, -1, -1, -1)
    flips = augment(images, AugmentSpec(flip=True, crop_padding=0)).round().to(torch.uint8)
    same = (flips == images).flatten(1).all(1)
    mirrored = (flips == images.flip(3)).flatten(1).all(1)
    assert torch.equal(same, ~mirrored)
    assert 850 < int(mirrored.sum()) < 1150
    crops = augment(images, AugmentSpec(flip=False, crop_padding=2)).round().to(torch.uint8)
    kinds = torch.unique(crops.flatten(1), dim=0)
    assert kinds.shape[0] == 25


@pytest.mark.parametrize("side", [1, 4, 5])
def test_cutout_hides_one_square_under_the_mean(side: int) -> None:
    images = torch.full((500, 1, 12, 12), 255, dtype=torch.uint8)
    spec = AugmentSpec(flip=False, crop_padding=0, cutout=side)
    out = augment(images, spec)
    hidden = (out - 255 * MEAN[0]).abs() < 0.01
    assert torch.all(hidden | ((out - 255).abs() < 0.01))
    rows, columns = hidden.any(3).sum(2), hidden.any(2).sum(2)
    assert torch.equal(hidden.flatten(1).sum(1), (rows * columns).flatten())
    assert int(rows.max()) == int(columns.max()) == side
    # The centre is inside, so at least the smaller half of the square is, too.
    assert int(rows.min()) == int(columns.min()) == (side + 1) // 2


def test_the_generator_decides_and_the_input_stays() -> None:
    images = batch()
    before = images.clone()
    spec = AugmentSpec(flip=True, cutout=4)
    torch.manual_seed(1)
    first = augment(images, spec, seed=3)
    torch.manual_seed(2)
    assert torch.equal(first, augment(images, spec, seed=3))
    assert not torch.equal(first, augment(images, spec, seed=4))
    assert torch.equal(images, before)


def test_channels_last_changes_the_layout_alone() -> None:
    images = batch()
    spec = AugmentSpec(flip=True, cutout=4)
    generators = [torch.Generator().manual_seed(0) for _ in range(2)]
    plain = augment_batch(images, spec, MEAN, STD, generators[0])
    last = augment_batch(images, spec, MEAN, STD, generators[1], channels_last=True)
    assert torch.equal(plain, last)
    assert plain.is_contiguous()
    assert last.is_contiguous(memory_format=torch.channels_last)
