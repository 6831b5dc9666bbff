from __future__ import annotations

import subprocess
import sys

import pytest

from models.recipe import QatRecipe
from study.memory import is_out_of_memory, with_smaller_batches

RECIPE = QatRecipe(batch_size=64, learning_rate=0.4, scale_learning_rate=0.04)


def hungry(fits: int, seen: list[QatRecipe]):
    def train(recipe: QatRecipe) -> str:
        seen.append(recipe)
        if recipe.batch_size > fits:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return f"trained with {recipe.batch_size}"

    return train


@pytest.mark.parametrize(("fits", "sizes"), [(64, [64]), (32, [64, 32]), (16, [64, 32, 16])])
def test_batches_are_halved_until_they_fit(fits, sizes):
    seen: list[QatRecipe] = []
    assert with_smaller_batches(hungry(fits, seen), RECIPE) == f"trained with {sizes[-1]}"
    assert [r.batch_size for r in seen] == sizes
    assert seen[0] is RECIPE
    for recipe in seen:
        assert recipe.learning_rate / recipe.batch_size == pytest.approx(0.4 / 64)
        assert recipe.scale_learning_rate / recipe.batch_size == pytest.approx(0.04 / 64)
        assert recipe.epochs == RECIPE.epochs


def test_what_never_fits_fails_with_its_reason():
    seen: list[QatRecipe] = []
    with pytest.raises(RuntimeError, match="CUDA out of memory"):
        with_smaller_batches(hungry(0, seen), RECIPE)
    assert [r.batch_size for r in seen] == [64, 32, 16]


def test_other_errors_are_not_tried_again():
    calls = []

    def broken(recipe: QatRecipe) -> None:
        calls.append(recipe)
        raise RuntimeError("size mismatch")

    with pytest.raises(RuntimeError, match="size mismatch"):
        with_smaller_batches(broken, RECIPE)
    assert len(calls) == 1


def test_real_shortages_are_recognised():
    """Both of PyTorch's host and of Python, in a process whose memory is limited."""
    code = (
        "import resource, torch\n"
        "from study.memory import is_out_of_memory\n"
        "size = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (size + 2**29, size + 2**29))\n"
        "for allocate in (lambda: torch.empty(2**32), lambda: bytearray(2**34)):\n"
        "    try:\n"
        "        allocate()\n"
        "    except (RuntimeError, MemoryError) as error:\n"
        "        print(type(error).__name__, is_out_of_memory(error))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.splitlines() == ["RuntimeError True", "MemoryError True"]


def test_a_device_says_it_in_its_own_way():
    import torch

    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory."))
    assert not is_out_of_memory(RuntimeError("CUDA error: an illegal memory access was encountered"))
    assert not is_out_of_memory(OSError(12, "Cannot allocate memory"))


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    """A study of small networks with batches of 64."""
    from study.config_io import load_preset, resolve
    from study.setup import Paths, load_data, open_context

    folder = tmp_path_factory.mktemp("memory")
    config = resolve(
        [
            load_preset("quickstart"),
            {
                "backbone": {"width": 0.125},
                "space": {"exit_heads": ["fc"], "final_heads": ["fc"]},
                "pretrain": {"epochs": 1},
                "qat": {"epochs": 0.03, "threads": 1, "norm_batches": 1},
            },
        ]
    )
    assert config.qat.batch_size == 64
    paths = Paths(folder / "run", folder / "cache")
    return open_context(config, paths, "cpu", load_data(config, paths.cache))


def on_default(context, architecture):
    from study.genome import Genome

    return Genome(architecture, context.space.allocations.default, 0.0, context.space.levels.nominal)


def test_a_network_trained_with_smaller_batches_says_so(context, monkeypatch):
    """In the memo, which another study may read, and in the trial's result."""
    import models.train
    from models.architecture import Architecture

    train = models.train.train_architecture

    def short_of_memory(architecture, spec, data, warm, recipe, *rest, **options):
        if recipe.batch_size > 16:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return train(architecture, spec, data, warm, recipe, *rest, **options)

    monkeypatch.setattr(models.train, "train_architecture", short_of_memory)
    architecture = Architecture.static(context.spec.n_blocks, "fc")
    evaluator = context.with_halved_batches(0).evaluator  # made anew, behind the patch
    record = evaluator.evaluate(on_default(context, architecture))
    assert record.trained
    assert record.batch_size == 16
    assert evaluator.memo.find(architecture).batch_size == 16
    assert evaluator.derive(architecture, evaluator.memo.find(architecture))[0].batch_size == 16


def test_a_design_that_killed_workers_begins_with_a_smaller_batch(context):
    from models.architecture import Architecture

    n = context.spec.n_blocks
    architecture = Architecture((5,), ("fc", "fc"), (4,) * n, (4,) * n, 4, 4)
    careful = context.with_halved_batches(1)
    assert careful.evaluator.evaluate(on_default(context, architecture)).batch_size == 32
    assert careful.evaluator.bounds is context.evaluator.bounds
    again = context.evaluator.evaluate(on_default(context, architecture))
    assert (again.source, again.batch_size) == ("memo", 32)
