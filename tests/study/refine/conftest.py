from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.study.refine.runs import configuration, make_run, train_here


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pre-trained network of the tiny study."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """The folder of a finished run; not to be changed."""
    folder = tmp_path_factory.mktemp("made") / "tiny"
    make_run(folder, configuration(cache))
    return folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, finished: Path, cache: Path) -> Path:
    """The same with everything trained that is refined; not to be changed."""
    folder = tmp_path_factory.mktemp("trained") / "tiny"
    shutil.copytree(finished, folder)
    train_here(folder, cache)
    return folder


@pytest.fixture
def run(tmp_path: Path, trained: Path) -> Path:
    """A copy of that run to refine."""
    return Path(shutil.copytree(trained, tmp_path / "tiny"))
