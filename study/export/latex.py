"""Tables in LaTeX, for the package booktabs and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "_": r"\_",
    "%": r"\%",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\char34{}",  # \textquotedbl is not in the encoding that LaTeX begins with
    "`": r"\textasciigrave{}",
    "-": r"{-}",  # two in a row would become a dash
    "'": r"{'}",  # two in a row would become a quotation mark
}


def escape(text: str) -> str:
    """Text as LaTeX that prints exactly these characters; line breaks become spaces."""
    return "".join(_SPECIAL.get(character, character) for character in " ".join(text.split()))


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: LaTeX.
        align: `l`, `r` or `c`.
    """

    title: str
    align: str = "r"


@dataclass(frozen=True)
class LatexTable:
    """A table with a caption.

    Attributes:
        label: For `\\ref`.
        caption: LaTeX.
        columns: In order.
        groups: Groups of rows with a rule between them; each row has one LaTeX cell a column.
        width: `table` for one column of a page, `table*` for both.
    """

    label: str
    caption: str
    columns: Sequence[Column]
    groups: Sequence[Sequence[Sequence[str]]]
    width: str = "table"

    def text(self) -> str:
        """The float with everything in it."""
        lines = [
            r"% needs \usepackage{booktabs}",
            rf"\begin{{{self.width}}}[t]",
            r"  \centering",
            rf"  \caption{{{self.caption}}}",
            rf"  \label{{{self.label}}}",
            rf"  \begin{{tabular}}{{{''.join(column.align for column in self.columns)}}}",
            r"    \toprule",
            f"    {_row([column.title for column in self.columns])}",
        ]
        for group in self.groups:
            if group:
                lines += [r"    \midrule", *(f"    {_row(row)}" for row in group)]
        lines += [r"    \bottomrule", r"  \end{tabular}", rf"\end{{{self.width}}}", ""]
        return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"
