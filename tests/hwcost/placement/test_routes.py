"""Moves between all places agree with those of layers one after another."""

from __future__ import annotations

import numpy as np
import pytest

from hwcost.chip.accelerator_file import accelerator_names, load_accelerator
from hwcost.placement.routes import find_routes, place_of
from hwcost.placement.transfers import Transfers
from hwcost.workload import Layer, Op, Workload

WORKLOAD = Workload.from_layers(
    [
        Layer("a", Op.CONV, k=5, c=3, ox=7, oy=7),
        Layer("b", Op.CONV, k=5, c=5, ox=7, oy=7, sources=(0,)),
        Layer("pool", Op.POOL, g=5, ox=1, oy=1, fx=7, fy=7, stride=7, weight_bits=0, sources=(1,)),
        Layer("fc", Op.LINEAR, k=3, c=5, sources=(2,)),
    ]
)


@pytest.mark.parametrize("name", [n for n in accelerator_names() if "quad" in n])
def test_they_are_the_moves_of_whole_tensors(name: str) -> None:
    accelerator = load_accelerator(name)
    routes, transfers = find_routes(accelerator), Transfers(accelerator)
    for layer, source in ((0, -1), (1, 0), (2, 1), (3, 2)):
        expected = transfers.costs(WORKLOAD, layer, source)
        receivers = np.array(place_of(accelerator, Op(WORKLOAD.op[layer])))
        if source < 0:
            senders = np.array([routes.dram])
            bits = float(WORKLOAD.input_elements[layer] * 8)
        else:
            senders = np.array(place_of(accelerator, Op(WORKLOAD.op[source])))
            bits = float(WORKLOAD.output_elements[source] * 8)
        at = np.array(bits), senders[:, None], receivers[None]
        assert np.array_equal(routes.cycles(*at), expected.latency_cycles)
        assert routes.energy_pj(*at) == pytest.approx(expected.energy_pj)


def test_a_pair_of_cores_has_one_port_and_dram_one_for_all() -> None:
    routes = find_routes(load_accelerator("edge_tpu_quad"))
    assert np.array_equal(routes.port, routes.port.T)
    cores = routes.port[:-1, :-1]
    pairs = cores[np.triu_indices(len(cores), 1)]
    assert len(set(pairs.tolist())) == pairs.size
    assert (routes.port[-1, :-1] == routes.dram_port).all()
    assert routes.dram_port not in pairs
    assert (np.diag(routes.port) == -1).all()
