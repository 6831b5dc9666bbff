"""`python -m study.refine`: the front of a run trained again with several seeds and measured on the test split, once.

Imports are inside functions on purpose: `--help` and refusals answer without loading torch.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwcost.errors import OfframpError

if TYPE_CHECKING:
    from study.refine.opening import Request

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130


class _Parser(argparse.ArgumentParser):
    """Prints one line on a bad option instead of the whole usage."""

    def error(self, message: str) -> Any:
        self.exit(EXIT_BAD_INPUT, f"error: {message}; see python -m study.refine --help\n")


def build_parser() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = _Parser(
        prog="python -m study.refine",
        description="Train the front of a run again at full budget with several seeds, choose on validation, and "
        "measure on the test split, which is read once.",
        epilog="The same command goes on after an interruption. Exit codes: 0 done, 2 bad input or nothing "
        "more can be done, 130 stopped.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("run", type=Path, metavar="RUN", help="folder of the run, such as runs/quickstart")
    add("--storage", metavar="URL", help="of the study (default: study.db in the run's folder)")
    add("--study-name", metavar="NAME", help="default: the run's")
    add("--seeds", type=int, metavar="N", help="trainings of every network (default 3)")
    add(
        "--members",
        default="all",
        metavar="all|headline|N|ID,...",
        help="of the front: all (default), those in accuracy and energy-latency product, those of the N networks "
        "that keep most of that front; or designs of designs.csv by their first digits",
    )
    add("--epochs", type=float, metavar="E", help="of each training (default: refine.epochs of the run, or "
        "five times the longest of the search)")  # fmt: skip
    add(
        "--no-derived",
        action="store_true",
        help="no other PE arrays and policy targets of the refined networks",
    )
    add("--no-test", action="store_true", help="train and choose; leave the test split unread")
    add("--workers", type=int, metavar="W", help="processes (default: the run's)")
    add("--data", metavar="digits|cifar10|PATH", help="the images of the run, where they are on this machine")
    add("--weights", metavar="FILE.safetensors", help="the float weights of the run, where they are")
    add("--accelerator", metavar="FILE.toml", help="the chip of the run, where its file is")
    add("--device", choices=("auto", "cpu", "cuda"), help="default: the run's")
    add("--set", action="append", default=[], metavar="SECTION.KEY=VALUE",
        help="a value of qat, refine or run, such as qat.learning_rate=0.01; repeatable")  # fmt: skip
    add("--json", type=Path, metavar="FILE", help="write the printed figures as JSON too")
    return parser


def request_of(arguments: argparse.Namespace) -> Request:
    """What the options ask for, checked.

    Raises:
        OfframpError: One of them cannot be used.
    """
    from study.refine.opening import Request, read_config

    options: dict[str, dict[str, Any]] = {
        "data": {"source": arguments.data},
        "backbone": {"weights": arguments.weights},
        "hardware": {"accelerator": arguments.accelerator},
        "search": {"workers": arguments.workers},
        "refine": {"epochs": arguments.epochs, "seeds": arguments.seeds},
        "run": {"storage": arguments.storage, "name": arguments.study_name, "device": arguments.device},
    }
    config, recipe = read_config(arguments.run, options, arguments.set)
    return Request(
        config,
        recipe,
        config.refine.seeds,
        arguments.members,
        derived=not arguments.no_derived,
        test=not arguments.no_test,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        argv: Options; None takes those of the process.

    Returns:
        The exit code.
    """
    argv = sys.argv[1:] if argv is None else argv
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in study.run
    arguments = build_parser().parse_args(argv)
    try:
        return _run(arguments, argv)
    except OfframpError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return EXIT_INTERRUPTED
    except OSError as error:
        print(
            f"error: expected to read and write files, got: {error}; what was trained is kept",
            file=sys.stderr,
        )
        return EXIT_BAD_INPUT


def _run(arguments: argparse.Namespace, argv: Sequence[str]) -> int:
    request = request_of(arguments)
    if arguments.json is not None and arguments.json.is_dir():
        raise OfframpError(f"expected a file for --json, got the folder {arguments.json}; name a file in it")
    from rich.console import Console

    from models.device import resolve_device
    from study.refine.opening import storage_url
    from study.run import recorded_command
    from study.setup import Paths, build_accelerator, build_objectives

    config = request.config
    paths = Paths.of(config, str(config.run.name))
    url = storage_url(config, paths)
    seconds = build_objectives(config, build_accelerator(config)).seconds
    device = resolve_device(config.run.device)

    from study.atomic import write_text
    from study.json_rows import json_rows
    from study.refine.refine import refine
    from study.refine.summary import picks, refined_table
    from study.runner import raise_on_sigterm

    raise_on_sigterm()
    console = Console()
    outcome = refine(request, paths, url, device, console, recorded_command(argv, "study.refine"))
    title = (
        f"{config.run.name}, {outcome.split} split: {outcome.n_images} images, {request.seeds} seed(s), "
        f"{request.recipe.epochs:g} epochs"
    )
    console.print(refined_table(outcome.table, title, seconds, console.width))
    quoted = picks(outcome.table)
    for pick in quoted:
        console.print(pick.text(outcome.split), highlight=False, markup=False, soft_wrap=True)
    written = "refined.csv refined_exits.csv" if request.test else "refined_validation.csv"
    console.print(f"written: {paths.out}: {written}", highlight=False, markup=False, soft_wrap=True)
    for folder in outcome.folders[:1]:
        console.print(f"networks: {folder.parent}", highlight=False, markup=False, soft_wrap=True)
    if arguments.json is not None:
        figures = {
            "study": config.run.name, "split": outcome.split, "images": outcome.n_images, "seeds": request.seeds,
            "epochs": request.recipe.epochs, "picks": [pick.to_json() for pick in quoted],
            "refined": json_rows(outcome.table),
        }  # fmt: skip
        write_text(arguments.json, json.dumps(figures, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
