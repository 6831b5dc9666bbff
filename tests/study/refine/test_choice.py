"""Which designs of refined networks are measured."""

from __future__ import annotations

from dataclasses import replace

from models.architecture import Architecture
from study.refine.choice import RefinedDesign, Role, _once
from study.refine.networks import Training
from tests.study.spaces import record

SOME = Architecture((1,), ("fc", "fc"), (8,) * 5, (8,) * 5)
MORE = Architecture((1, 2), ("fc",) * 3, (8,) * 5, (8,) * 5)


def refined(whole: Architecture, accuracy: float, role: Role, target: float = 0.0) -> RefinedDesign:
    """The network with no early exit, as it is left of another one, under a target."""
    one = record(accuracy)
    one = replace(one, genome=replace(one.genome, policy_target=target), trained_as=whole)
    return RefinedDesign(role, False, None, (Training(whole, 0),), (one,))


def test_a_design_that_two_networks_have_is_that_of_the_front_or_of_the_more_accurate_one() -> None:
    """Its row, its checkpoints and its card have one name, so there must be one of it."""
    poor, good = refined(SOME, 0.8, "derived"), refined(MORE, 0.9, "derived")
    other = refined(MORE, 0.7, "derived", target=0.01)
    assert _once([poor, other, good]) == [other, good]
    member = refined(SOME, 0.8, "member")
    assert _once([good, member, other]) == [member, other]
    assert _once([other, good]) == [other, good]
