"""`python -m hwcost.validate DIR`: how far the simulator is from reference tables.

DIR may hold zigzag_layers.csv, scalesim_layers.csv, stream_networks.csv (with layers.csv) and paper_models.csv (with
paper_backbone.csv), in any combination, with any rows.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hwcost.errors import OfframpError
from hwcost.validation.paper_models import validate_paper_models
from hwcost.validation.scalesim import validate_scalesim
from hwcost.validation.stream import validate_stream
from hwcost.validation.zigzag import validate_zigzag


def validate(folder: Path) -> dict[str, Any]:
    """Compares with every table of a folder.

    Raises:
        OfframpError: The folder or a column is missing, or it holds no table.
    """
    if not folder.is_dir():
        raise OfframpError(f"expected a folder with reference tables, got {folder.name!r}")

    def there(name: str) -> Path | None:
        path = folder / name
        return path if path.exists() else None

    result: dict[str, Any] = {}
    if path := there("zigzag_layers.csv"):
        result["zigzag"] = validate_zigzag(path)
    if path := there("scalesim_layers.csv"):
        result["scalesim"] = validate_scalesim(path)
    if path := there("stream_networks.csv"):
        result["stream"] = validate_stream(path, there("layers.csv"))
    if path := there("paper_models.csv"):
        result["paper_models"] = validate_paper_models(path, there("paper_backbone.csv"))
    if not result:
        raise OfframpError(
            f"expected zigzag_layers.csv, scalesim_layers.csv, stream_networks.csv or paper_models.csv in "
            f"{folder.name!r}, found none"
        )
    return result


def _percent(value: float) -> str:
    return f"{100 * value:7.2f}%"


def _correlation(value: float | None) -> str:
    return "   none" if value is None else f"{value:7.4f}"


def _print_zigzag(configs: dict[str, Any]) -> None:
    print("ZigZag (latency against max(reference, compulsory DRAM bits / width))")
    print(
        f"{'config':22s}{'':9s}{'rows':>5s}    mean     p95     max   worse     raw  spearman  kendall  below port"
    )
    for config, part in configs.items():
        for name in ("latency", "energy"):
            values = part[name]
            raw = _percent(values["raw_mape"]) if "raw_mape" in values else "        "
            errors = "".join(_percent(values[key]) for key in ("mape", "p95", "max", "worse_max"))
            below = f"{part['reference_below_port']:12d}" if name == "latency" else ""
            print(
                f"{config:22s}{name:9s}{part['n']:5d}{errors}{raw}  {_correlation(values['spearman'])} "
                f"{_correlation(values['kendall'])}{below}"
            )


def _print_result(result: dict[str, Any]) -> None:
    if "zigzag" in result:
        _print_zigzag(result["zigzag"])
    if "scalesim" in result:
        print(f"SCALE-Sim: {result['scalesim']['exact']} of {result['scalesim']['n']} rows exact")
    if "stream" in result:
        for config, part in result["stream"]["configs"].items():
            print(
                f"Stream {config:22s} ours/theirs: latency {part['latency_ratio']:.2f}, "
                f"energy {part['energy_ratio']:.2f}"
            )
        print(f"Stream: same order of networks: {result['stream']['same_order']}")
    if "paper_models" in result:
        part = result["paper_models"]
        for name in ("latency", "energy"):
            values = {key: "none" if v is None else f"{v:.2f}" for key, v in part[name].items()}
            print(
                f"Published networks, {name}: median ours/theirs {values['ratio_median']}; heavy over light final "
                f"head {values['heavy_over_light']} (reference {values['heavy_over_light_reference']})"
            )
        if part["backbone_share_max_difference"] is not None:
            print(
                "Largest difference of a mounting point's share of the backbone's latency: "
                f"{100 * part['backbone_share_max_difference']:.1f} percentage points"
            )


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m hwcost.validate", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder with reference tables")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures as JSON")
    options = parser.parse_args(arguments)
    try:
        result = validate(options.folder)
        _print_result(result)
        if options.json:
            options.json.write_text(json.dumps(result, indent=1, allow_nan=False) + "\n")
    except (OfframpError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
