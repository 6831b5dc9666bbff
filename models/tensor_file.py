"""Tensors and JSON values in one safetensors file, written at once and checked on reading. No pickle."""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load, save
from torch import Tensor

from hwcost.errors import OfframpError


def checksum(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 (hex) over names, types, shapes and bytes, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)};".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def write_tensors(path: Path, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> str:
    """Writes a file at once: a reader sees the old file or the whole new one.

    Args:
        path: File to write; its folder is made.
        tensors: What to store; memory formats are not kept.
        meta: JSON values stored beside them.

    Returns:
        The checksum of the tensors.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    found = checksum(plain)
    text = json.dumps(dict(meta), sort_keys=True)
    header = {"meta": text, "checksum": found, "meta_checksum": hashlib.sha256(text.encode()).hexdigest()}
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(save(plain, metadata=header))
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(0o644)  # mkstemp gives 0600, which others could not read
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise
    return found


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Reads what `write_tensors` wrote.

    Returns:
        The tensors, in memory, and the JSON values.

    Raises:
        OfframpError: When the file is missing, damaged or something else.
    """
    try:
        content = path.read_bytes()
        header = _header(content)
        tensors = load(content)
        if checksum(tensors) != header["checksum"]:
            raise ValueError("tensors that do not match their checksum")
        if hashlib.sha256(header["meta"].encode()).hexdigest() != header["meta_checksum"]:
            raise ValueError("values that do not match their checksum")
        meta: dict[str, Any] = json.loads(header["meta"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, safetensors.SafetensorError) as error:
        raise OfframpError(
            f"expected a whole tensor file {path.name}, got {error}; it is damaged or of another kind"
        ) from error
    return tensors, meta


def stored_values(content: bytes) -> dict[str, Any]:
    """The JSON values in the bytes of a file; none where it is another safetensors file or they are damaged."""
    try:
        header = _header(content)
        if hashlib.sha256(header["meta"].encode()).hexdigest() != header["meta_checksum"]:
            return {}
        found = json.loads(header["meta"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
    return found if isinstance(found, dict) else {}


def check_layout(path: Path) -> None:
    """Checks names, shapes and the length of a file; reads no tensor.

    Raises:
        OfframpError: It is damaged or of another kind.
    """
    try:
        with safetensors.safe_open(path, framework="np") as tensors:
            tensors.keys()
    except (OSError, safetensors.SafetensorError) as error:
        raise OfframpError(f"expected a tensor file {path.name}, got {error}; it is damaged") from error


def _header(content: bytes) -> dict[str, str]:
    """The metadata of a safetensors file: 8 bytes of length, then JSON."""
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 + length:
        raise ValueError("a file that ends too early")
    header: dict[str, str] = json.loads(content[8 : 8 + length])["__metadata__"]
    return header
