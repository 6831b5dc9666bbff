"""Which designs share the draw of seeds in the intervals of `refined.csv`."""

from __future__ import annotations

from dataclasses import replace

from models.architecture import Architecture
from study.refine.choice import RefinedDesign
from study.refine.networks import Training
from study.refine.tables import _from_the_same
from tests.study.spaces import record


def static(head: str, jointly: bool, seed: int = 0) -> RefinedDesign:
    """The static network with a final head, as one of the trainings gave it."""
    architecture = Architecture.static(5, head)
    one = replace(record(0.9), trained_as=architecture)
    return RefinedDesign("best_static", False, None, (Training(architecture, seed, jointly=jointly),), (one,))


def test_static_networks_of_one_joint_training_share_its_seeds() -> None:
    """They came out of the same run, so what its seed did to both cancels in their difference."""
    fc = _from_the_same(static("fc", jointly=True))
    assert _from_the_same(static("gap", jointly=True)) == fc
    assert _from_the_same(static("fc", jointly=True, seed=1)) != fc
    assert _from_the_same(static("fc", jointly=False)) != fc
    assert _from_the_same(static("gap", jointly=False)) != _from_the_same(static("fc", jointly=False))
