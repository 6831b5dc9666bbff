"""Our figures in our order.

optuna-dashboard 0.21 collects the names of figures in a set and draws them in the order of its answer, so that they
come in another order with every start of the server; it takes no order from us. The answer passes through here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from dashboards.serve.server import Application

_STUDY = re.compile(r"/api/studies/\d+")
_FIGURES = re.compile(r'"plotly_graph_objects"\s*:\s*')


def ordered(application: Application, names: Callable[[], Sequence[str]]) -> Application:
    """The application with the figures of a study in order; whatever is not as expected passes unchanged.

    Args:
        application: optuna-dashboard.
        names: Gives the identifiers of figures, the first to be shown first; others follow by name.
    """

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if not _STUDY.fullmatch(str(environ.get("PATH_INFO", ""))):
            return application(environ, start)
        started: list[Any] = []

        def wait(status: str, headers: list[tuple[str, str]], *more: Any) -> None:
            started[:] = [status, headers, *more]

        answered = application(environ, wait)
        content = b"".join(answered)
        if hasattr(answered, "close"):
            answered.close()
        status, headers, *more = started
        if status.startswith("200") and environ.get("REQUEST_METHOD") == "GET":
            content = in_order(content, names())
            headers = [(k, v) for k, v in headers if k.lower() != "content-length"]
            headers.append(("Content-Length", str(len(content))))
        start(status, headers, *more)
        return [content]

    return answer


def in_order(content: bytes, names: Sequence[str]) -> bytes:
    """The answer about a study with its figures in the order of their names.

    Only the list of figures is read: the trials around it are megabytes. Inside of a text the key's quotes would be
    escaped, so that it is found nowhere else.
    """
    try:
        text = content.decode("utf-8")
        found = _FIGURES.search(text)
        if found is None:
            return content
        figures, end = json.JSONDecoder().raw_decode(text, found.end())
        place = {name: i for i, name in enumerate(names)}
        figures.sort(key=lambda figure: (place.get(figure["id"], len(place)), figure["id"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        return content
    return (text[: found.end()] + json.dumps(figures) + text[end:]).encode()
