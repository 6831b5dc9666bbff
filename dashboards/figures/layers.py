"""What the figures about layers and cores share."""

from __future__ import annotations

from typing import Any

import pandas as pd

from dashboards.members import Member, ReportData, records
from dashboards.palette import PAPER, qualitative
from dashboards.text import percent, plain


def layer_axis(layers: pd.DataFrame) -> dict[str, Any]:
    """Positions of layers in order of execution, named on the axis.

    Bars stand at their position and not at their name, which would be repeated in every trace of the page.
    """
    return {
        "tickvals": list(range(len(layers))),
        "ticktext": [plain(name) for name in layers["layer"]],
        "tickfont": {"size": 9},
        "tickangle": -90,
        "showgrid": False,
        "range": [-0.7, len(layers) - 0.3],
    }


def hatched(heads: pd.Series) -> dict[str, Any]:
    """The pattern of bars of layers, hatched where a layer is part of an exit head.

    On top of the colour: a pattern in its place would leave a narrow bar with hardly any colour.
    """
    return {
        "shape": ["/" if head else "" for head in heads],
        "fillmode": "overlay",
        "fgcolor": PAPER,
        "fgopacity": 1,
        "size": 6,
        "solidity": 0.3,
    }


def layer_hover(member: Member) -> list[str]:
    """What a layer is, for hover text, (n_layers,)."""
    texts = []
    for row, reach in zip(records(member.layers), member.layer_reach, strict=True):
        text = f"<b>{plain(row['layer'])}</b> {int(row['macs']):,} MACs<br>{percent(float(reach))} of inputs"
        if "weight_bits" in row:
            text += f"<br>bits {row['weight_bits']}, {row['input_bits']}, {row['output_bits']}"
        texts.append(text)
    return texts


def core_names(data: ReportData) -> list[str]:
    """Cores that run any layer of the front, in the order of their names."""
    layers = data.results.layers
    return sorted({str(core) for core in layers["core"]}) if len(layers) else []


def core_colours(data: ReportData) -> dict[str, str]:
    """A colour for each core, the same in every figure."""
    return qualitative(core_names(data))


def dearest_layers(member: Member, column: str, of_what: str) -> str:
    """The three layers that cost most, for those who do not see the bars."""
    layers = member.layers
    total = float(layers[column].sum()) if len(layers) else 0.0
    if not total:
        return f"{member.label}: no layers"
    top = layers.nlargest(3, column)
    parts = [f"{row['layer']} {percent(float(row[column]) / total, 0)}" for row in records(top)]
    return f"{member.label}: the dearest of {len(layers)} layers are {', '.join(parts)} {of_what}"
