from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.architecture import Architecture
from study.genome import Genome
from study.record import DesignRecord
from tests.study.spaces import OBJECTIVES, designs, record

thresholds = st.lists(st.floats(0, 1) | st.just(math.inf), max_size=3).map(tuple)
ratios = st.lists(st.floats(0, 1), max_size=4).map(tuple)


@given(
    designs(),
    thresholds,
    ratios,
    st.lists(st.floats(0, 1) | st.none(), max_size=4).map(tuple),
    st.booleans(),
    st.sampled_from(["proposed", "memo", "derived"]),
    st.floats(1, 1e12),
)
@settings(max_examples=100, deadline=None)
def test_round_trip_through_json_text(design, limits, shares, leaving, feasible, source, energy):
    space, genes = design
    one = DesignRecord(
        genome=space.decode(genes),
        source=source,
        feasible=feasible,
        violations={"worst_latency": -0.1, "error": 0.3},
        accuracy=0.1,
        mean_latency_cycles=energy / 3,
        mean_energy_pj=energy,
        mean_edp_pj_cycles=energy * energy,
        worst_latency_cycles=2.0,
        weight_memory_bits=2**40 + 1,
        clock_hz=6e8,
        area_mm2=3.5,
        thresholds=limits,
        exit_ratios=shares,
        leaving_accuracies=leaving,
        exit_accuracies=shares,
        training_samples=7,
        seconds=0.25,
    )
    text = json.dumps(one.to_json(), allow_nan=False)  # strict JSON: other programs read the storage too
    assert DesignRecord.from_json(json.loads(text)) == one
    assert DesignRecord.from_json(one.to_json()) == one  # as a storage in memory hands it back


def test_numpy_numbers_can_be_stored():
    one = replace(record(), accuracy=np.float64(0.5), mean_latency_cycles=np.float64(3))
    assert DesignRecord.from_json(json.loads(json.dumps(one.to_json()))) == one


def test_objectives_are_error_latency_energy():
    assert OBJECTIVES.values(record(0.75, 3.0, 5.0)) == pytest.approx((0.25, 3.0, 5.0))


def test_a_design_without_exit_ratios_was_not_trained():
    assert record().trained
    assert not record(trained=False).trained


def test_the_design_itself_survives():
    genome = Genome(Architecture((1,), ("gap", "fc"), (2, 4), (3, 6), 2, 3), (1, 0), 0.02, 2)
    back = DesignRecord.from_json(json.loads(json.dumps(replace(record(), genome=genome).to_json())))
    assert back.genome == genome
    assert back.genome.key() == genome.key()
