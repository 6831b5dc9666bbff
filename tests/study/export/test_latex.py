from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.export.latex import Column, LatexTable, escape

SPELLED = {
    "textbackslash": "\\", "textasciitilde": "~", "textasciicircum": "^", "textless": "<", "textgreater": ">",
    "textbar": "|", "char34": '"', "textasciigrave": "`",
}  # fmt: skip
TOKEN = re.compile(r"\\([a-zA-Z]+\d*)\{\}|\\(.)|\{(.)\}|(.)", re.DOTALL)


def printed(latex: str) -> str:
    """What LaTeX prints for escaped text; an active character that is not escaped is an error, as in LaTeX."""
    text = ""
    for word, escaped, grouped, plain in TOKEN.findall(latex):
        assert plain not in set("\\{}$&#^_%~<>|\"`'-") or not plain, f"{plain!r} is active in {latex!r}"
        assert not word or word in SPELLED
        assert not escaped or escaped in "{}$&#_%"
        text += SPELLED[word] if word else escaped or grouped or plain
    return text


@given(st.text(alphabet=st.characters(codec="latin-1", exclude_categories=["Cc"])))
def test_escaped_text_prints_exactly_what_it_was(text):
    assert printed(escape(text)) == " ".join(text.split())


def table() -> LatexTable:
    strange = escape('50 % of {a}_b ^ ~ \\ # $ & -- < > | "quoted" `it\'s`')
    columns = (Column("Network", "l"), Column(r"Accuracy [\%]"))
    return LatexTable(
        "tab:x", strange, columns, ([("static", "1.0")], [], [(strange, r"$\infty$")]), "table*"
    )


def test_every_row_has_a_cell_for_every_column():
    lines = table().text().splitlines()
    rows = [line for line in lines if line.endswith(r"\\")]
    assert len(rows) == 3
    for row in rows:
        assert len(re.findall(r"(?<!\\)&", row)) == 1
    assert sum(r"\midrule" in line for line in lines) == 2  # none for the empty group
    opened, closed = (re.findall(rf"\\{word}\{{(\w+\*?)\}}", table().text()) for word in ("begin", "end"))
    assert opened == closed[::-1] == ["table*", "tabular"]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex with booktabs")
def test_latex_compiles_it(tmp_path):
    preamble = r"\documentclass{article}\usepackage{booktabs}"
    (tmp_path / "t.tex").write_text(f"{preamble}\\begin{{document}}\n{table().text()}\\end{{document}}\n")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stdout[-2000:]
