"""Where results to export come from: a run's tables, or its storage while it runs. Nothing is trained or changed."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import pandas as pd

from hwcost.errors import OfframpError
from study.live import find_study, live_study
from study.results import RunResults, load_run
from study.storage import default_url
from study.tables import WHOLE_NUMBERS


@dataclass(frozen=True)
class Source:
    """Results, and what they lack.

    Attributes:
        run: The results.
        tables: Content of each CSV file by its name.
        missing: One line on each thing that is not there yet.
    """

    run: RunResults
    tables: Mapping[str, str]
    missing: tuple[str, ...]


def open_folder(folder: Path, storage: str | None, name: str | None, accelerator: Path | None) -> Source:
    """A run's tables; its storage where that has more finished trials, as long as the run goes on.

    Args:
        folder: That study.run writes to.
        storage: Its storage; None: the database in the folder, where there is one.
        name: Of the study; None where the storage holds one only.
        accelerator: The chip's file, where the study has one of its own.

    Raises:
        OfframpError: There is neither.
    """
    if not folder.is_dir():
        raise OfframpError(
            f"expected the folder of a run such as runs/quickstart, got {folder}; run study.run first"
        )
    url = storage or (default_url(folder) if (folder / "study.db").is_file() else None)
    try:
        run: RunResults | None = load_run(folder)
    except OfframpError:
        if url is None:
            raise
        run = None
    if url is None:
        assert run is not None
        return Source(run, _written(folder), ())
    name = name or _marked(folder)
    if run is not None:
        finished = sum(trial.state.name == "COMPLETE" for trial in find_study(url, name).trials)
        if finished <= (run.trials["state"] == "COMPLETE").sum():
            return Source(run, _written(folder), ())
    return open_storage_alone(url, name, accelerator, folder)


def open_storage_alone(
    url: str, name: str | None, accelerator: Path | None, folder: Path | None = None
) -> Source:
    """What a storage knows of a study.

    Args:
        url: Of the storage.
        name: Of the study; None where the storage holds one only.
        accelerator: The chip's file, where the study has one of its own.
        folder: Of a run, for the designs that were derived there.

    Raises:
        OfframpError: There is no such study, or it has no static reference yet.
    """
    live = live_study(url, name, accelerator, folder)
    live.most_detailed = sys.maxsize  # a page that is fetched again and again has few, tables have all
    study, run = live.study, live.results()
    if run is None:
        raise OfframpError(
            f"expected a study with a static reference, got {study.study_name!r} that is still training it; wait"
        )
    where = "trained networks" if folder is None else "networks that were trained in other folders"
    missing = [
        f"designs derived from {where} (other allocations, levels and policy targets): they are in that run's "
        "tables when study.run ends"
    ]
    running = sum(trial.state.name == "RUNNING" for trial in study.trials)
    if running:
        missing.append(f"{running} trial(s) in progress")
    if not run.environment:
        missing.append("the environment: versions, machine, data")
    return Source(run, _as_written(run), tuple(missing))


def _marked(folder: Path) -> str | None:
    """The study that a folder belongs to, as `study.runner.claim_folder` has noted it."""
    try:
        return (folder / ".study").read_text(encoding="utf-8").removesuffix("\n") or None
    except OSError:
        return None


def _written(folder: Path) -> dict[str, str]:
    """The run's own files, to the byte."""
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.csv"))}


def _as_written(run: RunResults) -> dict[str, str]:
    """The same files of tables that no run has written yet."""
    found = {}
    for field in fields(run):
        frame = getattr(run, field.name)
        if isinstance(frame, pd.DataFrame) and len(frame.columns):
            whole = {name: "Int64" for name in WHOLE_NUMBERS if name in frame}
            text: str = frame.astype(whole).to_csv(index=False, lineterminator="\n")
            found[f"{field.name}.csv"] = text
    return found
