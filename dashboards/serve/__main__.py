"""`python -m dashboards.serve`: optuna-dashboard with Offramp's figures, notes and files, on this machine."""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hwcost.errors import OfframpError

if TYPE_CHECKING:
    from wsgiref.simple_server import WSGIServer

    from dashboards.serve.live_view import LiveView

DEFAULT_RUN = Path("runs/quickstart")
MOST_TRIALS = 500


@dataclass(frozen=True)
class Serving:
    """A server that is ready to answer.

    Attributes:
        server: Bound to its port.
        view: What it shows.
    """

    server: WSGIServer
    view: LiveView

    @property
    def address(self) -> str:
        """Where a browser finds the study."""
        host, port = str(self.server.server_address[0]), self.server.server_address[1]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}/dashboard/studies/0"


def prepare(
    storage: str | None,
    study_name: str | None,
    run: Path | None,
    accelerator: Path | None,
    host: str,
    port: int,
    most_trials: int,
    allow_remote: bool = False,
) -> Serving:
    """Opens the study, makes the copy and binds the port.

    Args:
        storage: URL; None: the database of the run's folder.
        study_name: None where the storage holds one study.
        run: Folder of the run, for weights and derived designs; None: that of a sqlite database.
        accelerator: The chip's file where the study used one of its own.
        host: To bind to.
        port: To bind to; 0 takes a free one.
        most_trials: Trials the copy may hold.
        allow_remote: Whether other machines may look.

    Raises:
        OfframpError: There is no such study, or the address cannot be used.
    """
    from dashboards.serve.server import bind, check_host, guarded

    check_host(host, allow_remote)
    folder = run or (_folder_of(storage) if storage else DEFAULT_RUN)
    url = storage or f"sqlite:///{folder / 'study.db' if folder else ''}"

    from optuna_dashboard import wsgi

    from dashboards.serve.artifacts import ArtifactShelf
    from dashboards.serve.copy import StudyCopy
    from dashboards.serve.live_view import LiveView
    from dashboards.serve.order import ordered
    from study.live import live_study

    live = live_study(url, study_name, accelerator, folder)
    copy = StudyCopy.of(live.study, most_trials)
    checkpoints = folder / "checkpoints" if folder is not None else None
    view = LiveView(live, copy, ArtifactShelf(checkpoints), checkpoints)
    try:
        view.update()
    except OfframpError as error:
        print(f"dashboards.serve: trials without figures: {error}", file=sys.stderr)
    app = ordered(wsgi(copy.storage, artifact_store=view.shelf), lambda: view.figures)
    return Serving(bind(guarded(app, allow_remote), host, port), view)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        serving = prepare(
            options.storage, options.study_name, options.run, options.accelerator, options.host, options.port,
            options.most_trials, options.allow_remote,
        )  # fmt: skip
    except OfframpError as error:
        print(f"dashboards.serve: {error}", file=sys.stderr)
        return 2
    ended = threading.Event()
    updates = threading.Thread(
        target=serving.view.keep_updating, args=(options.refresh, ended), name="updates", daemon=True
    )
    updates.start()
    print(f"{serving.address}   (Ctrl-C ends it)", flush=True)
    try:
        serving.server.serve_forever()
    except KeyboardInterrupt:
        print("ended")
    finally:
        ended.set()
        serving.server.server_close()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dashboards.serve", description=__doc__)
    add = parser.add_argument
    add("--storage", metavar="URL", help=f"of the study (default: sqlite in --run, else in {DEFAULT_RUN})")
    add("--study-name", metavar="NAME", help="where the storage holds several")
    add(
        "--run",
        type=Path,
        metavar="RUN",
        help="folder of the run, for weights and derived designs (default: that of the database)",
    )
    add(
        "--accelerator",
        type=Path,
        metavar="FILE.toml",
        help="the chip, where the study used a file of its own",
    )
    add("--port", type=int, default=8080, metavar="P", help="default: 8080; 0 takes a free one")
    add("--host", default="127.0.0.1", metavar="ADDRESS", help="default: 127.0.0.1")
    add("--allow-remote", action="store_true", help="let other machines look; there are no passwords")
    add("--refresh", type=float, default=10.0, metavar="SECONDS", help="between two updates (default: 10)")
    add(
        "--most-trials", type=int, default=MOST_TRIALS, metavar="N",
        help="of a larger study the front and the latest trials are shown, and new ones of the front "
        "(default: 500)",
    )  # fmt: skip
    return parser


def _folder_of(storage: str) -> Path | None:
    """The folder of a sqlite database, where a run has its weights."""
    prefix = "sqlite:///"
    return Path(storage.removeprefix(prefix)).parent if storage.startswith(prefix) else None


if __name__ == "__main__":
    sys.exit(main())
