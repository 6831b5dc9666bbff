"""Checkpoints of designs that leave exits of a trained network out."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from models.checkpoint import read_checkpoint, save_checkpoint
from models.exit_policy import ExitPolicy
from models.open_checkpoint import open_checkpoint
from study.exit_sets import columns_of, keeping
from study.refine.cards import with_exits_of
from tests.models.small import MIXED, SPEC
from tests.models.test_checkpoint import KEYS, NOTES, trained


@pytest.mark.parametrize("exits", [MIXED.exits, MIXED.exits[:1], MIXED.exits[1:], ()])
def test_the_exits_that_stay_say_the_same_bit_by_bit(tmp_path: Path, exits: tuple[int, ...]) -> None:
    whole, path = tmp_path / "whole.safetensors", tmp_path / "part.safetensors"
    columns = columns_of(MIXED, exits)
    notes = dataclasses.replace(NOTES, validation_accuracies=tuple(k / 10 for k in range(MIXED.n_exits)))
    network = trained().eval()
    save_checkpoint(whole, network, KEYS, notes)
    policy = ExitPolicy(np.array([*([0.9] * len(exits)), -np.inf]))
    part = keeping(MIXED, exits)
    with_exits_of(read_checkpoint(whole), part, policy).save(path)
    opened, found = open_checkpoint(path, SPEC)
    assert found.keys == dataclasses.replace(KEYS, architecture=part)
    assert found.policy is not None
    assert found.policy.to_dict() == policy.to_dict()
    assert found.notes is not None
    assert found.notes.validation_accuracies == tuple(k / 10 for k in columns)
    x = torch.randn((8, 1, 16, 16), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        everything, kept = network(x), opened(x)
    assert len(kept) == len(columns)
    for column, logits in zip(columns, kept, strict=True):
        assert torch.equal(everything[column], logits)
    heads = {name.split(".")[1] for name in found.tensors if name.startswith("heads.")}
    assert len(heads) == len(columns)
