import pytest
from torch import nn

from hwcost.errors import OfframpError
from models.backbones.stages import Stages


def conv() -> nn.Conv2d:
    return nn.Conv2d(8, 8, 3, padding=1)


def test_all_but_the_last_stage_are_mounting_points_unless_said_otherwise() -> None:
    assert Stages("x", [conv(), conv(), conv()]).mounts == (0, 1)
    assert Stages("x", [conv(), conv(), conv()], (1,)).mounts == (1,)
    assert Stages("x", [conv()]).mounts == ()


@pytest.mark.parametrize("points", [(2,), (-1,), (1, 0), (0, 0)])
def test_mounting_points_that_do_not_fit(points: tuple[int, ...]) -> None:
    with pytest.raises(OfframpError, match=r"mounting points in 0\.\.1"):
        Stages("x", [conv(), conv(), conv()], points)


def test_parts_that_are_no_stages() -> None:
    one = conv()
    with pytest.raises(OfframpError, match="one module twice"):
        Stages("x", [one, conv(), one])
    with pytest.raises(OfframpError, match="one module twice"):
        Stages("x", [one, conv()], stem=one)
    with pytest.raises(OfframpError, match="as stage 1 of x, got str"):
        Stages("x", [conv(), "conv"])  # type: ignore[list-item]
    with pytest.raises(OfframpError, match="as the stem of x, got int"):
        Stages("x", [conv()], stem=3)  # type: ignore[arg-type]
    with pytest.raises(OfframpError, match="at least one stage"):
        Stages("x", [])
    with pytest.raises(OfframpError, match="a name"):
        Stages("", [conv()])
