"""The meaning of paths in a data set: ``train/<class>/<image>`` and ``test/<class>/<image>``.

The tree may lie in one enclosing folder. Hidden files and files that are not images by their suffix
are left alone; links and paths that lead out of the tree are refused, although nothing is unpacked:
such an archive was not made for this purpose, or not in good faith.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath

from hwcost.errors import OfframpError
from models.image_archive import Member, members

PARTS = ("train", "test")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".tif", ".tiff")
_NAMES_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class ImageFile:
    """One encoded image.

    Attributes:
        part: ``train`` or ``test``.
        class_name: Its folder.
        path: Path as stored, for messages.
        data: Its encoded bytes.
    """

    part: str
    class_name: str
    path: str
    data: bytes

    @property
    def name(self) -> str:
        """File name without folders."""
        return self.path.rsplit("/", 1)[-1]


def read_tree(path: Path) -> Iterator[ImageFile]:
    """Yield every image of a folder or archive, in the order it is stored.

    Once all were seen the tree is checked: both parts, the same two or more classes in each, no
    class without images, no path twice.

    Raises:
        OfframpError: At the first thing that is wrong, named.
    """
    classes: dict[str, dict[str, int]] = {part: {} for part in PARTS}
    seen: set[str] = set()
    enclosing: tuple[str, ...] | None = None
    for member in members(path):
        steps = _safe_steps(member, path.name)
        depth = _depth_of_part(steps)
        if depth is None:
            continue
        enclosing = steps[:depth] if enclosing is None else enclosing
        if steps[:depth] != enclosing:
            raise OfframpError(
                f"expected one train/ and one test/ folder in {path.name!r}, got {member.path!r} beside "
                f"{'/'.join((*enclosing, '...'))!r}; pack one data set"
            )
        part, *inner = steps[depth:]
        if member.kind == "folder" and len(inner) == 1:
            classes[part].setdefault(inner[0], 0)
        if member.kind != "file" or not inner[-1].lower().endswith(IMAGE_SUFFIXES):
            continue
        if len(inner) != 2:
            raise OfframpError(
                f"expected images as {part}/<class>/<image>, got {member.path!r}; move it there"
            )
        if "/".join(steps) in seen:
            raise OfframpError(f"expected each path once in {path.name!r}, got {member.path!r} twice")
        seen.add("/".join(steps))
        classes[part][inner[0]] = classes[part].get(inner[0], 0) + 1
        yield ImageFile(part, inner[0], member.path, member.read())
    _check_classes(classes, path.name)


def _safe_steps(member: Member, archive: str) -> tuple[str, ...]:
    """Return the folders and name of a member after refusing what leads out of the tree."""
    raw = member.path
    steps = tuple(step for step in raw.split("/") if step not in ("", "."))
    windows = PureWindowsPath(raw)
    if raw.startswith("/") or ".." in windows.parts or windows.drive or "\\" in raw or "\0" in raw:
        raise OfframpError(
            f"expected paths inside the data set, got {raw!r} in {archive!r}, which leads out of it; "
            f"do not use this archive"
        )
    if member.kind in ("link", "other"):
        what = "a link" if member.kind == "link" else "a device or pipe"
        raise OfframpError(
            f"expected plain files and folders, got {what} {raw!r} in {archive!r}; put the file itself there"
        )
    return steps


def _depth_of_part(steps: tuple[str, ...]) -> int | None:
    """Return where ``train`` or ``test`` stands in a path; None for members that are none of ours."""
    if any(step.startswith(".") or step == "__MACOSX" for step in steps):
        return None
    for depth in (0, 1):
        if len(steps) > depth + 1 and steps[depth] in PARTS:
            return depth
    return None


def _check_classes(classes: dict[str, dict[str, int]], archive: str) -> None:
    for part in PARTS:
        if not classes[part]:
            raise OfframpError(
                f"expected train/<class>/ and test/<class>/ with images in {archive!r}, got no class folder "
                f"under {part}/; arrange the images so"
            )
    for part in PARTS:
        empty = sorted(name for name, count in classes[part].items() if count == 0)
        if empty:
            raise OfframpError(
                f"expected images in every class folder of {archive!r}, got none in {part}/{empty[0]}/; "
                f"add some or remove the folder"
            )
    train, test = set(classes["train"]), set(classes["test"])
    if train != test:
        raise OfframpError(
            f"expected the same classes in train/ and test/ of {archive!r}, got only in train: "
            f"{_listed(train - test)}, only in test: {_listed(test - train)}"
        )
    if len(train) < 2:
        raise OfframpError(f"expected two or more classes in {archive!r}, got only {_listed(train)}")


def _listed(names: set[str]) -> str:
    shown = sorted(names)[:_NAMES_SHOWN]
    more = len(names) - len(shown)
    return (", ".join(map(repr, shown)) or "none") + (f" and {more} more" if more else "")
