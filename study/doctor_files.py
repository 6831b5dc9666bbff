"""Whether the files of a run's folder are whole and belong to its study."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import optuna
from optuna.trial import TrialState

from hwcost.errors import OfframpError
from models.predictions import ExitPredictions
from study.doctor_findings import Backup, Finding
from study.record import DesignRecord
from study.storage import record_of

_KEY_DIGITS = 32  # of an architecture's key in a file's name
_FRESH_SECONDS = 3600.0


def check_files(out: Path, study: optuna.Study, repair: bool, backup: Backup) -> list[Finding]:
    """Looks at predictions, derived designs, checkpoints and leftovers.

    Files that nothing refers to are no fault: a network that was trained for a trial that failed later is kept on
    purpose, so that it need not be trained again.

    Args:
        out: The run's folder.
        study: Whose files they should be.
        repair: Whether to take damaged files away.
        backup: Where they go.
    """
    networks = _networks(study)
    mark = str(study.user_attrs.get("fingerprint", ""))[:12]
    mend = _Mender(repair, backup)
    return [
        *_predictions(out / "predictions", networks, mend),
        *_derived(out / "derived", networks, mark, mend),
        *_checkpoints(out / "checkpoints", networks, mend),
        *_leftovers(out, mend),
    ]


class _Mender:
    """Turns damaged files into a finding, taken away or not."""

    def __init__(self, repair: bool, backup: Backup) -> None:
        self._repair, self._backup = repair, backup

    def __call__(self, check: str, files: list[Path], what: str) -> list[Finding]:
        if not files:
            return []
        if self._repair:
            for file in files:
                self._backup.take_away(file, check)
        names = " ".join(file.name for file in files[:5]) + (" ..." if len(files) > 5 else "")
        return [Finding(check, "fault", f"{len(files)} {what}: {names}", True, self._repair)]


def _networks(study: optuna.Study) -> set[str]:
    """Keys of the architectures that finished trials have trained, as far as file names hold them."""
    keys = set()
    for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        record = record_of(trial)
        if record is not None and record.trained:
            keys.add(record.genome.architecture.key()[:_KEY_DIGITS])
    return keys


def _damaged(files: Iterable[Path], read: Callable[[Path], object]) -> list[Path]:
    found = []
    for file in files:
        try:
            read(file)
        except (OfframpError, ValueError, KeyError, TypeError, AttributeError, OSError):
            found.append(file)
    return found


def _predictions(folder: Path, networks: set[str], mend: _Mender) -> list[Finding]:
    check = "predictions"
    files = sorted(folder.glob("*.npz"))
    damaged = _damaged(files, ExitPredictions.load)
    whole = {file.name for file in files} - {file.name for file in damaged}
    # Calibration is written first: one alone is of a process that was killed in between. It will be written over.
    halves = [
        file
        for file in files
        if file.name in whole and _other_half(file).name not in whole and file.name.endswith("validation.npz")
    ]
    trained = {
        _architecture(file) for file in files if file.name in whole and file.name.endswith(".validation.npz")
    }
    missing = len(networks - trained)
    findings = [
        *mend(check, damaged, "file(s) cannot be read"),
        *mend(check, halves, "file(s) without their calibration half"),
    ]
    if missing:
        findings.append(
            Finding(check, "note", f"{missing} network(s) of the study were trained in other folders")
        )
    unused = len(trained - networks)
    more = f", {unused} of them not of a finished trial" if unused else ""
    return [*findings, Finding(check, "ok", f"{len(trained)} network(s){more}")]


def _other_half(file: Path) -> Path:
    return file.with_name(file.name.replace(".validation.", ".calibration."))


def _architecture(file: Path) -> str:
    from models.architecture import Architecture

    values = ExitPredictions.read_meta(file).get("architecture")
    return "" if values is None else Architecture.from_dict(values).key()[:_KEY_DIGITS]


def _derived(folder: Path, networks: set[str], mark: str, mend: _Mender) -> list[Finding]:
    check = "derived"
    files = sorted(folder.glob("*.jsonl"))

    def read(file: Path) -> None:
        for line in file.read_text(encoding="utf-8").splitlines():
            DesignRecord.from_json(json.loads(line))

    findings = mend(
        check, _damaged(files, read), "file(s) cannot be read; they are made again from predictions"
    )
    foreign = [file for file in files if not file.name.startswith(f"{mark}-")]
    if foreign:
        findings.append(Finding(check, "note", f"{len(foreign)} file(s) of another configuration"))
    own = {file.stem.partition("-")[2] for file in files} & networks
    return [*findings, Finding(check, "ok", f"designs of {len(own)} network(s)")]


def _checkpoints(folder: Path, networks: set[str], mend: _Mender) -> list[Finding]:
    check = "checkpoints"
    files = sorted(folder.glob("*.safetensors"))
    damaged = _damaged(files, _read_header)
    findings = mend(check, damaged, "file(s) cannot be read")
    unused = len({file.stem for file in files} - networks)
    more = f", {unused} of them not of a finished trial" if unused else ""
    return [*findings, Finding(check, "ok", f"{len(files) - len(damaged)} network(s){more}")]


def _read_header(file: Path) -> None:
    """Checks names, shapes and the length of the file; reads no weights."""
    from models.tensor_file import check_layout

    check_layout(file)


def _leftovers(out: Path, mend: _Mender) -> list[Finding]:
    """Temporary files of processes that were killed while they wrote; young ones may be somebody's."""
    import time

    now = time.time()
    folders = (out, out / "predictions", out / "derived", out / "checkpoints")
    hidden = [file for folder in folders for file in folder.glob(".*.*") if file.is_file()]
    names = [f for f in hidden if f.name.count(".") >= 3 and not f.name.endswith(".lock")]
    old = [file for file in names if now - file.stat().st_mtime > _FRESH_SECONDS]
    found = mend("leftovers", old, "half-written file(s)")
    return found or [Finding("leftovers", "ok", "none")]
