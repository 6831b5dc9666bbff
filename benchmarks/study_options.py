"""A study's configuration out of a benchmark's options `--preset`, `--data` and `--set`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from study.config_io import load_preset, merge, parse_assignment


def study_values(options: argparse.Namespace, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Values of a configuration, to be resolved.

    Args:
        options: With `preset`, `data` (None: the preset's) and `set`.
        changes: Of the benchmark to the preset; what the options say goes before.

    Raises:
        OfframpError: A text of `--set` is no assignment.
    """
    values = merge(load_preset(options.preset), dict(changes or {}))
    if options.data is not None:
        values = merge(values, {"data": {"source": options.data}})
    for text in options.set:
        (section, key), value = parse_assignment(text)
        values = merge(values, {section: {key: value}})
    return values
