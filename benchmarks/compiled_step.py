"""What `torch.compile` would bring a study: seconds to compile one architecture beside what a step gets faster.

    python -m benchmarks.compiled_step --json compiled_step.json

The networks are those of `benchmarks.qat_step`. Every architecture of a study is a network of its own, so each would
be compiled once, for a training of some hundred steps. A step is timed with and without, in turn; compiling is the
first step less a later one. `pays_after_steps` is how long a training has to be for compiling to be worth it; nothing
where a compiled step is not faster. A network that cannot be compiled is reported with the reason.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch._inductor.config

from benchmarks.harness import Timing, interleaved, median_ratio, provenance, write_json
from benchmarks.qat_step import PRECISIONS, Setting, float_action, our_action


def compared(make: Callable[[bool], Callable[[], None]], rounds: int) -> dict[str, Any]:
    """One network with and without: seconds to compile, both steps, and how many steps pay."""
    torch.compiler.reset()
    plain, compiled = make(False), make(True)
    started = time.perf_counter()
    try:
        compiled()
    except Exception as error:  # whatever the compiler says is the result
        return {"error": " ".join(f"{type(error).__name__}: {error}".splitlines()[:1])}
    first = time.perf_counter() - started
    seconds = interleaved({"plain": plain, "compiled": compiled}, rounds, warmups=2)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    compiling = first - medians["compiled"]
    gain = medians["plain"] - medians["compiled"]
    return {
        "compile_seconds": compiling,
        "compiled_over_plain": median_ratio(seconds["compiled"], seconds["plain"]),
        "pays_after_steps": compiling / gain if gain > 0 else None,
        "step": {name: Timing.of(values) for name, values in seconds.items()},
    }


def main() -> None:
    torch._inductor.config.force_disable_caches = True  # every architecture of a study is new to the compiler
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compiled_step", description=__doc__)
    parser.add_argument("--width", type=float, default=0.5)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--weight-bits", type=int, default=4)
    parser.add_argument("--activation-bits", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", default="float32", choices=PRECISIONS)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    setting = Setting(options.threads, True, options.precision)
    makers: dict[str, Callable[[bool], Callable[[], None]]] = {
        "float": lambda compiled: float_action(options, setting, compiled),
        "ours": lambda compiled: our_action(options, options.threads, True, options.precision, compiled),
        "Brevitas, per-channel weights, constant initialisation": lambda compiled: our_action(
            options, options.threads, False, options.precision, compiled
        ),
    }
    result: dict[str, Any] = {}
    settings = {key: value for key, value in vars(options).items() if key != "json"}
    for name, make in makers.items():  # compiling takes minutes: what is measured is written
        result[name] = compared(make, options.rounds)
        print(f"{name:58s} {_shown(result[name])}", flush=True)
        write_json(options.json, {"networks": result, **provenance(("torch", "brevitas"), **settings)})


def _shown(found: dict[str, Any]) -> str:
    if "error" in found:
        return f"cannot be compiled: {found['error']}"
    pays = found["pays_after_steps"]
    return (
        f"{found['compile_seconds']:6.1f} s to compile, a step takes {found['compiled_over_plain']:.2f} of the time; "
        + ("never pays" if pays is None else f"pays after {pays:.0f} steps")
    )


if __name__ == "__main__":
    main()
