"""Figures as papers want them: column width, readable fonts, black on white, no title."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dashboards.figures.view import Figure, View
from dashboards.members import Member
from dashboards.network_picture import network_picture

COLUMN, PAGE = 336, 672
"""3.5 and 7 inches in pixels of CSS (96 an inch): one and two columns of the usual two-column papers."""

FONT = 10.67
"""8 points in pixels of CSS."""

_LEGEND_ROW = 18
"""Height in pixels of a row of a legend; what there is more than two rows of makes a figure higher."""

_FAMILY = "Arial, Helvetica, 'DejaVu Sans', sans-serif"


@dataclass(frozen=True, eq=False)
class PaperFigure:
    """A figure ready to be written.

    Attributes:
        name: Of its file.
        width: In pixels of CSS.
        height: Likewise.
        figure: In plotly's JSON form; None for a drawing.
        svg: The drawing; empty for a figure.
    """

    name: str
    width: int
    height: int
    figure: Figure | None
    svg: str = ""


def paper_figures(views: Sequence[View], member: Member | None, width: int | None) -> list[PaperFigure]:
    """Every variant of every view, those of one design for that design.

    Args:
        views: As the report has them.
        member: The design whose own figures are wanted; None: those are left out.
        width: In pixels; None: two columns for wide views, one for others.
    """
    found = []
    for view in views:
        wide = width or (PAGE if view.wide or _is_crowded(view) else COLUMN)
        if view.pictures:
            if member is not None and member.design in view.pictures:
                svg = network_picture(member, wide, "#000000")
                found.append(PaperFigure(view.name, wide, _svg_height(svg), None, svg))
            continue
        if view.linked:
            shown = (
                {view.name: view.figures[member.design]} if member and member.design in view.figures else {}
            )
        else:
            shown = {_name(view, variant): figure for variant, figure in view.figures.items()}
        for name, figure in shown.items():
            height = round(min(figure["layout"].get("height", 380), 420) * (0.62 if wide <= COLUMN else 0.75))
            if "scene" in figure["layout"]:
                height = 420
            height += _LEGEND_ROW * max(0, _legend_rows(figure, wide) - 2)
            found.append(PaperFigure(name, wide, height, in_print(figure, wide, height)))
    return found


def _legend_rows(figure: Figure, width: int) -> int:
    """About as many as plotly makes, which puts three entries side by side into a column."""
    named = [t for t in figure["data"] if t.get("name") not in (None, "chosen") and t.get("showlegend", True)]
    return -(-len(named) // (3 * width // COLUMN))


def _is_crowded(view: View) -> bool:
    """Whether a column would not hold it: names of many layers, or three axes."""
    layouts = [figure["layout"] for figure in view.figures.values()]
    return any("scene" in layout or len(layout["xaxis"].get("ticktext", ())) > 20 for layout in layouts)


def in_print(figure: Figure, width: int, height: int) -> Figure:
    """The figure with 8-point text, black on white, without the mark of a chosen design."""
    drawn: dict[str, Any] = copy.deepcopy(figure)
    drawn["data"] = [trace for trace in drawn["data"] if trace.get("name") != "chosen"]
    layout = drawn["layout"]
    axes = [key for key in layout if key.startswith(("xaxis", "yaxis"))]
    layout |= {
        "width": width,
        "height": height,
        "autosize": False,
        "paper_bgcolor": "#ffffff",
        "plot_bgcolor": "#ffffff",
        "font": {"family": _FAMILY, "size": FONT, "color": "#000000"},
        "margin": {"l": 44, "r": 8, "t": 20 if layout.get("annotations") else 8, "b": 36},
    }
    layout["legend"] = layout.get("legend", {}) | {"font": {"size": FONT - 1}, "itemsizing": "constant"}
    for key in axes:
        layout[key] = layout[key] | {
            "gridcolor": "#dddddd",
            "linecolor": "#000000",
            "showline": True,
            "ticks": "outside" if layout[key].get("showticklabels", True) else "",
            "ticklen": 3,
            "tickfont": {"size": min(layout[key].get("tickfont", {}).get("size", FONT), FONT - 1)},
        }
        if "title" in layout[key]:
            layout[key]["title"] = layout[key]["title"] | {"font": {"size": FONT}, "standoff": 4}
    if "scene" in layout:
        _shrink(layout["scene"])
    for note in layout.get("annotations", ()):
        note["font"] = {"size": FONT - 2}
    for shape in layout.get("shapes", ()):
        shape["line"] = shape.get("line", {}) | {"color": "#000000"}
    return drawn


def _shrink(scene: dict[str, Any]) -> None:
    """Moves the eye away from a scene, which is cut off at the height of print otherwise."""
    scene["camera"]["eye"] = {axis: 1.15 * place for axis, place in scene["camera"]["eye"].items()}
    for key in ("xaxis", "yaxis", "zaxis"):
        scene[key] = scene[key] | {"tickfont": {"size": FONT - 1}}
        scene[key]["title"] = scene[key]["title"] | {"font": {"size": FONT}}


def _name(view: View, variant: str) -> str:
    return view.name if len(view.figures) == 1 else f"{view.name}-{variant}"


def _svg_height(svg: str) -> int:
    return int(svg.split(' height="', 1)[1].split('"', 1)[0])
