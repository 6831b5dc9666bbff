"""The command that checks a backbone."""

import pytest

from models.backbones.__main__ import main


def test_the_stages_of_the_paper(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["paper"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + 13 + 1  # title and columns, stem and twelve blocks, the sum
    assert lines[-1].startswith("in all 195.33 M MACs")  # arXiv 2512.04705
    assert [line.split()[0] for line in lines[2:-1]] == ["stem", *map(str, range(12))]
    assert [line.endswith("may follow") for line in lines[3:-1]] == [True] * 10 + [False] * 2


def test_a_factory_without_a_stem(capsys: pytest.CaptureFixture[str]) -> None:
    name = "tests.models.backbones.user_backbone:unnamed"
    assert main([name, "--in-channels", "1", "--image-size", "16"]) == 0
    text = capsys.readouterr().out
    assert "stem" not in text
    assert "8x8" in text


def test_a_mistake_is_one_line_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tests.models.backbones.user_backbone:broken_concatenate", "--in-channels", "1"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: expected only Conv2d")
    assert printed.err.count("\n") == 1
