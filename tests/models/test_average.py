"""The mean of float networks, and that a study that starts from it has BatchNorm statistics of its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from hwcost.errors import OfframpError
from models.average import average, main
from models.float_weights import load_float_weights
from models.tensor_file import read_tensors, write_tensors
from models.trained_on import TrainedOn, to_values
from models.warm_start import pretrain
from tests.models.small import HEADS, PRETRAIN, SPEC, digits, warm_start

ONE, OTHER = TrainedOn("a", "", "s"), TrainedOn("b", "", "s")


def networks(folder: Path, *seen: tuple[TrainedOn, ...]) -> list[Path]:
    """Files of networks that differ in every weight."""
    paths = []
    for index, trained_on in enumerate(seen):
        rng = torch.Generator().manual_seed(index)
        tensors = {
            "state.stem.1.conv.weight": torch.randn(4, 3, generator=rng),
            "state.stem.1.norm.num_batches_tracked": torch.tensor(10 * index),
            "teacher": torch.randn(5 + index, 2, generator=rng),
            "range.stem.act": torch.randn(3, generator=rng),
        }
        paths.append(folder / f"{index}.safetensors")
        write_tensors(paths[-1], tensors, to_values(trained_on) if trained_on else {})
    return paths


def test_every_weight_is_the_mean_and_what_was_measured_is_left_out(tmp_path: Path) -> None:
    paths = networks(tmp_path, (ONE,), (ONE, OTHER), (ONE,))
    assert average(paths, tmp_path / "mean.safetensors") == 2
    tensors, values = read_tensors(tmp_path / "mean.safetensors")
    assert sorted(tensors) == ["state.stem.1.conv.weight", "state.stem.1.norm.num_batches_tracked"]
    found = tensors["state.stem.1.conv.weight"]
    each = [read_tensors(path)[0]["state.stem.1.conv.weight"].numpy().astype(np.float64) for path in paths]
    np.testing.assert_allclose(found.numpy(), sum(each) / 3, rtol=1e-6)
    assert found.dtype == torch.float32
    assert len(set(values["averaged"])) == 3
    assert values["trained_on"] == [dataclasses.asdict(ONE), dataclasses.asdict(OTHER)]


def test_images_that_one_network_does_not_tell_are_not_told_of_the_mean(tmp_path: Path) -> None:
    average(networks(tmp_path, (ONE,), ()), tmp_path / "mean.safetensors")
    assert "trained_on" not in read_tensors(tmp_path / "mean.safetensors")[1]


def test_a_study_that_starts_from_a_mean_measures_its_statistics(tmp_path: Path) -> None:
    """Two copies of a trained network whose BatchNorm statistics are wrong in one: their mean would be wrong too."""
    trained = warm_start()
    good = {f"state.{name}": tensor for name, tensor in trained.state.items()}
    bad = {n: t * 9 + 3 if n.endswith(("running_mean", "running_var")) else t for n, t in good.items()}
    write_tensors(tmp_path / "good.safetensors", good, {})
    write_tensors(tmp_path / "bad.safetensors", bad, {})
    average([tmp_path / "good.safetensors", tmp_path / "bad.safetensors"], tmp_path / "mean.safetensors")
    as_it_is = dataclasses.replace(PRETRAIN, epochs=0)
    start = load_float_weights(tmp_path / "mean.safetensors", SPEC)
    assert start.averaged
    found = pretrain(SPEC, HEADS, digits(), as_it_is, tmp_path / "cache", 0, start=start)
    for name, tensor in trained.state.items():
        if name.endswith(("running_mean", "running_var")):
            scale = float(tensor.abs().max())
            torch.testing.assert_close(found.state[name], tensor, rtol=0.2, atol=0.1 * scale)
        elif tensor.is_floating_point():
            torch.testing.assert_close(found.state[name], tensor)
    for head, accuracy in trained.accuracies.items():
        assert found.accuracies[head] == pytest.approx(accuracy, abs=0.03)
    # A start that is no mean is taken as it is, its statistics too.
    other = load_float_weights(tmp_path / "bad.safetensors", SPEC)
    taken = pretrain(SPEC, HEADS, digits(), as_it_is, tmp_path / "cache", 0, start=other)
    norm = next(name for name in trained.state if name.endswith("running_var"))
    torch.testing.assert_close(taken.state[norm], bad[f"state.{norm}"])


def changed(change: Callable[[dict[str, Tensor]], object]) -> Callable[[Path], list[Path]]:
    """Two networks, the second changed."""

    def make(folder: Path) -> list[Path]:
        paths = networks(folder, (), ())
        tensors, _ = read_tensors(paths[1])
        change(tensors)
        write_tensors(paths[1], tensors, {})
        return paths

    return make


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        (lambda folder: networks(folder, ()), "expected at least two float networks, got 1"),
        (lambda folder: [*networks(folder, ()), folder / "gone.safetensors"], "gone.safetensors, got No such file"),
        (lambda folder: [*networks(folder, ()), Path(__file__)], "expected a safetensors file of weights at"),
        (changed(lambda t: t.update({"state.more": torch.ones(1)})), "1.safetensors alone; average networks"),
        (changed(lambda t: t.pop("state.stem.1.conv.weight")), "0.safetensors alone; average networks"),
        (changed(lambda t: t.update({"state.stem.1.conv.weight": torch.ones(4, 2)})), "weight of shape [4, 3] in"),
        (changed(lambda t: t["state.stem.1.conv.weight"].fill_(float("nan"))), "NaN or infinity in state.stem.1"),
    ],
)  # fmt: skip
def test_bad_input_gets_one_line(
    tmp_path: Path, paths: Callable[[Path], list[Path]], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "mean.safetensors"
    assert main([*map(str, paths(tmp_path)), "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: expected")
    assert said in error
    assert error.count("\n") == 1
    assert not out.exists()


def test_nothing_is_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths, out = networks(tmp_path, (), ()), tmp_path / "mean.safetensors"
    assert main([*map(str, paths), "--out", str(out)]) == 0
    assert "the mean of 2 networks" in capsys.readouterr().out
    before = out.read_bytes()
    with pytest.raises(OfframpError, match=r"mean\.safetensors, which exists"):
        average(paths, out)
    assert out.read_bytes() == before


def test_state_dicts_of_an_ordinary_training_have_a_mean_too(tmp_path: Path) -> None:
    for index in range(2):
        save_file({"conv.weight": torch.full((2, 2), float(index))}, tmp_path / f"{index}.safetensors")
    average([tmp_path / "0.safetensors", tmp_path / "1.safetensors"], tmp_path / "mean.safetensors")
    assert torch.equal(read_tensors(tmp_path / "mean.safetensors")[0]["conv.weight"], torch.full((2, 2), 0.5))
