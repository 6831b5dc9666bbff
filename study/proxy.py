"""`python -m study.proxy`: Optuna's proxy in front of a database, for very many workers.

Workers connect with `--storage grpc://host:port`. The proxy reads each finished trial from the database once and
keeps few connections to it. Imports are inside functions: `--help` and refusals answer at once.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from typing import Any

from hwcost.errors import OfframpError

EXIT_BAD_INPUT = 2


def build_parser() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = argparse.ArgumentParser(
        prog="python -m study.proxy",
        description="Serve a database to many workers: --storage grpc://HOST:PORT in their commands.",
        epilog="There is neither a password nor encryption: let only workers reach it. Exit codes: 0 stopped, 2 bad "
        "input.",
        allow_abbrev=False,
    )
    parser.add_argument("--storage", required=True, metavar="URL", help="postgresql://... or sqlite:///...")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=13000, help="port to listen on (default: 13000)")
    parser.add_argument(
        "--threads", type=int, default=10, metavar="N", help="calls answered at once (default: 10)"
    )
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
        return _serve(arguments)
    except OfframpError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        return 0


def _serve(arguments: argparse.Namespace) -> int:
    import importlib.util
    import warnings
    from concurrent.futures import ThreadPoolExecutor

    from study.storage import StorageAddress

    address = StorageAddress.parse(arguments.storage)
    if address.kind in ("journal", "grpc"):
        raise OfframpError(
            f"expected a database behind the proxy, got {address.shown}; processes open a journal themselves"
        )
    if not 0 < arguments.port < 65536 or arguments.threads < 1:
        raise OfframpError(
            f"expected a port in 1..65535 and at least one thread, got {arguments.port} and {arguments.threads}"
        )
    if importlib.util.find_spec("grpc") is None:
        raise OfframpError(
            "expected the package grpcio, got none; pip install -e '.[proxy]' in the project's folder"
        )

    import optuna
    from optuna.storages import get_storage, run_grpc_proxy_server

    from study.storage import open_storage

    def stop(signum: int, frame: Any) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = get_storage(open_storage(arguments.storage))
    print(f"{address.shown} at grpc://{arguments.host}:{arguments.port}; stop with Ctrl-C", flush=True)
    try:
        with warnings.catch_warnings():
            # Experimental since Optuna 4.2 and unchanged since; a user should not see a warning about it.
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            run_grpc_proxy_server(
                storage,
                host=arguments.host,
                port=arguments.port,
                thread_pool=ThreadPoolExecutor(max_workers=arguments.threads),
            )
    except RuntimeError as error:
        raise OfframpError(
            f"expected an address to listen on, got {arguments.host}:{arguments.port}: {error}; choose another --port"
        ) from None
    return 0


if __name__ == "__main__":
    sys.exit(main())
