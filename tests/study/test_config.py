from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from hwcost.errors import OfframpError
from study.config import SpaceConfig, StudyConfig
from study.config_io import load_preset, parse_assignment, preset_names, resolve


@pytest.mark.parametrize(
    ("assignment", "place", "expected", "came"),
    [
        ("search.trials=0", "search.trials", "1", "0"),
        ("search.trials=-3", "search.trials", "1", "-3"),
        ("search.trials=1.5", "search.trials", "integer", "1.5"),
        ("search.trials=many", "search.trials", "integer", "'many'"),
        ("search.trials=true", "search.trials", "no true or false", "True"),
        ("search.workers=0", "search.workers", "1", "0"),
        ("search.seed=-1", "search.seed", "0", "-1"),
        ("search.max_failures=0", "search.max_failures", "1", "0"),
        ("data.image_size=8", "data.image_size", "16", "8"),
        ("data.source=", "data.source", "1 character", "''"),
        ("splits.calibration=x", "splits.calibration", "integer", "'x'"),
        ("splits.calibration=1.5", "splits", "share between 0 and 1", "1.5"),
        ("splits.validation=0", "splits", "share between 0 and 1", "0"),
        ("splits.seed=true", "splits.seed", "no true or false", "True"),
        ("augment.padding_mode=wrap", "augment.padding_mode", "'reflect' or 'zero'", "'wrap'"),
        ("augment.flip=3", "augment.flip", "boolean", "3"),
        ("augment.cutout=64", "", "cutout below the image size 16", "64"),
        ("backbone.width=0", "backbone.width", "0", "0"),
        ("backbone.width=nan", "backbone.width", "8", "nan"),
        ("backbone.width=inf", "backbone.width", "8", "inf"),
        ("space.weight_bits=[1, 2]", "space.weight_bits", "2, 3, 4, 6, 8", "[1, 2]"),
        ("space.weight_bits=[8, 4]", "space.weight_bits", "ascending", "[8, 4]"),
        ("space.weight_bits=[]", "space.weight_bits", "2, 3, 4, 6, 8", "[]"),
        ("space.weight_bits=8", "space.weight_bits", "tuple", "8"),
        ("space.activation_bits=[8, 16]", "space.activation_bits", "2, 3, 4, 6, 8", "[8, 16]"),
        ("space.head_bits=[4, 4]", "space.head_bits", "ascending", "[4, 4]"),
        ("space.weight_bits=[2, 'x']", "space.weight_bits.1", "integer", "'x'"),
        ("space.exit_heads=['fc', 'conv']", "space.exit_heads", "fc, fc_hidden, gap", "conv"),
        ("space.final_heads=['fc', 'fc']", "space.final_heads", "distinct", "fc"),
        ("space.final_heads=[]", "space.final_heads", "fc, fc_hidden, gap", "[]"),
        ("space.policy_targets=[0.1, 0.0]", "space.policy_targets", "ascending", "[0.1, 0.0]"),
        ("space.policy_targets=[nan]", "space.policy_targets", "between 0 and 1", "nan"),
        ("space.policy_targets=[2]", "space.policy_targets", "between 0 and 1", "2.0"),
        ("refine.policy_targets=[0.1, 0.1]", "refine.policy_targets", "ascending", "[0.1, 0.1]"),
        ("space.policy=best", "space.policy", "'per_exit' or 'shared'", "'best'"),
        ("pretrain.epochs=-1", "pretrain", "epochs of at least 0", "-1"),
        ("qat.batch_size=1", "qat", "batch_size of at least 2", "1"),
        ("qat.learning_rate=nan", "qat", "learning_rate above 0", "nan"),
        ("hardware.pe_budget=0", "hardware.pe_budget", "1", "0"),
        ("hardware.mapping=fastest", "hardware.mapping", "'latency', 'energy' or 'edp'", "'fastest'"),
        ("constraints.worst_latency=0", "constraints.worst_latency", "0", "0"),
        ("constraints.weight_memory=nan", "constraints.weight_memory", "0", "nan"),
        ("constraints.worst_latency=inf", "constraints.worst_latency", "above 0", "inf"),
        ("constraints.worst_latency=[1]", "constraints.worst_latency", "above 0", "[1]"),
        ("constraints.mean_energy=3 ms", "constraints.mean_energy", "300 uJ", "'3 ms', which is a time"),
        ("constraints.mean_energy=-3 uJ", "constraints.mean_energy", "positive", "'-3 uJ'"),
        ("constraints.mean_latency=nan ms", "constraints.mean_latency", "positive", "'nan ms'"),
        ("constraints.weight_memory=256 KB", "constraints.weight_memory", "KiB", "the unknown unit 'KB'"),
        ("constraints.error=120 %", "constraints.error", "below 100 %", "'120 %'"),
        ("constraints.area='3'", "constraints.area", "with a unit", "'3' without a unit"),
        ("search.objectives=[]", "search.objectives", "distinct objectives out of error", "[]"),
        ("search.objectives=['error', 'error']", "search.objectives", "distinct", "['error', 'error']"),
        ("search.objectives=['error', 'power']", "search.objectives", "mean_edp", "power"),
        ("search.objectives=['mean_energy']", "", "whatever it gets wrong", "['mean_energy'] and none"),
        ("space.levels=['low', 'low']", "space.levels", "distinct", "['low', 'low']"),
        ("space.levels=[1]", "space.levels", "names of levels", "[1]"),
        ("run.device=tpu", "run.device", "'auto', 'cpu' or 'cuda'", "'tpu'"),
        ("run.name=", "run.name", "1 character", "''"),
    ],
)
def test_a_wrong_value_is_one_line_with_place_expectation_and_value(assignment, place, expected, came):
    (section, key), value = parse_assignment(assignment)
    with pytest.raises(OfframpError) as caught:
        resolve([load_preset("quickstart"), {section: {key: value}}])
    message = str(caught.value)
    assert message.startswith(f"{place}: " if place else "")
    assert key in message
    assert expected in message
    assert f"got {came}" in message or came in message.split("got", 1)[1]
    assert "\n" not in message
    assert "pydantic" not in message


