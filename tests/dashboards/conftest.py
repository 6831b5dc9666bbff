from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dashboards.members import ReportData, report_data
from study.results import load_run
from tests.dashboards.browser import MISSING, chromium
from tests.dashboards.synthetic_run import write_run


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folder; tests that write use one of their own."""
    return write_run(tmp_path_factory.mktemp("runs") / "synthetic")


@pytest.fixture(scope="session")
def data(run_folder: Path) -> ReportData:
    return report_data(load_run(run_folder))


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    """A headless Chromium, one for all tests here; its event loop ends before other tests start."""
    if MISSING:
        pytest.skip(MISSING)
    with chromium() as running:
        yield running
