"""`python -m models.export`: a trained network as files for other runtimes, compared with PyTorch on real images."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hwcost.errors import OfframpError

if TYPE_CHECKING:
    from models.exit_policy import ExitPolicy
    from models.export.export import ExportReport


class _Parser(argparse.ArgumentParser):
    """Errors are one line, as those of the rest."""

    def error(self, message: str) -> None:  # type: ignore[override]
        raise OfframpError(f"{message}; see python -m models.export --help")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m models.export", description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True, metavar="FILE", help="of a trained network")
    parser.add_argument("--format", choices=("qonnx", "qcdq", "torch"), required=True,
                        help="ONNX with Quant nodes, standard ONNX, or programs of torch.export")  # fmt: skip
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="default: the checkpoint's name and the format"
    )
    parser.add_argument(
        "--backbone", metavar="PACKAGE.MODULE:FUNCTION", help="factory of a backbone of your own"
    )
    parser.add_argument(
        "--width",
        type=float,
        metavar="FACTOR",
        help="of its channels (default: as in its name in the checkpoint)",
    )
    parser.add_argument("--data", default="digits", metavar="digits|cifar10|PATH",
                        help="images to compare on (default digits)")  # fmt: skip
    parser.add_argument(
        "--images", type=int, default=2000, metavar="N", help="to compare, at most (default 2000)"
    )
    parser.add_argument(
        "--split-seed", type=int, default=0, metavar="S", help="splits.seed of the study (default 0)"
    )
    parser.add_argument("--score", default="max_softmax", help="of the policy given by --thresholds")
    parser.add_argument("--thresholds", metavar="T,T,...",
                        help="one per early exit, or one for all, in place of the checkpoint's policy")  # fmt: skip
    parser.add_argument(
        "--temperatures", metavar="T,T,...", help="one per exit, the final one included (default 1)"
    )
    parser.add_argument("--accelerator", default="edge_tpu_quad", metavar="NAME|FILE.toml",
                        help="for the simulated cost (default edge_tpu_quad)")  # fmt: skip
    parser.add_argument("--allocation", metavar="ARRAY,...",
                        help="PE array of each compute core (default: the accelerator's own)")  # fmt: skip
    parser.add_argument("--level", metavar="NAME", help="voltage and frequency (default: the nominal one)")
    parser.add_argument("--mapping", choices=("latency", "energy", "edp"), default="edp",
                        help="what the mapping of layers to cores minimises (default edp)")  # fmt: skip
    parser.add_argument("--cache", type=Path, metavar="DIR", help="decoded images (default: as in a study)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; 0: exported and in agreement, 1: exported, some file gives other results, 2: refused."""
    try:
        options = _parser().parse_args(arguments)
        report = _run(options)
        _print(report)
        if options.json is not None:
            _write_json(options.json, report)
        return 0 if report.good else 1
    except OfframpError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _run(options: argparse.Namespace) -> ExportReport:
    if not options.checkpoint.is_file():
        raise OfframpError(
            f"expected a checkpoint, got {str(options.checkpoint)!r}, which is no file; those of a study are in its "
            "folder checkpoints"
        )
    from models.checkpoint import read_checkpoint_keys

    n_exits = read_checkpoint_keys(options.checkpoint).architecture.n_exits  # before anything slow is loaded
    policy = _policy(options, n_exits)
    from models.export.cost import Placement
    from models.export.export import ExportRequest, export_checkpoint

    out = options.out or Path(f"{options.checkpoint.stem}-{options.format}")
    return export_checkpoint(
        ExportRequest(
            checkpoint=options.checkpoint,
            kind=options.format,
            out=out,
            data=options.data,
            cache=options.cache or default_cache(),
            images=options.images,
            split_seed=options.split_seed,
            placement=Placement(options.accelerator, options.allocation, options.level, options.mapping),
            policy=policy,
            backbone=options.backbone,
            width=options.width,
        )
    )


def _policy(options: argparse.Namespace, n_exits: int) -> ExitPolicy | None:
    import numpy as np

    from models.exit_policy import ExitPolicy
    from models.scores import check_score

    score = check_score(options.score)
    if options.thresholds is None:
        if options.temperatures is not None:
            raise OfframpError("expected --thresholds beside --temperatures, got none; give both")
        return None
    early = _numbers("--thresholds", options.thresholds)
    if len(early) == 1:
        early = early * (n_exits - 1)
    temperatures = (
        None if options.temperatures is None else np.array(_numbers("--temperatures", options.temperatures))
    )
    return ExitPolicy(np.append(early, -np.inf), score, temperatures)


def _numbers(option: str, text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise OfframpError(f"expected numbers separated by commas for {option}, got {text!r}") from None


def default_cache() -> Path:
    """The folder studies keep decoded images in."""
    own = os.environ.get("OFFRAMP_CACHE")
    if own:
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "offramp"


def _print(report: ExportReport) -> None:
    from models.export.verdict import comparison_lines

    print(f"{report.folder}: {len(report.files)} files")
    lines = comparison_lines(report.values["format"], report.found, report.faults)
    print("\n".join(line.removeprefix("- ") for line in lines))


def _write_json(path: Path, report: ExportReport) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.tmp")  # the old file stays whole until the new one is
        beside.write_text(json.dumps(report.values, indent=2) + "\n", encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        raise OfframpError(f"expected a file to write for --json, got {error.strerror or error}") from error


if __name__ == "__main__":
    sys.exit(main())
