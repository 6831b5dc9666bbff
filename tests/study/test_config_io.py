from __future__ import annotations

import json
import random
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwcost.errors import OfframpError
from study.config import StudyConfig
from study.config_io import (
    differences,
    fingerprint,
    identity,
    load_file,
    load_preset,
    merge,
    parse_assignment,
    preset_names,
    read_toml,
    resolve,
    to_toml,
)

# One other legal value for every key of a configuration; the test below fails when a key is missing here.
OTHER = {
    "search": {"trials": 25, "workers": 3, "seed": 1, "redraws": 3, "max_failures": 9, "predictor": False,
               "skip_confidence": 0.75, "train_skipped": 0.5,
               "sampler": "random", "hardware_first": False, "memo": False, "derive": False,
               "start_designs": False, "skip": False, "pretrain_alone": False, "exit_costs": False, "leave_out": 3,
               "learn_derived": 4,
               "pretrain_heads": ["conv1"],
               "rungs": [1.0, 3.0],
               "objectives": ["error", "worst_latency"]},
    "data": {"source": "cifar10", "image_size": 48},
    "splits": {"calibration": 0.3, "validation": 77, "seed": 5},
    "augment": {"flip": True, "crop_padding": 1, "padding_mode": "zero", "cutout": 3},
    "backbone": {"name": "other", "width": 0.5, "weights": "mine.safetensors"},
    "space": {
        "exit_heads": ["gap"], "final_heads": ["gap"], "weight_bits": [4], "activation_bits": [4],
        "head_bits": [4], "allocation": False, "policy": "shared", "policy_targets": [0.5],
        "score": "margin", "policy_goal": "accuracy", "temperature_scaling": False,
        "levels": ["low", "high"],
    },
    "pretrain": {
        "epochs": 7, "batch_size": 32, "learning_rate": 0.5, "momentum": 0.5, "weight_decay": 0.5, "warmup": 0.5,
        "label_smoothing": 0.5, "exit_weight": 0.5, "distillation_weight": 0.25, "distillation_temperature": 9.0,
        "ema_decay": 0.5, "gradient_clip": 1.0, "threads": 5, "precision": "bfloat16", "final_learning_rate": 0.5,
        "start_size": 0.5, "cutmix": 0.25, "full_size_from": 0.9, "exit_gradient": 0.25,
    },
    "qat": {
        "epochs": 7.0, "batch_size": 32, "learning_rate": 0.5, "scale_learning_rate": 0.5, "momentum": 0.5,
        "weight_decay": 0.5, "warmup": 0.5, "label_smoothing": 0.5, "exit_weight": 0.5,
        "distillation_weight": 0.25, "distillation_temperature": 9.0, "gradient_clip": 1.0, "norm_batches": 3,
        "threads": 5, "precision": "bfloat16",
    },
    "hardware": {"accelerator": "other", "pe_budget": 99, "mapping": "energy"},
    "constraints": {
        "worst_latency": 3.0, "weight_memory": "none", "error": "12 %", "mean_latency": "2.5 ms",
        "mean_energy": "300 uJ", "mean_edp": 0.5, "area": "3 mm2",
    },
    "refine": {"epochs": 9.0, "seeds": 5, "learning_rate": 0.003, "policy_targets": [0.0, 0.001]},
    "run": {"name": "n", "out": "o", "storage": "sqlite:///x.db", "device": "cpu", "cache": "c",
            "lease_seconds": 60.0},
}  # fmt: skip
NOT_IDENTITY = {
    ("search", "trials"), ("search", "workers"), ("search", "max_failures"),
    *((section, key) for section in ("refine", "run") for key in OTHER[section]),
}  # fmt: skip
KEYS = [(section, key) for section, keys in OTHER.items() for key in keys]


def test_every_key_is_tested_below():
    dumped = StudyConfig().model_dump()
    assert {(s, k) for s, keys in dumped.items() for k in keys} == set(KEYS)


@pytest.mark.parametrize(("section", "key"), KEYS)
def test_each_key_is_in_the_identity_or_left_out_on_purpose(section, key, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.safetensors").write_bytes(b"weights")
    base = identity(StudyConfig())
    other = identity(resolve([{section: {key: OTHER[section][key]}}]))
    lines = differences(base, other)
    if (section, key) in NOT_IDENTITY:
        assert fingerprint(other) == fingerprint(base)
        assert lines == []
    else:
        assert fingerprint(other) != fingerprint(base)
        assert len(lines) == 1
        assert lines[0].startswith(f"{section}.{key}: the study has ")
        assert (
            repr(identity(StudyConfig())[section].get(key)) in lines[0]
        )  # None: left out at its neutral value


@pytest.mark.parametrize("key", ["source", "accelerator"])
def test_the_folder_of_a_file_is_not_identity_but_its_name_is(key):
    section = {"source": "data", "accelerator": "hardware"}[key]
    here, there, other = (resolve([{section: {key: path}}]) for path in ("/a/x.zip", "b/c/x.zip", "/a/y.zip"))
    assert fingerprint(identity(here)) == fingerprint(identity(there))
    assert fingerprint(identity(here)) != fingerprint(identity(other))


def test_weights_are_told_apart_by_content_and_leave_no_folder(tmp_path):
    configs = []
    for folder, content in (("a", b"one"), ("b", b"one"), ("c", b"two")):
        path = tmp_path / folder / "mine.safetensors"
        path.parent.mkdir()
        path.write_bytes(content)
        configs.append(resolve([{"backbone": {"weights": str(path)}}]))
    prints = [fingerprint(identity(config)) for config in configs]
    assert prints[0] == prints[1] != prints[2]
    assert str(tmp_path) not in to_toml(configs[0]) + json.dumps(identity(configs[0]))


def test_another_chip_in_a_file_of_the_same_name_is_another_study(tmp_path):
    chip = tmp_path / "chip.toml"
    chip.write_text("pe_budget = 4096\n", encoding="utf-8")
    config = resolve([{"hardware": {"accelerator": str(chip)}}])
    before = identity(config)
    chip.write_text("# the same\npe_budget = 4096\n", encoding="utf-8")
    assert identity(config) == before
    chip.write_text("pe_budget = 2048\n", encoding="utf-8")
    (line,) = differences(before, identity(config))
    assert line.startswith("hardware.accelerator: the study has 'chip.toml (")


def test_two_changes_are_two_lines_in_order():
    old, new = StudyConfig(), resolve([{"search": {"seed": 3}, "constraints": {"worst_latency": 2.0}}])
    assert differences(identity(old), identity(new)) == [
        "constraints.worst_latency: the study has 1.2, asked for 2.0",
        "search.seed: the study has 0, asked for 3",
    ]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)
