"""A loopback web server in front of optuna-dashboard that answers reading requests of this machine only."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from hwcost.errors import OfframpError

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the terminal shows what goes wrong, not every request."""


def check_host(host: str, allow_remote: bool) -> None:
    """Refuses addresses that others reach, unless that is asked for.

    Raises:
        OfframpError: The address is not one of this machine alone.
    """
    if allow_remote:
        return
    if host == "::1":
        raise OfframpError("expected --host 127.0.0.1, got '::1', to which this server cannot listen")
    if not _is_local(host):
        raise OfframpError(
            f"expected --host 127.0.0.1, got {host!r}, which others can reach; there are no passwords, so look from "
            "elsewhere through ssh -L, or add --allow-remote"
        )


def _is_local(host: str) -> bool:
    """Whether a name is this machine's own for itself, as the server listens to it: by IPv4."""
    try:
        return host == "localhost" or ipaddress.IPv4Address(host).is_loopback
    except ValueError:
        return False


def guarded(application: Application, allow_remote: bool = False) -> Application:
    """The application behind what a server of private results owes its user.

    Requests that would change something are refused. So are those for another host's name: a page of a stranger
    could have its own name lead to 127.0.0.1 and read along (DNS rebinding).
    """

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        host = str(environ.get("HTTP_HOST", "")).lower()
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if not allow_remote and not _is_local(name):
            return _refuse(start, "403 Forbidden", "expected a request for this machine's own name")
        if environ.get("REQUEST_METHOD") not in ("GET", "HEAD"):
            return _refuse(
                start, "403 Forbidden", "this dashboard shows a copy of the study and changes nothing"
            )

        def safer(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            kept = [(k, v) for k, v in headers if k.lower() != "access-control-allow-origin"]
            return start(
                status, [*kept, ("X-Content-Type-Options", "nosniff"), ("X-Frame-Options", "DENY")], *more
            )

        return application(environ, safer)

    return answer


def bind(application: Application, host: str, port: int) -> WSGIServer:
    """A server that listens but does not answer yet; port 0 takes a free one.

    Raises:
        OfframpError: The port is taken, or the address is not one of this machine.
    """
    try:
        return make_server(host, port, application, server_class=_Server, handler_class=_Handler)
    except OSError as error:
        raise OfframpError(
            f"expected a free port, got {host}:{port}: {error.strerror or error}; choose another --port"
        ) from None
    except OverflowError:
        raise OfframpError(f"expected a port of 0 to 65535, got {port}") from None


def _refuse(start: Callable[..., Any], status: str, reason: str) -> list[bytes]:
    body = json.dumps({"reason": reason}).encode()
    start(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
