"""How the static reference is trained without exits."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest
import torch

from models.architecture import Architecture
from models.predictions import ExitPredictions
from study.config import StudyConfig
from study.config_io import load_preset, resolve
from study.runner import pretraining_alone
from study.setup import Paths, StudyContext, load_data, open_context, statics_missing, train_static
from study.worker import WorkerTask
from tests.study.processes import wait_for


def configured(
    separate: bool, heads: tuple[str, ...] = ("fc",), others: tuple[str, ...] = (), threads: int = 1
) -> StudyConfig:
    return resolve(
        [
            load_preset("quickstart"),
            {
                "search": {"pretrain_alone": separate, "pretrain_heads": others},
                "backbone": {"width": 0.125},
                "space": {"exit_heads": heads, "final_heads": heads},
                "pretrain": {"epochs": 1, "threads": threads},
                "qat": {"epochs": 0.1, "norm_batches": 1},
            },
        ]
    )


def opened(
    folder: Path, separate: bool, heads: tuple[str, ...] = ("fc",), others: tuple[str, ...] = ()
) -> StudyContext:
    config = configured(separate, heads, others)
    paths = Paths(folder / "run", folder / "cache")
    return open_context(config, paths, "cpu", load_data(config, paths.cache))


def test_no_weight_of_it_was_ever_trained_for_early_exits(tmp_path: Path) -> None:
    context = opened(tmp_path, separate=True)
    assert statics_missing(context) == ["alone", "jointly"]
    network = train_static(context, "alone")["fc"]
    assert statics_missing(context) == ["jointly"]
    start = context.pretrained_alone()
    assert start.accuracies.keys() == {"fc_11"}
    weights = [name for name in start.state if name.startswith("blocks.") and name.endswith("conv.weight")]
    assert weights
    assert not any(torch.equal(start.state[name], context.warm.state[name]) for name in weights)
    # Its design may be proposed too, and is then a network like the others, in a file of its own.
    static = Architecture.static(context.spec.n_blocks)
    assert context.evaluator.memo.find(static) is None
    proposed = context.evaluator.train(static)
    assert not _equal(proposed.validation, network.validation)
    assert len(list(context.paths.checkpoints.glob("*.safetensors"))) == 2


def task_in(folder: Path, config: StudyConfig) -> WorkerTask:
    return WorkerTask(config, Paths(folder / "run", folder / "cache"), "", "beside", "cpu", 0)


def test_it_is_trained_beside_the_network_with_exits(tmp_path: Path) -> None:
    stages: list[str] = []
    with pretraining_alone(task_in(tmp_path, configured(separate=True))):
        (process,) = multiprocessing.active_children()
        # The process has the lock of its folder from here on.
        wait_for(lambda: len(list((tmp_path / "cache").glob("warm/*/lock"))) == 1, 60)
        out_of_memory = Path(f"/proc/{process.pid}/oom_score_adj")
        assert out_of_memory.read_text(encoding="ascii").strip() == "1000"  # killed before the one with exits
        context = opened(tmp_path, separate=True)
        start = context.pretrained_alone(lambda stage, *_: stages.append(stage))
        assert start.accuracies.keys() == {"fc_11"}
    assert "pre-training" not in stages  # nothing of it was trained here
    assert not process.is_alive()


def test_where_that_process_is_killed_it_is_trained_all_the_same(tmp_path: Path) -> None:
    with pretraining_alone(task_in(tmp_path, configured(separate=True))):
        (process,) = multiprocessing.active_children()
        wait_for(lambda: list((tmp_path / "cache").glob("warm/*/lock")) != [], 60)
        process.kill()
        stages: list[str] = []
        start = opened(tmp_path, separate=True).pretrained_alone(lambda stage, *_: stages.append(stage))
    assert "pre-training" in stages
    assert start.accuracies.keys() == {"fc_11"}


@pytest.mark.parametrize(
    ("separate", "threads", "cores"),
    [(False, 1, 8), (True, 2, 2), (True, 1, 1)],
    ids=["shared", "full", "one core"],
)
def test_where_there_is_no_room_nothing_is_started(
    tmp_path: Path, separate: bool, threads: int, cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("study.runner.cores", lambda: cores)
    with pretraining_alone(task_in(tmp_path, configured(separate, threads=threads))):
        assert not multiprocessing.active_children()


def test_it_may_share_the_float_network_of_the_study(tmp_path: Path) -> None:
    context = opened(tmp_path, separate=False)
    assert context.pretrained_alone() is context.warm
    network = train_static(context, "alone")["fc"]
    static = Architecture.static(context.spec.n_blocks)
    found = context.evaluator.memo.find(static)
    assert found is not None
    assert _equal(found.validation, network.validation)


def test_studies_of_two_spaces_share_a_pre_training(tmp_path: Path) -> None:
    narrow = opened(tmp_path, separate=False, others=("gap",))
    wide = opened(tmp_path, separate=False, heads=("fc", "gap"))
    assert narrow.warm.checksum == wide.warm.checksum
    assert len(list((tmp_path / "cache" / "warm").iterdir())) == 1
    assert narrow.warm.head_kinds == ("fc", "gap")
    # What is pre-trained and not in the space is in no design, and no static network has it.
    assert {trained for trained in train_static(narrow, "jointly")} == {"fc"}
    assert {trained for trained in train_static(wide, "jointly")} == {"fc", "gap"}


def _equal(one: ExitPredictions, other: ExitPredictions) -> bool:
    return bool((one.confidence == other.confidence).all())


@pytest.mark.parametrize("separate", [True, False])
def test_a_study_that_was_begun_before_there_was_a_choice_goes_on_as_it_began(separate: bool) -> None:
    from study.config_io import identity

    values = identity(resolve([load_preset("quickstart"), {"search": {"pretrain_alone": separate}}]))
    assert ("pretrain_alone" in values["search"]) is separate