tables = st.dictionaries(st.text(min_size=1, max_size=4), json_values, max_size=5)


def shuffled(value, rng):
    if isinstance(value, dict):
        items = [(key, shuffled(inner, rng)) for key, inner in value.items()]
        rng.shuffle(items)
        return dict(items)
    return [shuffled(inner, rng) for inner in value] if isinstance(value, list) else value


@given(tables, st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_fingerprint_does_not_see_the_order_of_keys(values, rng):
    assert fingerprint(shuffled(values, rng)) == fingerprint(values)
    assert fingerprint(json.loads(json.dumps(values))) == fingerprint(values)  # as it comes out of a storage


@given(tables, tables)
@settings(max_examples=100, deadline=None)
def test_differences_are_empty_exactly_for_equal_tables(one, two):
    # A key that is absent and one that is None say the same.
    assert (differences(one, two) == []) == (drop_none(one) == drop_none(two))


def drop_none(value):
    if not isinstance(value, dict):
        return value
    return {k: drop_none(v) for k, v in value.items() if v is not None}


def test_merging_changes_neither_side_and_the_later_one_wins():
    base, over = {"a": {"x": 1, "y": 2}, "b": 1}, {"a": {"y": 3, "z": 4}}
    before = json.dumps([base, over])
    assert merge(base, over) == {"a": {"x": 1, "y": 3, "z": 4}, "b": 1}
    assert json.dumps([base, over]) == before


@pytest.mark.parametrize("name", preset_names())
def test_what_is_written_reads_back_equal(name):
    config = resolve([load_preset(name)])
    assert resolve([tomllib.loads(to_toml(config))]) == config


def test_written_configuration_names_no_folder_of_this_machine():
    folders = {
        "data": {"source": "/home/me/images.zip"},
        "hardware": {"accelerator": "/home/me/chip.toml"},
        "run": {
            "out": "/home/me/o",
            "cache": "/home/me/c",
            "storage": "sqlite:////home/me/s.db",
            "name": "n",
        },
    }
    text = to_toml(resolve([folders]))
    assert "/home" not in text
    assert tomllib.loads(text)["data"]["source"] == "images.zip"
    assert tomllib.loads(text)["hardware"]["accelerator"] == "chip.toml"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a.b=3", 3),
        ("a.b=0.5", 0.5),
        ("a.b=true", True),
        ("a.b=[2, 4]", [2, 4]),
        ("a.b=word", "word"),
        ("a.b='3'", "3"),
        ("a.b= spaced ", "spaced"),
        ("a.b=/x/y=z", "/x/y=z"),
        ("a.b=", ""),
        ("a.b=1\nc = 2", "1\nc = 2"),
        ("a.b=1\n[c]", "1\n[c]"),
    ],
)
def test_assignments(text, value):
    assert parse_assignment(text) == (["a", "b"], value)


@pytest.mark.parametrize("text", ["a.b", "ab=3", "a.b.c=3", ".b=3", "a.=3", "=3", ""])
def test_an_assignment_without_section_key_or_value_is_refused(text):
    with pytest.raises(OfframpError, match=r"--set section\.key=value, got .*example"):
        parse_assignment(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[search]\ntrials = 1\ntrials = 2\n", r"line 3.*there twice"),
        ("[search]\ntrials = 1\n[search]\nseed = 2\n", r"line 3.*there twice"),
        ("[search\n", "line 1"),
        ("trials = \n", "line 1"),
    ],
)
def test_broken_toml_is_one_line_with_its_place(text, message, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(OfframpError, match=message) as caught:
        load_file(file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(OfframpError, match="valid TOML in here"):
        read_toml(text, "here")


def test_files_that_cannot_be_read_are_refused(tmp_path):
    with pytest.raises(OfframpError, match=r"readable TOML file for --config, got .*missing\.toml"):
        load_file(tmp_path / "missing.toml")
    with pytest.raises(OfframpError, match="readable TOML file"):
        load_file(tmp_path)
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(OfframpError, match="readable TOML file"):
        load_file(binary)


@pytest.mark.parametrize("name", ["quick", "", "../presets/quickstart", "quickstart.toml", "Quickstart"])
def test_unknown_presets_are_refused_beside_the_known_ones(name):
    with pytest.raises(OfframpError, match="cifar10, cifar10-cpu, cifar10-small, paper, quickstart, got"):
        load_preset(name)


def test_the_four_presets_are_there():
    assert preset_names() == ("cifar10", "cifar10-cpu", "cifar10-small", "paper", "quickstart")


def test_random_order_of_sections_in_a_file_is_the_same_study():
    sections = list(load_preset("paper").items())
    random.Random(0).shuffle(sections)
    assert resolve([dict(sections)]) == resolve([load_preset("paper")])
