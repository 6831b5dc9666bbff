import dataclasses
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from hwcost.errors import OfframpError
from hwcost.networks import load_backbone, uniform_precision
from models.augment import normalize_batch
from models.brevitas_adapter import SCALE_SUFFIX
from models.calibrate import ActivationRange, measure_ranges
from models.float_weights import load_float_weights
from models.network import EarlyExitNetwork, Mount, all_mounts
from models.objective import NonFiniteLoss
from models.train import empty_network
from models.warm_start import load_warm_weights, pretrain, warm_start_key
from tests.models.small import HEADS, PRETRAIN, SPEC, digits, warm_start

SHORT = dataclasses.replace(PRETRAIN, epochs=2)


def folder_of(cache: Path) -> Path:
    (folder,) = (cache / "warm").iterdir()
    return folder


def test_it_learns_every_exit_and_head() -> None:
    warm = warm_start()
    assert set(warm.accuracies) == {f"{kind}_{block}" for kind in HEADS for block in range(3)}
    assert warm.accuracies["fc_2"] > 0.85
    # The mean of eight channels says little about a digit: `gap` learns behind the last block only.
    assert min(accuracy for name, accuracy in warm.accuracies.items() if not name.startswith("gap")) > 0.8
    assert warm.accuracies["gap_2"] > 0.3
    assert warm.teacher_logits.shape == (len(digits().train_images), 10)
    teacher_accuracy = (warm.teacher_logits.argmax(1) == digits().train_labels).float().mean()
    assert teacher_accuracy > 0.85


def test_the_second_call_reads_the_cache(tmp_path: Path) -> None:
    calls: list[tuple[str, int, int, float]] = []
    first = pretrain(SPEC, HEADS, digits(), SHORT, tmp_path, 0, progress=lambda *call: calls.append(call))
    assert calls[-1][1] == calls[-1][2] > 0
    n_calls = len(calls)
    second = pretrain(SPEC, HEADS, digits(), SHORT, tmp_path, 0, progress=lambda *call: calls.append(call))
    assert len(calls) == n_calls
    assert first.checksum == second.checksum
    assert first.seconds == second.seconds
    assert all(torch.equal(first.state[name], second.state[name]) for name in first.state)


def test_everything_it_depends_on_is_in_the_key() -> None:
    data = digits()
    keys = {
        warm_start_key(SPEC, HEADS, data, SHORT, 0),
        warm_start_key(SPEC, HEADS, data, SHORT, 1),
        warm_start_key(SPEC, HEADS[:2], data, SHORT, 0),
        warm_start_key(SPEC, HEADS, data, PRETRAIN, 0),
        warm_start_key(SPEC, HEADS, data, dataclasses.replace(SHORT, threads=2), 0),
        warm_start_key(SPEC, HEADS, dataclasses.replace(data, fingerprint="other"), SHORT, 0),
        warm_start_key(load_backbone("paper"), HEADS, data, SHORT, 0),
        warm_start_key(SPEC, HEADS, data, SHORT, 0, early_exits=False),
    }
    assert len(keys) == 8


def test_another_warm_start_is_gone_on_from_with_its_heads(tmp_path: Path) -> None:
    first = pretrain(SPEC, HEADS, digits(), SHORT, tmp_path, 0)
    (path,) = tmp_path.rglob("warm.safetensors")
    start = load_float_weights(path, SPEC)
    still = dataclasses.replace(SHORT, epochs=1, learning_rate=1e-12, weight_decay=0.0, ema_decay=0.0)
    second = pretrain(SPEC, HEADS, digits(), still, tmp_path, 1, start=start)
    for name, tensor in first.state.items():
        if name.endswith(".weight"):
            torch.testing.assert_close(second.state[name], tensor, rtol=0, atol=1e-6)
    without = dataclasses.replace(start, heads={})
    keys = {warm_start_key(SPEC, HEADS, digits(), still, 1, given) for given in (start, without, None)}
    assert len(keys) == 3
    alone = pretrain(SPEC, ("fc",), digits(), still, tmp_path, 1, start=start, early_exits=False)
    torch.testing.assert_close(
        alone.state["heads.fc_2.fc.weight"], first.state["heads.fc_2.fc.weight"], rtol=0, atol=1e-6
    )


def test_without_epochs_another_warm_start_is_taken_as_it_is(tmp_path: Path) -> None:
    first = pretrain(SPEC, HEADS, digits(), SHORT, tmp_path / "first", 0)
    (path,) = tmp_path.rglob("warm.safetensors")
    start, none = load_float_weights(path, SPEC), dataclasses.replace(SHORT, epochs=0, start_size=0.5)
    taken = pretrain(SPEC, HEADS, digits(), none, tmp_path / "taken", 1, start=start)
    assert taken.training_samples == 0
    assert taken.accuracies == first.accuracies
    for name, tensor in first.state.items():
        if not name.endswith("num_batches_tracked"):  # counts what is trained here
            assert torch.equal(taken.state[name], tensor), name
    torch.testing.assert_close(taken.teacher_logits, first.teacher_logits)
    # What it was trained on is said on, and nothing else.
    (copy,) = (tmp_path / "taken").rglob("warm.safetensors")
    assert load_float_weights(copy, SPEC).trained_on == start.trained_on
    some = pretrain(SPEC, HEADS[:1], digits(), none, tmp_path / "some", 1, start=start)
    assert set(some.accuracies) == {f"{HEADS[0]}_{block}" for block in range(3)}


