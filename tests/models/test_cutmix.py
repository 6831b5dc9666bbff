import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.cutmix import cut_and_mix


def batch(n: int, side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images that are their number everywhere, so that a pixel tells where it is from; number i has class i % 3."""
    numbers = torch.arange(n, dtype=torch.float32)
    images = numbers.view(n, 1, 1, 1).expand(n, 2, side, side).contiguous(memory_format=torch.channels_last)
    return images, torch.arange(n) % 3


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 9), st.integers(3, 12), st.floats(0, 1), st.integers(0, 2**31))
def test_a_label_is_shared_as_the_pixels_are(n, side, share, seed) -> None:
    images, labels = batch(n, side)
    mixed, probabilities = cut_and_mix(images, labels, 3, share, torch.Generator().manual_seed(seed))
    for i in range(n):
        expected = torch.zeros(3)
        for number in mixed[i, 0].flatten().tolist():
            assert number in (i, (i - 1) % n)
            expected[int(number) % 3] += 1 / side**2
        torch.testing.assert_close(probabilities[i], expected)
        assert torch.equal(mixed[i, 0], mixed[i, 1])  # all channels of a pixel are from one image
        foreign = (mixed[i, 0] != i).nonzero()
        if len(foreign):
            low, high = foreign.amin(0), foreign.amax(0)
            assert len(foreign) == int((high - low + 1).prod())  # one whole rectangle


def test_no_share_changes_nothing() -> None:
    images, labels = batch(5, 8)
    mixed, probabilities = cut_and_mix(images, labels, 3, 0.0, torch.Generator().manual_seed(0))
    assert torch.equal(mixed, images)
    assert torch.equal(probabilities.argmax(1), labels)
    assert set(probabilities.flatten().tolist()) == {0.0, 1.0}


def test_what_is_given_stays_and_what_comes_is_laid_out_like_it() -> None:
    images, labels = batch(6, 8)
    before = images.clone()
    first, _ = cut_and_mix(images, labels, 3, 1.0, torch.Generator().manual_seed(1))
    again, _ = cut_and_mix(images, labels, 3, 1.0, torch.Generator().manual_seed(1))
    assert torch.equal(images, before)
    assert torch.equal(first, again)
    assert first.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("share", [0.25, 1.0])
def test_as_many_images_are_mixed_as_asked_with_areas_of_every_size(share) -> None:
    images, labels = batch(4000, 16)
    mixed, _ = cut_and_mix(images, labels, 3, share, torch.Generator().manual_seed(2))
    foreign = (mixed[:, 0] != images[:, 0]).float().mean((1, 2))
    # A rectangle that is cut off at the border or misses every pixel's centre may leave nothing.
    assert (foreign > 0).float().mean().item() == pytest.approx(share, abs=0.04)
    some = foreign[foreign > 0]
    assert some.min() < 0.05
    assert some.max() > 0.8
    # By hand: a side s of 1 about a uniform centre covers s - s^2 / 4 of it; s^2 is uniform, so the mean of the
    # square of that is 1/2 - 1/5 + 1/48 with s^3 and s^4 of mean 2/5 and 1/3.
    assert foreign.mean().item() == pytest.approx(share * (1 / 2 - 2 / 5 / 2 + 1 / 3 / 16), abs=0.015)
