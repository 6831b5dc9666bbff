"""The project's own source files, for tests that read them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("hwcost", "models", "study", "dashboards")


@dataclass(frozen=True)
class Import:
    """One imported module: where, which, and when.

    Attributes:
        file: Relative to the repository.
        line: In the file.
        module: Full dotted name.
        lazy: Inside a function.
        typing_only: Under `if TYPE_CHECKING`.
    """

    file: str
    line: int
    module: str
    lazy: bool
    typing_only: bool

    @property
    def package(self) -> str:
        """First part of the module's name."""
        return self.module.partition(".")[0]

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.module}"


def sources(*folders: str) -> list[Path]:
    """All Python files of these folders of the repository."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def imports(path: Path) -> Iterator[Import]:
    """Every import of a file, those inside functions included."""
    file = path.relative_to(ROOT).as_posix()
    yield from _walk(ast.parse(path.read_text(encoding="utf-8")), file, lazy=False, typing_only=False)


def _walk(node: ast.AST, file: str, lazy: bool, typing_only: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield Import(file, node.lineno, alias.name, lazy, typing_only)
    elif isinstance(node, ast.ImportFrom):
        if node.level:  # relative: of the file's own package
            base = file.split("/")[: -node.level]
            yield Import(file, node.lineno, ".".join([*base, node.module or ""]), lazy, typing_only)
        elif node.module:
            # `from study import results` imports study.results
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            modules = [name if _is_module(name) else node.module for name in names]
            yield from (Import(file, node.lineno, m, lazy, typing_only) for m in dict.fromkeys(modules))
    elif (
        isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("importlib.import_module", "import_module", "__import__")
        and isinstance(node.args[0], ast.Constant)
    ):
        yield Import(file, node.lineno, str(node.args[0].value), lazy, typing_only)
    inside = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
        for child in node.body:
            yield from _walk(child, file, inside, typing_only=True)
        for child in node.orelse:
            yield from _walk(child, file, inside, typing_only)
        return
    for child in ast.iter_child_nodes(node):
        yield from _walk(child, file, inside, typing_only)


def _is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()
