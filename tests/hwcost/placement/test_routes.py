"""Moves between places, derived by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hwcost.chip.accelerator_file import load_accelerator
from hwcost.placement.routes import LEVEL_NAMES, find_routes, place_of
from hwcost.workload import Op


def test_between_cores_with_dram_of_their_own_the_link_carries_what_both_pay_for() -> None:
    chip = load_accelerator("paper_quad")
    routes = find_routes(chip)
    first, second = place_of(chip, Op.CONV)[:2]
    bits = np.array(6400.0)
    # 64 bit out of and into DRAM a cycle, 32 over the link; the network's input comes from the DRAM of all cores
    assert routes.cycles(bits, first, second) == 6400 / 32
    dram = LEVEL_NAMES.index("dram")
    assert routes.energy_pj(bits, first, second)[dram] == pytest.approx(100 * (700 + 750))
    assert routes.cycles(bits, routes.dram, first) == 6400 / 64
    assert routes.energy_pj(bits, routes.dram, first)[dram] == pytest.approx(100 * (1000 + 750))


def test_activations_in_the_dram_of_all_cores_do_not_move_between_them() -> None:
    chip = load_accelerator("edge_tpu_quad_dram")
    routes = find_routes(chip)
    compute, (pooling,) = place_of(chip, Op.CONV), place_of(chip, Op.POOL)
    bits = np.array(6400.0)
    assert routes.cycles(bits, compute[0], compute[3]) == 0
    assert routes.energy_pj(bits, compute[0], compute[3]).sum() == 0
    assert routes.cycles(bits, compute[0], pooling) == 6400 / 64


def test_a_pair_of_cores_has_one_port_and_dram_one_for_all() -> None:
    routes = find_routes(load_accelerator("edge_tpu_quad"))
    assert np.array_equal(routes.port, routes.port.T)
    cores = routes.port[:-1, :-1]
    pairs = cores[np.triu_indices(len(cores), 1)]
    assert len(set(pairs.tolist())) == pairs.size
    assert (routes.port[-1, :-1] == routes.dram_port).all()
    assert routes.dram_port not in pairs
    assert (np.diag(routes.port) == -1).all()