@pytest.mark.parametrize(
    ("values", "known"),
    [
        ({"serch": {"trials": 3}}, "search, data, splits"),
        ({"search": {"trails": 3}}, "trials, workers"),
        ({"qat": {"lr": 3}}, "learning_rate"),
        ({"splits": {"test": 0.1}}, "calibration, validation, seed"),
        ({"run": {"trials": 3}}, "storage"),
    ],
)
def test_an_unknown_key_is_named_beside_the_known_ones(values, known):
    section, keys = next(iter(values.items()))
    named = section if section == "serch" else f"{section}.{next(iter(keys))}"
    with pytest.raises(OfframpError, match=f"known key, got {named};.*{known}") as caught:
        resolve([values])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("section", list(StudyConfig.model_fields))
def test_a_section_that_is_no_table_is_named(section):
    with pytest.raises(OfframpError, match=f"^{section}: expected"):
        resolve([{section: 3}])


@pytest.mark.parametrize("name", preset_names())
def test_presets_are_whole_and_have_a_second_generation(name):
    config = resolve([load_preset(name)])
    assert config.search.trials >= 2 * config.population()
    assert config.population() >= 2
    with pytest.raises(ValidationError):
        config.search.trials = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("trials", "population"),
    [(1, 2), (6, 2), (9, 3), (16, 5), (18, 6), (24, 6), (90, 6), (105, 7), (300, 20), (960, 64), (5000, 64)],
)
def test_population_fits_the_budget(trials, population):
    assert resolve([{"search": {"trials": trials}}]).population() == population


def test_reading_a_configuration_needs_no_torch():
    code = (
        "import sys; from study.config_io import *; resolve([load_preset('quickstart')]);"
        "assert not {'torch', 'optuna', 'pandas'} & set(sys.modules), 'heavy import'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_shared_thresholds_are_of_the_softmax():
    with pytest.raises(ValidationError, match="max_softmax for the shared policy"):
        SpaceConfig(policy="shared", score="margin")
    assert SpaceConfig(policy="shared").score == "max_softmax"
