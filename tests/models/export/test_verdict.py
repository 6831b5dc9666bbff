"""What speaks against deploying files: each comparison by itself."""

import dataclasses

import pytest

from models.export.agreement import Agreement, ChainAgreement
from models.export.part_check import PartAgreement
from models.export.verdict import Comparisons, comparison_lines

EQUAL = Agreement(1000, 1.0, 1.0, 0.0, 0.0, 1.0, 20.0)
GOOD = Comparisons(
    agreement=EQUAL,
    folding=EQUAL,
    parts=(PartAgreement("segment_0.onnx", 1000, 1.0, 0.0), PartAgreement("head_0.onnx", 1000, 1.0, 0.0)),
    chain=ChainAgreement(200, 1.0, 1.0, (200, 50)),
    exact_folding=EQUAL,
    baseline=EQUAL,
    executor=EQUAL,
)


def changed(name: str, **values: float) -> Comparisons:
    """All is well but one comparison."""
    return dataclasses.replace(GOOD, **{name: dataclasses.replace(getattr(GOOD, name), **values)})


def test_files_in_agreement_have_no_fault() -> None:
    assert GOOD.faults("network.onnx") == []
    just = changed("agreement", same_exit=0.999, same_class=0.999)
    assert just.faults("network.onnx") == []
    assert not any("do not deploy" in line for line in comparison_lines("qonnx", GOOD, []))
    assert dataclasses.replace(GOOD, executor=None).faults("network.onnx") == []


@pytest.mark.parametrize("figure", ["same_exit", "same_class"])
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("agreement", "network.onnx: "),
        ("chain", "the separate segments and heads"),
        ("executor", "network.onnx in qonnx's own executor"),
    ],
)
def test_each_comparison_counts(name: str, text: str, figure: str) -> None:
    (fault,) = changed(name, **{figure: 0.995}).faults("network.onnx")
    assert fault.startswith(text)
    assert "99.50 %" in fault
    assert "at least 99.9 % are needed" in fault
    lines = comparison_lines("qonnx", GOOD, [fault])
    assert lines[0] == f"- do not deploy these files: {fault}"


def test_a_part_is_named() -> None:
    parts = (GOOD.parts[0], PartAgreement("head_0.onnx", 1000, 0.4, 3.0))
    (fault,) = dataclasses.replace(GOOD, parts=parts).faults("network.onnx")
    assert fault.startswith("head_0.onnx gives 40.00 % of 1000 images the class")


def test_classes_may_differ_as_much_as_rounding_moves_them_and_exits_may_not() -> None:
    rounding = dataclasses.replace(EQUAL, same_exit=0.99, same_class=0.99)
    for same_class, n_faults in ((0.9895, 0), (0.988, 1)):
        found = dataclasses.replace(changed("agreement", same_class=same_class), baseline=rounding)
        assert len(found.faults("network.onnx")) == n_faults
        parts = (PartAgreement("head_0.onnx", 1000, same_class, 0.1),)
        assert (
            len(dataclasses.replace(GOOD, parts=parts, baseline=rounding).faults("network.onnx")) == n_faults
        )
    exits = dataclasses.replace(changed("agreement", same_exit=0.9985), baseline=rounding)
    assert len(exits.faults("network.onnx")) == 1


def test_folding_may_differ_as_much_as_rounding_does() -> None:
    rounding = dataclasses.replace(EQUAL, same_exit=0.99)
    allowed = dataclasses.replace(changed("folding", same_exit=0.951), baseline=rounding)
    assert allowed.faults("network.onnx") == []
    (fault,) = changed("folding", same_exit=0.951).faults("network.onnx")
    assert fault.startswith("folding the BatchNorms leaves the exit of 95.10 %")


@pytest.mark.parametrize("figure", ["same_exit", "close_images"])
def test_folding_in_float64_changes_nothing(figure: str) -> None:
    (fault,) = changed("exact_folding", **{figure: 0.99}).faults("network.onnx")
    assert fault.startswith("folding the BatchNorms leaves in float64")
    assert "99.00 %" in fault


def test_folding_may_not_change_the_class_behind_the_last_early_exit() -> None:
    """A network without early exits takes its one exit whatever it says there."""
    (fault,) = changed("folding", same_class=0.6).faults("network.onnx")
    assert fault.startswith("folding the BatchNorms leaves the class of 60.00 %")
    rounding = dataclasses.replace(EQUAL, same_class=0.99)
    allowed = dataclasses.replace(changed("folding", same_class=0.951), baseline=rounding)
    assert allowed.faults("network.onnx") == []