def test_without_epochs_everything_must_be_there(tmp_path: Path) -> None:
    none = dataclasses.replace(SHORT, epochs=0)
    with pytest.raises(OfframpError, match=r"got none of the backbone; set pretrain\.epochs"):
        pretrain(SPEC, HEADS, digits(), none, tmp_path / "cache", 0)
    pretrain(SPEC, ("fc",), digits(), dataclasses.replace(SHORT, epochs=1), tmp_path / "fc", 0)
    (path,) = (tmp_path / "fc").rglob("warm.safetensors")
    start = load_float_weights(path, SPEC)
    with pytest.raises(OfframpError, match=r"got none of heads\.gap_0, heads\.gap_1, heads\.gap_2; set"):
        pretrain(SPEC, ("fc", "gap"), digits(), none, tmp_path / "cache", 0, start=start)
    assert not list((tmp_path / "cache").rglob("*.safetensors"))


def test_a_network_without_early_exits_is_trained_for_its_final_one_alone(tmp_path: Path) -> None:
    warm = pretrain(SPEC, ("fc",), digits(), PRETRAIN, tmp_path, 0, early_exits=False)
    assert set(warm.accuracies) == {"fc_2"}
    assert warm.accuracies["fc_2"] > 0.85
    assert {name.split(".")[1] for name in warm.state if name.startswith("heads.")} == {"fc_2"}
    network = empty_network(SPEC, (Mount(2, "fc"),), uniform_precision(SPEC.n_blocks), 10, 16)
    load_warm_weights(network, warm.state, SCALE_SUFFIX)
    final = torch.nn.functional.cross_entropy(warm.teacher_logits, digits().train_labels)
    assert final < 0.5  # the teacher is its own final exit


class StopAt(Exception):
    """Raised in place of a power cut."""


