"""Finding and calling a user's backbone factory."""

import importlib
import inspect
from collections.abc import Callable

from hwcost.errors import OfframpError
from models.backbones.stages import Stages


def find_factory(target: str) -> Callable[..., Stages]:
    """The function that `package.module:function` names.

    Raises:
        OfframpError: When there is no such function; the reason is given.
    """
    module_name, _, attribute = target.partition(":")
    if not module_name or not attribute:
        raise OfframpError(f"expected a backbone factory as package.module:function, got {target!r}")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # the user's module may raise anything while it is imported
        reason = " ".join(str(error).split())
        raise OfframpError(
            f"expected to import {module_name} for the backbone {target}, got {type(error).__name__}: {reason}; "
            "run from the folder that holds it, or install it"
        ) from error
    found = getattr(module, attribute, None)
    if not callable(found):
        functions = [
            n for n, v in vars(module).items() if inspect.isfunction(v) and v.__module__ == module_name
        ]
        raise OfframpError(
            f"expected a function {attribute} in {module_name}, got "
            f"{'nothing of that name' if found is None else type(found).__name__}; "
            f"it has {', '.join(functions) or 'no functions'}"
        )
    factory: Callable[..., Stages] = found
    return factory


def call_factory(target: str, width: float, in_channels: int, image_size: int) -> Stages:
    """Calls a factory with what it takes of width, in_channels and image_size.

    Raises:
        OfframpError: When there is no such factory, it raises, it returns something else, or it takes no width and
            another width than 1 is wanted.
    """
    factory = find_factory(target)
    wanted = {"width": width, "in_channels": in_channels, "image_size": image_size}
    try:
        parameters = inspect.signature(factory).parameters
    except (TypeError, ValueError):
        parameters = {}  # type: ignore[assignment]
    if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        if width != 1 and "width" not in parameters:
            raise OfframpError(
                f"expected {target} to take a width, got none; use width 1 or add the argument"
            )
        wanted = {name: value for name, value in wanted.items() if name in parameters}
    try:
        stages = factory(**wanted)
    except OfframpError:
        raise
    except Exception as error:  # the user's own code
        reason = " ".join(str(error).split())
        raise OfframpError(
            f"expected {target} to make a backbone, got {type(error).__name__}: {reason}"
        ) from error
    if not isinstance(stages, Stages):
        raise OfframpError(
            f"expected {target} to return models.backbones.stages.Stages, got {type(stages).__name__}"
        )
    return stages
