"""Activations that are to stay on the chip."""

from __future__ import annotations

import pytest

from hwcost import load_accelerator
from hwcost.capacity import check_activations_fit
from hwcost.errors import OfframpError
from hwcost.networks import early_exit_workload, load_backbone, uniform_precision
from hwcost.workload import Layer, Op, Workload


def test_the_largest_layer_that_does_not_fit_is_named() -> None:
    workload = early_exit_workload(load_backbone("paper"), (), ("gap",), uniform_precision(12), 128, 10)
    # 192 channels in and 192 out at 128x128: 6144 KiB of 2048
    with pytest.raises(OfframpError, match=r"'b4.depthwise'.*6144 KiB.*dram"):
        check_activations_fit(load_accelerator("edge_tpu_quad"), workload)
    check_activations_fit(load_accelerator("edge_tpu_quad_dram"), workload)


def test_exactly_full_is_allowed() -> None:
    def layer(channels: int) -> Workload:
        return Workload.from_layers([Layer("l", Op.CONV, k=channels, c=64, ox=128, oy=128)])

    quad = load_accelerator("edge_tpu_quad")
    check_activations_fit(quad, layer(64))
    with pytest.raises(OfframpError):
        check_activations_fit(quad, layer(65))
