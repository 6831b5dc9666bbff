"""What the two figures by layer share."""

from __future__ import annotations

from typing import Any

import pandas as pd

from dashboards.members import Member, records
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


def layer_hover(member: Member) -> list[str]:
    """What a layer is, for hover text, (n_layers,)."""
    texts = []
    for row, reach in zip(records(member.layers), member.layer_reach, strict=True):
        text = f"<b>{plain(row['layer'])}</b> {int(row['macs']):,} MACs<br>{percent(float(reach))} of inputs"
        if "weight_bits" in row:
            text += f"<br>bits {row['weight_bits']}, {row['input_bits']}, {row['output_bits']}"
        texts.append(text)
    return texts
