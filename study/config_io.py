"""Presets, files and `--set` into one checked configuration; its identity; what differs between two."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, get_args, get_type_hints

import tomli_w
from pydantic import ValidationError

from hwcost.errors import OfframpError
from hwcost.strict_toml import read_toml as read_accelerator_toml
from models.recipe import LATER_FIELDS
from study.config import StudyConfig
from study.metrics import metric_named
from study.units import parse_quantity

# What a study may change between two runs of the same command without becoming another study.
_NOT_IDENTITY = {"search": {"trials", "workers", "max_failures"}, "refine": None, "run": None}


def preset_names() -> tuple[str, ...]:
    """Names of the presets that are packaged with the program."""
    folder = resources.files("study") / "presets"
    return tuple(sorted(p.name.removesuffix(".toml") for p in folder.iterdir() if p.name.endswith(".toml")))


def read_toml(text: str, origin: str) -> dict[str, Any]:
    """Parse TOML; a repeated key or a slip of syntax is refused with its place.

    Args:
        text: The document.
        origin: What to call it in an error.

    Raises:
        OfframpError: The text is not valid TOML.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        hint = (
            "; is a key or section there twice?" if "overwrite" in str(error) or "twice" in str(error) else ""
        )
        raise OfframpError(f"expected valid TOML in {origin}, got: {error}{hint}") from None


def load_preset(name: str) -> dict[str, Any]:
    """The values of a packaged preset.

    Raises:
        OfframpError: There is no preset of that name.
    """
    if name not in preset_names():
        raise OfframpError(f"expected a preset out of {', '.join(preset_names())}, got {name!r}")
    text = (resources.files("study") / "presets" / f"{name}.toml").read_text(encoding="utf-8")
    return read_toml(text, f"preset {name}")


