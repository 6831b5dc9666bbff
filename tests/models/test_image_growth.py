import torch
from hypothesis import given
from hypothesis import strategies as st

from models.image_growth import SIDE_STEP, image_side, resize_batch


@given(
    st.integers(1, 400),
    st.sampled_from((16, 30, 32, 64)),
    st.floats(0.25, 1.0),
    st.floats(0.0, 1.0),
)
def test_sides_never_fall_and_end_at_the_full_one(n_steps, full_side, start_size, full_size_from):
    sides = [image_side(step, n_steps, full_side, start_size, full_size_from) for step in range(n_steps + 1)]
    assert sides == sorted(sides)
    assert sides[-1] == full_side
    assert all(side == full_side or side % SIDE_STEP == 0 for side in sides)
    # The first step has the share that was asked for, to the nearest multiple.
    if full_size_from > 0:
        assert abs(sides[0] - start_size * full_side) <= SIDE_STEP / 2 or sides[0] == full_side


def test_the_schedule_by_hand():
    # 100 steps, growing over 60: 16 pixels in steps 0 to 30, then a rise of 16 pixels over 30 steps.
    sides = [image_side(step, 100, 32, 0.5, 0.6) for step in range(100)]
    assert set(sides[:31]) == {16}
    assert (sides[38], sides[45], sides[53]) == (20, 24, 28)  # 16 + 16 x (8, 15, 23) / 30, to multiples of 4
    assert set(sides[60:]) == {32}
    assert {image_side(step, 100, 32, 1.0, 0.6) for step in range(100)} == {32}


def test_areas_are_averaged_and_the_own_side_is_left_alone():
    images = torch.arange(32.0).view(1, 2, 4, 4)
    halved = resize_batch(images, 2)
    assert torch.equal(halved[0, 0], torch.tensor([[2.5, 4.5], [10.5, 12.5]]))
    assert resize_batch(images, 4) is images
