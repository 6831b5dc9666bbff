"""`python -m study.doctor`: whether a study is sound, and repairs with a backup.

Nothing is changed without `--repair`: the storage is read only, and a journal is not even opened for appending.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwcost.errors import OfframpError

if TYPE_CHECKING:
    from study.doctor_findings import Finding

EXIT_FAULTS = 1
EXIT_BAD_INPUT = 2


class _Parser(argparse.ArgumentParser):
    """Prints one line on a bad option instead of the whole usage."""

    def error(self, message: str) -> Any:
        self.exit(EXIT_BAD_INPUT, f"error: {message}; see python -m study.doctor --help\n")


def build_parser() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = _Parser(
        prog="python -m study.doctor",
        description="Check a study: its storage, its trials, the files of its folder. Changes nothing without "
        "--repair.",
        epilog="Exit codes: 0 sound, or every fault was repaired; 1 faults are left; 2 bad input.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--storage", metavar="URL", help="default: sqlite in the run's folder")
    add("--study-name", metavar="NAME", help="default: the folder's study, else quickstart")
    add("--out", type=Path, metavar="DIR", help="the run's folder (default: runs/<study name>)")
    add("--repair", action="store_true", help="mend what can be mended; what is changed is copied first")
    add("--orphans", action="store_true", help="with --repair: take files of no finished trial away too")
    add("--json", type=Path, metavar="FILE", help="write the findings as JSON too")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        argv: Options; None takes those of the process.

    Returns:
        The exit code.
    """
    arguments = build_parser().parse_args(argv)
    try:
        return _run(arguments)
    except OfframpError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except OSError as error:
        print(f"error: expected to read and write files, got: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT


def _run(arguments: argparse.Namespace) -> int:
    from study.atomic import write_text
    from study.doctor_files import check_files
    from study.doctor_findings import Backup
    from study.doctor_storage import check_storage
    from study.doctor_trials import check_trials
    from study.setup import folder_name
    from study.storage import default_url, without_password

    out, name = _which(arguments.out, arguments.study_name)
    out = out or Path("runs") / folder_name(name)
    url = arguments.storage or default_url(out)
    if arguments.storage is None and not (out / "study.db").exists():
        raise OfframpError(
            f"expected a study in {out}, got no study.db there; name its --storage, --study-name or --out"
        )
    backup = Backup(out)
    findings = check_storage(url, arguments.repair, backup)
    if not any(finding.left and finding.check == "storage" for finding in findings):
        of_trials, study = check_trials(url, name, out, arguments.repair, backup)
        findings += of_trials
        findings += check_files(out, study, arguments.repair, backup, arguments.orphans)
    _print(findings, f"{name} in {without_password(url)}", arguments.repair, backup)
    left = sum(finding.left for finding in findings)
    if arguments.json is not None:
        values = {
            "study": name,
            "storage": without_password(url),
            "sound": left == 0,
            "backup": backup.name,
            "findings": [finding.to_json() for finding in findings],
        }
        write_text(arguments.json, json.dumps(values, indent=2) + "\n")
    return EXIT_FAULTS if left else 0


def _which(out: Path | None, name: str | None) -> tuple[Path | None, str]:
    """The folder and the study's name; each may follow from the other."""
    if out is not None and not out.is_dir():
        raise OfframpError(f"expected the folder of a run for --out, got {out}")
    if name is None and out is not None and (mark := out / ".study").exists():
        name = mark.read_text(encoding="utf-8").removesuffix("\n")
    return out, name or (out.name if out is not None else "quickstart")


def _print(findings: Sequence[Finding], what: str, repair: bool, backup: Any) -> None:
    print(f"study {what}")
    for finding in findings:
        print(f"  {finding.shown:8} {finding.check}: {finding.text}")
    left = sum(finding.left for finding in findings)
    mendable = sum(finding.left and finding.mendable for finding in findings)
    if backup.name is not None:
        print(f"what was changed is kept as it was in {backup.name}")
    if not left:
        print("sound" if not any(f.repaired for f in findings) else "sound again")
    else:
        more = f", {mendable} of them can be mended with --repair" if mendable and not repair else ""
        print(f"{left} fault(s){more}")


if __name__ == "__main__":
    sys.exit(main())