def load_file(path: Path) -> dict[str, Any]:
    """The values of a user's configuration file.

    Raises:
        OfframpError: The file cannot be read or is not TOML.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise OfframpError(f"expected a readable TOML file for --config, got {path}: {error}") from None
    return read_toml(text, str(path))


def parse_assignment(text: str) -> tuple[list[str], Any]:
    """Read `section.key=value`; the value is TOML, or a bare string where it is not.

    Raises:
        OfframpError: There is no `=` or no section.
    """
    key, separator, value = text.partition("=")
    path = [part.strip() for part in key.split(".")]
    if not separator or len(path) != 2 or not all(path):
        raise OfframpError(
            f"expected --set section.key=value, got {text!r}; example: --set qat.batch_size=64"
        )
    try:
        document = tomllib.loads(f"value = {value.strip()}")
    except tomllib.TOMLDecodeError:
        document = {}
    # More than one key came out of a value with line breaks in it: it is no TOML value.
    parsed: Any = document["value"] if set(document) == {"value"} else value.strip()
    return path, parsed


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Values of `over` laid over `base`, section by section; neither is changed."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def resolve(layers: Iterable[Mapping[str, Any]], origin: str = "the configuration") -> StudyConfig:
    """Check the layered values (later ones win) and make them one configuration.

    Raises:
        OfframpError: A key is unknown or a value is outside what its field allows; the first such is named.
    """
    values: dict[str, Any] = {}
    for layer in layers:
        values = merge(values, layer)
    _refuse_truth_values(values)
    try:
        return StudyConfig.model_validate(values)
    except ValidationError as error:
        raise OfframpError(_one_line(error, origin)) from None


def _refuse_truth_values(values: Mapping[str, Any]) -> None:
    """Refuse true and false where a number belongs; Python would read them as 1 and 0."""
    for section, keys in values.items():
        field = StudyConfig.model_fields.get(section)
        if field is None or field.annotation is None or not isinstance(keys, Mapping):
            continue  # refused by the check of the whole, which says it better
        hints = get_type_hints(field.annotation)
        for key, value in keys.items():
            if key not in hints or bool in (hints[key], *get_args(hints[key])):
                continue
            if any(isinstance(v, bool) for v in (value if isinstance(value, list | tuple) else [value])):
                raise OfframpError(f"{section}.{key}: expected no true or false here, got {value!r}")


def _one_line(error: ValidationError, origin: str) -> str:
    """The first finding of pydantic as one sentence: where, what was expected, what came."""
    first = error.errors()[0]
    # A place has a section, a key and perhaps a position in a list; pydantic also names the type that it tried.
    place = [part for i, part in enumerate(first["loc"]) if i < 2 or isinstance(part, int)]
    where = ".".join(str(part) for part in place) or origin
    if first["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"expected a known key, got {where}; known keys here: {', '.join(_known_keys(first['loc']))}"
    message = first["msg"].removeprefix("Value error, ")
    if message.startswith("expected"):
        return f"{where}: {message}"
    message = message.replace("Input should be", "expected", 1)
    return f"{where}: {message[:1].lower()}{message[1:]}, got {first.get('input')!r}"


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    section = StudyConfig.model_fields.get(str(location[0])) if len(location) > 1 else None
    if section is None or section.annotation is None:
        return list(StudyConfig.model_fields)
    fields = getattr(section.annotation, "model_fields", None) or getattr(
        section.annotation, "__dataclass_fields__", {}
    )
    return [name for name in fields if not name.startswith("__")]


def identity(config: StudyConfig) -> dict[str, Any]:
    """The part of a configuration that makes a study the study it is, as plain JSON values.

    Trials, workers, output folder, device and storage are left out, and so is the folder of the data: the
    same archive in another place is the same study (its content has a fingerprint of its own).
    """
    values = config.model_dump(mode="json")
    for section, keys in _NOT_IDENTITY.items():
        if keys is None:
            values.pop(section)
        else:
            values[section] = {k: v for k, v in values[section].items() if k not in keys}
    for section in ("pretrain", "qat"):
        for name, neutral in LATER_FIELDS.items():
            if values[section].get(name) == neutral:
                del values[section][name]
    for name in ("pretrain_alone", "pretrain_heads", "exit_costs", "leave_out", "learn_derived"):
        if not values["search"].get(name):
            values["search"].pop(name, None)  # what studies did that were begun before there was a choice
    values["data"]["source"] = Path(config.data.source).name
    if config.backbone.weights is not None:
        values["backbone"]["weights"] = _weights_identity(Path(config.backbone.weights))
    values["hardware"]["accelerator"] = _accelerator_identity(config.hardware.accelerator)
    for name, bound in config.constraints.given().items():
        if isinstance(bound, str):  # "2.5 ms" and "2500 us" are one bound
            values["constraints"][name] = parse_quantity(bound, metric_named(name).dimension).text()
    return values


def _accelerator_identity(accelerator: str) -> str:
    """A preset's name; of a file its name and content, as another chip in a file of that name is another study."""
    if not accelerator.endswith(".toml"):
        return Path(accelerator).name
    path = Path(accelerator)
    return f"{path.name} ({fingerprint(read_accelerator_toml(path))[:12]})"


def _weights_identity(path: Path) -> str:
    """A file's name and content: a study goes on from the weights it began with.

    Raises:
        OfframpError: It cannot be read.
    """
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise OfframpError(
            f"expected a file of float weights for --weights, got {path.name}: {error.strerror}; name one"
        ) from error
    return f"{path.name} ({digest[:12]})"


def fingerprint(values: Mapping[str, Any]) -> str:
    """SHA-256 over canonical JSON, the same for equal values in any order."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """`section.key: the study has X, asked for Y` for every value that differs."""
    lines = []
    for key in sorted(set(old) | set(new)):
        before, after = old.get(key), new.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            lines += differences(before, after, f"{prefix}{key}.")
        elif before != after:
            lines.append(f"{prefix}{key}: the study has {before!r}, asked for {after!r}")
    return lines


def to_toml(config: StudyConfig) -> str:
    """The configuration as TOML that `--config` reads back; folders of this machine are left out."""
    values = config.model_dump(mode="json", exclude_none=True)
    values["data"]["source"] = Path(config.data.source).name
    if config.backbone.weights is not None:
        values["backbone"]["weights"] = Path(config.backbone.weights).name
    values["hardware"]["accelerator"] = Path(config.hardware.accelerator).name
    for key in ("out", "cache", "storage"):
        values["run"].pop(key, None)
    return tomli_w.dumps(values)
