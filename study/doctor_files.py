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


def check_files(
    out: Path, study: optuna.Study, repair: bool, backup: Backup, orphans: bool = False
) -> list[Finding]:
    """Looks at predictions, derived designs, checkpoints and leftovers.

    Files that nothing refers to are no fault: a network that was trained for a trial that failed later is kept on
    purpose, so that it need not be trained again. They are named, and taken away where that is asked for.

    Args:
        out: The run's folder.
        study: Whose files they should be.
        repair: Whether to take damaged files away.
        backup: Where they go.
        orphans: Whether files that no finished trial refers to go there too.
    """
    networks = _networks(study)
    mark = str(study.user_attrs.get("fingerprint", ""))[:12]
    mend = _Mender(repair, backup)
    return [
        *_predictions(out / "predictions", networks, mend),
        *_derived(out / "derived", networks, mark, mend),
        *_checkpoints(out / "checkpoints", networks, mend),
        *_orphaned(out, networks, mend if orphans else None),
        *_leftovers(out, mend),
    ]


def _orphaned(out: Path, networks: set[str], mend: _Mender | None) -> list[Finding]:
    """Networks that no finished trial refers to; static ones are the reference's and never among them."""
    check = "orphans"
    files: list[Path] = []
    static: set[str] = set()
    for path in sorted((out / "predictions").glob("*.validation.npz")):
        if _damaged([path], ExitPredictions.load):
            continue
        key, is_static = _architecture(path)
        static |= {key} if is_static else set()
        if key not in networks and not is_static:
            files += [path, *(half for half in [_other_half(path)] if half.exists())]
    known = networks | static
    for path in sorted((out / "checkpoints").glob("*.safetensors")):
        if path.stem.partition("-")[0] not in known and not _damaged([path], _read_header):
            files.append(path)
    if mend is not None:
        return mend(check, files, "file(s) of networks of no finished trial") or [
            Finding(check, "ok", "no files of networks of no finished trial")
        ]
    if not files:
        return [Finding(check, "ok", "no files of networks of no finished trial")]
    names = " ".join(file.name for file in files[:5]) + (" ..." if len(files) > 5 else "")
    return [
        Finding(
            check,
            "note",
            f"{len(files)} file(s) of networks of no finished trial, kept as they need not be trained again "
            f"(--repair --orphans takes them away): {names}",
        )
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
        _architecture(file)[0]
        for file in files
        if file.name in whole and file.name.endswith(".validation.npz")
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
    return [*findings, Finding(check, "ok", f"{len(trained)} network(s)")]


def _other_half(file: Path) -> Path:
    return file.with_name(file.name.replace(".validation.", ".calibration."))


def _architecture(file: Path) -> tuple[str, bool]:
    """Digits of the network's key, and whether it is static; nothing where the file does not say."""
    from models.architecture import Architecture

    values = ExitPredictions.read_meta(file).get("architecture")
    if values is None:
        return "", False
    architecture = Architecture.from_dict(values)
    return architecture.key()[:_KEY_DIGITS], architecture.is_static


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
    own = {file.stem.split("-")[1] for file in files if file.stem.count("-") == 2} & networks
    return [*findings, Finding(check, "ok", f"designs of {len(own)} network(s)")]


def _checkpoints(folder: Path, networks: set[str], mend: _Mender) -> list[Finding]:
    check = "checkpoints"
    files = sorted(folder.glob("*.safetensors"))
    damaged = _damaged(files, _read_header)
    findings = mend(check, damaged, "file(s) cannot be read")
    return [*findings, Finding(check, "ok", f"{len(files) - len(damaged)} network(s)")]


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
