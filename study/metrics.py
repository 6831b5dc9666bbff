"""What designs are judged by: each quantity that can be an objective, or have a bound, or both.

All of them are minimised. A quantity has one name in a configuration (`mean_latency`), and one name with its unit
(`mean_latency_cycles`) that is the same in the storage, in `DesignRecord` and in the tables. Latency is told in
cycles while every design runs at the nominal clock, and in seconds (energy in joules) once clocks differ.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from study.units import Dimension

if TYPE_CHECKING:
    from hwcost.stage_costs import StageCosts
    from study.record import DesignRecord

Array = np.ndarray

_SUFFIXES: dict[Dimension, tuple[str, str]] = {
    "fraction": ("", ""),
    "time": ("_cycles", "_seconds"),
    "energy": ("_pj", "_joules"),
    "energy_delay": ("_pj_cycles", "_joule_seconds"),
    "memory": ("_bits", "_bits"),
    "area": ("_mm2", "_mm2"),
}


@dataclass(frozen=True)
class HardwareView:
    """What is known of designs before any of them is trained.

    Attributes:
        costs: Up to and including each exit, of n designs.
        area_mm2: (n,); None where the accelerator states none.
    """

    costs: StageCosts
    area_mm2: Array | None

    @property
    def first_exit(self) -> tuple[Array, Array]:
        """Index of each design and of its first exit: two arrays of (n,)."""
        return np.arange(len(self.costs.clock_hz)), self.costs.exits.argmax(axis=1)


@dataclass(frozen=True)
class Metric:
    """A quantity that designs are judged by; less is better.

    Attributes:
        name: In a configuration.
        text: For people.
        dimension: What a bound on it must measure.
        trained: It depends on what a trained network says; otherwise hardware alone decides it.
        hardware: From what is known before training, in SI units, (n,): the value itself, or for a trained one the
            least that any thresholds can give. None: nothing is known.
        at_exits: What an input costs that leaves at each exit, in SI units, (n, n_exits), for a metric that is the
            mean of that over inputs; None for others.
    """

    name: str
    text: str
    dimension: Dimension
    trained: bool
    hardware: Callable[[HardwareView], Array] | None
    at_exits: Callable[[HardwareView], Array] | None = None

    def column(self, seconds: bool) -> str:
        """The name with its unit: attribute of a record, column of a table, name in the storage."""
        return self.name + _SUFFIXES[self.dimension][seconds]

    def of(self, record: DesignRecord) -> float:
        """The value of a design in SI units (memory in bits, area in square millimetres)."""
        return float(getattr(record, self.column(seconds=True)))


def _first_latency(view: HardwareView) -> Array:
    return view.costs.latency_s[view.first_exit]


def _first_energy(view: HardwareView) -> Array:
    return view.costs.energy_j[view.first_exit]


def _weight_memory(view: HardwareView) -> Array:
    return np.broadcast_to(view.costs.weight_memory_bits, view.costs.clock_hz.shape).astype(float)


def _area(view: HardwareView) -> Array:
    if view.area_mm2 is None:
        raise RuntimeError("expected an accelerator that states areas; configurations are checked for that")
    return view.area_mm2


METRICS = (
    Metric("error", "error", "fraction", True, None),
    Metric("mean_latency", "mean latency", "time", True, _first_latency, lambda view: view.costs.latency_s),
    Metric("mean_energy", "mean energy", "energy", True, _first_energy, lambda view: view.costs.energy_j),
    Metric(
        "mean_edp",
        "mean energy-latency product",
        "energy_delay",
        True,
        lambda view: _first_latency(view) * _first_energy(view),
        lambda view: view.costs.latency_s * view.costs.energy_j,
    ),
    Metric("worst_latency", "worst latency", "time", False, lambda view: view.costs.latency_s[:, -1]),
    Metric("weight_memory", "weight memory", "memory", False, _weight_memory),
    Metric("area", "area", "area", False, _area),
)

METRIC_NAMES = tuple(metric.name for metric in METRICS)


def metric_named(name: str) -> Metric:
    """The metric of that name.

    Raises:
        KeyError: There is none; configurations are checked before.
    """
    return {metric.name: metric for metric in METRICS}[name]


@dataclass(frozen=True)
class Objectives:
    """What a study minimises.

    Attributes:
        metrics: In the order of the configuration.
        seconds: Latency in seconds and energy in joules, as clocks differ; otherwise in cycles and picojoules.
    """

    metrics: tuple[Metric, ...]
    seconds: bool = False

    @classmethod
    def named(cls, names: Sequence[str], seconds: bool = False) -> Objectives:
        """The objectives by their names in a configuration."""
        return cls(tuple(metric_named(name) for name in names), seconds)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names with units, as in the storage."""
        return tuple(metric.column(self.seconds) for metric in self.metrics)

    def units(self, clock_hz: float) -> list[float]:
        """One of each objective's unit in SI units; cycles are those of the nominal clock."""
        cycle, picojoule = (1.0, 1.0) if self.seconds else (1.0 / clock_hz, 1e-12)
        units = {"time": cycle, "energy": picojoule, "energy_delay": picojoule * cycle}
        return [units.get(metric.dimension, 1.0) for metric in self.metrics]

    def values(self, record: DesignRecord) -> tuple[float, ...]:
        """What the storage is told of a design."""
        return tuple(float(getattr(record, column)) for column in self.columns)
