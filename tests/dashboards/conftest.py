from __future__ import annotations

from pathlib import Path

import pytest

from dashboards.members import ReportData, report_data
from study.results import load_run
from tests.dashboards.synthetic_run import write_run


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folder; tests that write use one of their own."""
    return write_run(tmp_path_factory.mktemp("runs") / "synthetic")


@pytest.fixture(scope="session")
def data(run_folder: Path) -> ReportData:
    return report_data(load_run(run_folder))
