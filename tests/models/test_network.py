import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from hwcost.errors import OfframpError
from hwcost.networks import BackboneSpec, early_exit_workload, load_backbone, uniform_precision
from models.architecture import Architecture
from models.network import EarlyExitNetwork, Mount, all_mounts, architecture_mounts, initialize
from models.trace import trace_layers
from tests.models.small import HEADS, SPEC


def network(mounts: tuple[Mount, ...], spec: BackboneSpec = SPEC, size: int = 16) -> EarlyExitNetwork:
    built = EarlyExitNetwork(spec, mounts, 10, size)
    initialize(built, torch.Generator().manual_seed(0))
    return built.eval()


def images(n: int = 3) -> torch.Tensor:
    return torch.randn((n, 1, 16, 16), generator=torch.Generator().manual_seed(1))


def test_one_set_of_logits_a_mount() -> None:
    mounts = all_mounts(SPEC, HEADS)
    logits = network(mounts)(images())
    assert len(logits) == len(mounts) == 9
    assert all(part.shape == (3, 10) for part in logits)


def test_heads_do_not_change_each_other() -> None:
    everything = network(all_mounts(SPEC, HEADS))
    few = EarlyExitNetwork(SPEC, (Mount(1, "gap"), Mount(2, "fc")), 10, 16).eval()
    few.load_state_dict({name: everything.state_dict()[name] for name in few.state_dict()})
    expected = dict(zip(everything.mounts, everything(images()), strict=True))
    for mount, logits in zip(few.mounts, few(images()), strict=True):
        assert torch.equal(logits, expected[mount])


def test_segments_chained_by_hand_give_the_whole_network() -> None:
    built = network((Mount(0, "fc"), Mount(1, "gap"), Mount(2, "fc")))
    x, found = images(), []
    for segment in range(3):
        x, logits = built.forward_segment(segment, x)
        found += logits
    for mine, whole in zip(found, built(images()), strict=True):
        assert torch.equal(mine, whole)


def test_an_early_segment_runs_no_later_block() -> None:
    built = network((Mount(0, "fc"), Mount(2, "fc")))
    ran = []
    for index, block in enumerate(built.blocks):
        block.register_forward_hook(lambda *_unused, index=index: ran.append(index))
    built.forward_segment(0, images())
    assert ran == [0]


@pytest.mark.parametrize(
    "mounts",
    [
        (),
        (Mount(0, "fc"),),
        (Mount(2, "fc"), Mount(0, "fc")),
        (Mount(2, "fc"), Mount(2, "fc")),
        (Mount(2, "conv9"),),
        (Mount(5, "fc"), Mount(2, "fc")),
    ],
)
def test_impossible_mounts_are_refused(mounts: tuple[Mount, ...]) -> None:
    with pytest.raises(OfframpError, match="expected heads"):
        EarlyExitNetwork(SPEC, mounts, 10, 16)


def test_an_architecture_of_another_backbone_is_refused() -> None:
    with pytest.raises(OfframpError, match="another backbone"):
        architecture_mounts(Architecture.static(12), SPEC)
    with pytest.raises(OfframpError, match=r"exits \[2\]"):
        architecture_mounts(Architecture((2,), ("fc", "fc"), (8,) * 3, (8,) * 3), SPEC)


def test_bits_outside_the_set_name_the_block() -> None:
    precision = dataclasses.replace(uniform_precision(3), weight_bits=(8, 5, 8))
    with pytest.raises(OfframpError, match=r"expected bits in 2, 3, 4, 6, 8 for block 1, got 5"):
        EarlyExitNetwork(SPEC, (Mount(2, "fc"),), 10, 16, precision)


@pytest.mark.parametrize("width", [0.25, 0.35, 1.0])
@pytest.mark.parametrize("size", [16, 24, 32])
@pytest.mark.parametrize(
    ("exits", "heads"),
    [
        ((), ("fc",)),
        ((), ("gap",)),
        ((0, 4, 9), ("fc_hidden", "fc", "gap", "fc_hidden")),
        (tuple(range(10)), ("gap", "fc", "fc_hidden") * 3 + ("fc", "gap")),
    ],
)
def test_layers_that_run_are_the_layers_that_are_costed(
    width: float, size: int, exits: tuple[int, ...], heads: tuple[str, ...]
) -> None:
    spec = load_backbone("paper").scaled(width)
    n = spec.n_blocks
    architecture = Architecture(exits, heads, (8,) * n, (8,) * n)
    with torch.device("meta"):
        built = EarlyExitNetwork(spec, architecture_mounts(architecture, spec), 10, size)
    rows = trace_layers(built.to_empty(device="cpu"))
    table = early_exit_workload(spec, exits, heads, architecture.precision(), size, 10)
    assert tuple(row.name for row in rows) == table.names
    for column in ("op", "k", "c", "g", "ox", "oy", "fx", "fy", "stride"):
        np.testing.assert_array_equal([getattr(row, column) for row in rows], getattr(table, column), column)


def test_parameters_and_macs_of_the_paper(reference_dir: Path) -> None:
    paper = pd.read_csv(reference_dir / "paper_backbone.csv")
    with torch.device("meta"):
        built = EarlyExitNetwork(load_backbone("paper"), (Mount(11, "gap"),), 10, 32)
    rows = trace_layers(built.to_empty(device="cpu"))
    backbone = [row for row in rows if not row.name.startswith("final")]
    assert sum(row.parameters for row in backbone) == paper["cumulative_params"].max()
    # The table has no parameters for the stem, whose MACs it counts: its parameters are in the first block's.
    for _, line in paper.dropna(subset=["cumulative_macs"]).iterrows():
        names = ["stem"] if line["block"] == "stem" else [f"b{i}." for i in range(int(line["block"]) + 1)]
        inside = [row for row in backbone if row.name == "stem" or row.name.startswith(tuple(names))]
        assert sum(row.macs for row in inside) == line["cumulative_macs"]
        if not np.isnan(line["cumulative_params"]):
            assert sum(row.parameters for row in inside) == line["cumulative_params"]
