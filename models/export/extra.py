"""Packages that exporting needs and training does not."""

from __future__ import annotations

import importlib
from typing import Any

from hwcost.errors import OfframpError


def need(package: str) -> Any:
    """Imports a package of the extra `export`.

    Raises:
        OfframpError: When it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise OfframpError(
            f"expected the package {package.partition('.')[0]} for this export, got {error}; "
            "install it with: pip install -e '.[export]' in the project's folder"
        ) from error
