import itertools
import time
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch

from hwcost.errors import OfframpError
from models.tensor_file import checksum, read_tensors, write_tensors

TENSORS = {"a": torch.arange(6).reshape(2, 3), "b": torch.tensor(1.5), "c": torch.zeros(0, 4)}


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file.safetensors"
    found = write_tensors(path, TENSORS, {"epoch": 3})
    tensors, meta = read_tensors(path)
    assert meta == {"epoch": 3}
    assert found == checksum(tensors) == checksum(TENSORS)
    for name, tensor in TENSORS.items():
        assert torch.equal(tensors[name], tensor)
        assert tensors[name].dtype == tensor.dtype
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_the_checksum_sees_names_types_shapes_and_values() -> None:
    base = {"a": torch.zeros(2, 3)}
    others: list[dict[str, torch.Tensor]] = [
        {"b": torch.zeros(2, 3)},
        {"a": torch.zeros(3, 2)},
        {"a": torch.zeros(2, 3, dtype=torch.int32)},
        {"a": torch.full((2, 3), 1e-30)},
    ]
    assert len({checksum(tensors) for tensors in [base, *others]}) == 5


def test_the_checksum_does_not_see_memory_formats() -> None:
    tensor = torch.randn((2, 3, 4, 4), generator=torch.Generator().manual_seed(0))
    assert checksum({"a": tensor}) == checksum({"a": tensor.to(memory_format=torch.channels_last)})


def test_every_flipped_byte_is_found(tmp_path: Path) -> None:
    path = tmp_path / "file.safetensors"
    write_tensors(path, TENSORS, {"epoch": 3})
    content = path.read_bytes()
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 0x04
        path.write_bytes(damaged)
        try:
            tensors, meta = read_tensors(path)
        except OfframpError:
            continue
        # What got through must be spelling only: blanks of the header's padding.
        assert checksum(tensors) == checksum(TENSORS), position
        assert meta == {"epoch": 3}, position


def test_a_failing_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file.safetensors"
    write_tensors(path, TENSORS, {"epoch": 3})
    with pytest.raises(TypeError):
        write_tensors(path, TENSORS, {"bad": object()})
    assert read_tensors(path)[1] == {"epoch": 3}
    assert len(list(tmp_path.iterdir())) == 1


def test_others_may_read_what_was_written(tmp_path: Path) -> None:
    write_tensors(tmp_path / "a.safetensors", {"a": torch.zeros(1)}, {})
    assert (tmp_path / "a.safetensors").stat().st_mode & 0o777 == 0o644


def write_without_end(path: Path) -> None:
    """Files of one number each, larger from one to the next until they are 4 MB."""
    for number in itertools.count():
        write_tensors(path, {"w": torch.full((min(number + 1, 8) * 2**17,), float(number))}, {"n": number})


def test_kill_9_while_a_file_is_written_leaves_a_whole_one(tmp_path: Path) -> None:
    path = tmp_path / "network.safetensors"
    write_tensors(path, {"w": torch.full((4,), -1.0)}, {"n": -1})
    cut_off = 0
    for _ in range(10):
        writer = get_context("spawn").Process(target=write_without_end, args=(path,), daemon=True)
        writer.start()
        deadline = time.monotonic() + 60
        before = set(tmp_path.iterdir())
        while not set(tmp_path.iterdir()) - before - {path}:
            assert time.monotonic() < deadline, "the writer never began"
        writer.kill()  # a file beside the old one has just been opened
        writer.join()
        cut_off += bool(set(tmp_path.iterdir()) - before - {path})
        tensors, meta = read_tensors(path)
        assert bool((tensors["w"] == meta["n"]).all())
        if cut_off >= 2:
            break
    assert cut_off >= 2, "no write was cut off"
    write_tensors(path, TENSORS, {})
    assert read_tensors(path)[1] == {}
