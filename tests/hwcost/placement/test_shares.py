"""Shares of channels."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hwcost.placement.shares import UNITS, Spans, channel_bounds, moved_bits, whole
from tests.reference.split_oracle import owners


@settings(max_examples=100)
@given(channels=st.integers(1, 300), pes=st.lists(st.integers(1, 64), min_size=1, max_size=5))
def test_every_channel_has_one_core_and_cores_get_what_they_can_do(channels: int, pes: list[int]) -> None:
    bounds = channel_bounds(np.array([channels]), np.array([[pes]], dtype=float))[0, 0, 0]
    assert bounds[0] == 0
    assert bounds[-1] == channels
    assert (np.diff(bounds) >= 0).all()
    counts = [owners(channels, pes).count(core) for core in range(len(pes))]
    assert np.diff(bounds).tolist() == counts
    # within a unit and the rounding of its ends
    share = np.array(pes) / sum(pes) * channels
    assert (np.abs(np.diff(bounds) - share) <= 2 * -(-channels // UNITS)).all()


def test_what_is_there_already_does_not_move() -> None:
    halves = Spans(np.array([0, 1]), np.array([[[0.0, 0.5]]]), np.array([[[0.5, 1.0]]]))
    everything = Spans(np.array([0, 1]), np.zeros((1, 1, 2)), np.ones((1, 1, 2)))
    bits = np.array([100.0])
    assert not moved_bits(halves, halves, bits).any()
    assert moved_bits(halves, everything, bits)[0, 0, 0].tolist() == [[0, 50], [50, 0]]
    assert moved_bits(whole(7), everything, bits)[0, 0, 0].tolist() == [[100, 100]]
