from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from dashboards.serve.__main__ import Serving, prepare
from study.live import keep_environment
from study.setup import StudyContext
from study.storage import keep_reference
from tests.dashboards.test_report import HOSTILE
from tests.study.bench import bench_context, run_trials, static_reference

ENVIRONMENT = {
    "command": "python -m study.run",
    "commit": "0123456789",
    "data": {"name": HOSTILE, "channels": 1, "classes": [str(i) for i in range(10)]},
}


@dataclass(frozen=True)
class Bench:
    """A study in a sqlite database with made-up predictions and a real simulator."""

    folder: Path
    context: StudyContext
    url: str


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("served") / "run"
    context = bench_context(folder)
    study = run_trials(context, 7)
    keep_environment(study, ENVIRONMENT)
    keep_reference(study, static_reference(context))
    checkpoints = context.paths.checkpoints
    checkpoints.mkdir()
    for trial in study.trials:
        architecture = context.space.decode(trial.params).architecture
        (checkpoints / f"{architecture.key()[:32]}.safetensors").write_bytes(b"weights")
    return Bench(folder, context, f"sqlite:///{folder / 'study.db'}")


@pytest.fixture(scope="session")
def serving(bench: Bench) -> Iterator[Serving]:
    with answering(prepare(bench.url, None, None, None, "127.0.0.1", 0, 1000)) as ready:
        yield ready


@contextmanager
def answering(ready: Serving) -> Iterator[Serving]:
    """A server that answers until the end of the block."""
    thread = threading.Thread(target=ready.server.serve_forever, daemon=True)
    thread.start()
    yield ready
    ready.server.shutdown()
    ready.server.server_close()
    thread.join()