def test_an_interrupted_training_ends_with_the_weights_of_an_uninterrupted_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.warm_start.QUICK_SAVING", 60.0)  # every epoch is kept, on a busy disk too
    data = digits()
    # images grow over all three, and some are mixed
    recipe = dataclasses.replace(PRETRAIN, epochs=3, start_size=0.5, cutmix=0.5)
    whole = pretrain(SPEC, HEADS, data, recipe, tmp_path / "whole", 0)

    def stop(_stage: str, done: int, total: int, _accuracy: float) -> None:
        if done > total * 0.7:
            raise StopAt

    with pytest.raises(StopAt):
        pretrain(SPEC, HEADS, data, recipe, tmp_path / "parts", 0, progress=stop)
    assert [path.name for path in folder_of(tmp_path / "parts").glob("*.safetensors")] == [
        "progress.safetensors"
    ]
    first_steps: list[int] = []
    parts = pretrain(
        SPEC,
        HEADS,
        data,
        recipe,
        tmp_path / "parts",
        0,
        progress=lambda _s, done, _t, _a: first_steps.append(done),
    )
    assert first_steps[0] > 2 * (len(data.train_images) // recipe.batch_size)
    assert parts.checksum == whole.checksum
    assert parts.training_samples == whole.training_samples
    assert not list(folder_of(tmp_path / "parts").glob("progress*"))


def test_a_killed_process_loses_at_most_an_epoch(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from models.warm_start import pretrain;"
        "from tests.models.small import HEADS, PRETRAIN, SPEC, digits; import dataclasses;"
        f"pretrain(SPEC, HEADS, digits(), dataclasses.replace(PRETRAIN, epochs=500), Path({str(tmp_path)!r}), 0)"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 60
    while not list(tmp_path.rglob("progress.safetensors")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    steps: list[int] = []

    def stop(_stage: str, done: int, _total: int, _accuracy: float) -> None:
        steps.append(done)
        raise StopAt

    recipe = dataclasses.replace(PRETRAIN, epochs=500)
    with pytest.raises(StopAt):  # the lock is free again, and the first step is not step 1
        pretrain(SPEC, HEADS, digits(), recipe, tmp_path, 0, progress=stop)
    assert steps[0] > len(digits().train_images) // recipe.batch_size


@pytest.mark.parametrize("damage", ["flipped", "truncated", "empty"])
def test_a_damaged_cache_is_trained_again_with_a_warning(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    recipe = dataclasses.replace(PRETRAIN, epochs=1)
    first = pretrain(SPEC, ("fc",), digits(), recipe, tmp_path, 0)
    path = folder_of(tmp_path) / "warm.safetensors"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes({"flipped": content, "truncated": content[: len(content) // 2], "empty": b""}[damage])
    second = pretrain(SPEC, ("fc",), digits(), recipe, tmp_path, 0)
    (line,) = caplog.messages
    assert "damaged and is trained again" in line
    assert first.checksum == second.checksum


def test_a_damaged_interrupted_training_starts_again_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recipe = dataclasses.replace(PRETRAIN, epochs=1)
    first = pretrain(SPEC, ("fc",), digits(), recipe, tmp_path, 0)
    folder = folder_of(tmp_path)
    (folder / "warm.safetensors").unlink()
    (folder / "progress.safetensors").write_bytes(b"torn")
    second = pretrain(SPEC, ("fc",), digits(), recipe, tmp_path, 0)
    (line,) = caplog.messages
    assert "starts again" in line
    assert first.checksum == second.checksum


def _pretrain_into(cache: str, results: "multiprocessing.Queue[str]") -> None:
    recipe = dataclasses.replace(PRETRAIN, epochs=2)
    stages: list[str] = []
    warm = pretrain(
        SPEC, ("fc",), digits(), recipe, Path(cache), 0, progress=lambda s, *_rest: stages.append(s)
    )
    results.put(json.dumps([warm.checksum, "pre-training" in stages, os.getpid()]))


def test_two_processes_at_once_train_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[str] = context.Queue()
    processes = [context.Process(target=_pretrain_into, args=(str(tmp_path), results)) for _ in range(2)]
    for process in processes:
        process.start()
    found = [json.loads(results.get(timeout=120)) for _ in processes]
    for process in processes:
        process.join()
    assert found[0][0] == found[1][0]
    assert sorted(trained for _, trained, _ in found) == [False, True]


def test_an_endless_learning_rate_ends_with_its_reason(tmp_path: Path) -> None:
    recipe = dataclasses.replace(SHORT, learning_rate=float("inf"))
    with pytest.raises(NonFiniteLoss, match=r"finite loss, got .* of the pre-training"):
        pretrain(SPEC, ("fc",), digits(), recipe, tmp_path, 0)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_images_of_other_channels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OfframpError, match="1 input channels, got 3"):
        pretrain(load_backbone("paper"), ("fc",), digits(), SHORT, tmp_path, 0)


def test_only_scales_may_be_missing_and_only_heads_superfluous() -> None:
    state = dict(warm_start().state)
    network = empty_network(SPEC, (Mount(2, "fc"),), uniform_precision(SPEC.n_blocks), 10, 16)
    load_warm_weights(network, state, SCALE_SUFFIX)
    assert torch.equal(
        network.state_dict()["blocks.1.expand.conv.weight"], state["blocks.1.expand.conv.weight"]
    )
    short = {name: tensor for name, tensor in state.items() if name != "blocks.1.expand.conv.weight"}
    with pytest.raises(OfframpError, match=r"blocks\.1\.expand\.conv\.weight"):
        load_warm_weights(network, short, SCALE_SUFFIX)
    with pytest.raises(OfframpError, match=r"blocks\.7\.extra"):
        load_warm_weights(network, state | {"blocks.7.extra": torch.zeros(1)}, SCALE_SUFFIX)
    with pytest.raises(OfframpError, match=r"heads\.fc_2\.fc\.weight"):
        load_warm_weights(EarlyExitNetwork(SPEC, (Mount(2, "fc"),), 7, 16), state, SCALE_SUFFIX)


def test_global_random_numbers_are_left_alone(tmp_path: Path) -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    pretrain(SPEC, ("fc",), digits(), dataclasses.replace(PRETRAIN, epochs=1), tmp_path, 0)
    assert torch.equal(torch.rand(1), expected)


def test_scales_are_calibrated_on_images_of_the_whole_split() -> None:
    """Folders of images are sorted by class: the first few hundred images would be of one class."""
    warm, data = warm_start(), digits()
    network = EarlyExitNetwork(SPEC, all_mounts(SPEC, HEADS), data.classes, data.image_size).eval()
    network.load_state_dict(warm.state)
    n = len(data.train_images)

    def ranges(rows: list[int]) -> dict[str, ActivationRange]:
        return measure_ranges(
            network, [normalize_batch(data.train_images[rows], data.mean, data.std, channels_last=True)]
        )

    spread, first = ranges([i * n // 512 for i in range(512)]), ranges(list(range(512)))
    moved = 0
    for name, found in warm.ranges.items():
        assert found.maximum == pytest.approx(spread[name].maximum, rel=1e-4)
        assert found.threshold(4) == pytest.approx(spread[name].threshold(4), rel=0.02)
        moved += found.maximum != pytest.approx(first[name].maximum, rel=1e-4)
    assert moved > len(warm.ranges) / 4
