"""The constraints of a study as plain limits, and by how much designs exceed them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from study.metrics import HardwareView, Metric, metric_named
from study.units import format_quantity, parse_quantity

if TYPE_CHECKING:
    from study.hardware import StaticCost
    from study.record import DesignRecord

_LEAST = 1e-12  # a limit relative to a reference that makes no error is zero; excess is relative to the limit
_ROUNDING = 1e-9  # one amount computed in two ways: sums of one design and of many differ by some 1e-14


@dataclass(frozen=True)
class Bound:
    """The largest value of one metric that a design may have.

    Attributes:
        metric: What is bounded.
        limit: In SI units.
    """

    metric: Metric
    limit: float

    def excess(self, value: np.ndarray | float) -> np.ndarray:
        """By how much values in SI units exceed the limit, relative to it; at most 0 where it is met."""
        excess = np.asarray(value / max(self.limit, _LEAST) - 1.0)
        return np.where(np.abs(excess) <= _ROUNDING, 0.0, excess)

    @property
    def text(self) -> str:
        """For people."""
        return f"{self.metric.text} at most {format_quantity(self.limit, self.metric.dimension)}"


@dataclass(frozen=True)
class Bounds:
    """All bounds of a study.

    Attributes:
        bounds: Those whose limit is known.
        relative_error: The bound on the error relative to the static reference's, which is known once that is
            trained: until then it binds nothing. None: there is no such bound.
    """

    bounds: tuple[Bound, ...]
    relative_error: float | None = None

    @classmethod
    def of(cls, given: Mapping[str, float | str], static: StaticCost) -> Bounds:
        """The limits that a configuration asks for.

        Args:
            given: `ConstraintConfig.given()`; cycles are those of the nominal clock.
            static: Cost of the static reference.
        """
        bounds, relative_error = [], None
        for name, bound in given.items():
            metric = metric_named(name)
            if isinstance(bound, str):
                quantity = parse_quantity(bound, metric.dimension)
                bounds.append(Bound(metric, quantity.at_clock(static.clock_hz)))
            elif name == "error":
                relative_error = bound
            else:
                bounds.append(Bound(metric, bound * static.of(metric)))
        return cls(tuple(bounds), relative_error)

    def texts(self) -> list[str]:
        """For people, one a bound."""
        relative = self.relative_error
        waiting = [] if relative is None else [f"error at most {relative:g} times the static reference's"]
        return [*(bound.text for bound in self.bounds), *waiting]

    def relative_to(self, error: float) -> Bounds:
        """The same, once the error of the static reference is known."""
        if self.relative_error is None:
            return self
        bound = Bound(metric_named("error"), self.relative_error * error)
        return replace(self, bounds=(*self.bounds, bound), relative_error=None)

    def before_training(self, view: HardwareView) -> dict[str, np.ndarray]:
        """By how much designs exceed the bounds for certain, whatever a trained network says.

        Of a mean over samples the least there can be is known, as no sample leaves before the first exit.

        Returns:
            Relative excess by metric, (n_designs,) each; metrics of which nothing is known are left out.
        """
        return {
            bound.metric.name: bound.excess(bound.metric.hardware(view))
            for bound in self.bounds
            if bound.metric.hardware is not None
        }

    def met_before_training(self, view: HardwareView) -> np.ndarray:
        """Which designs exceed no bound for certain, (n_designs,)."""
        met = np.ones(len(view.costs.clock_hz), dtype=bool)
        for excess in self.before_training(view).values():
            met &= excess <= 0
        return met

    def after_training(self, record: DesignRecord) -> dict[str, float]:
        """Relative excess over every bound of a design whose accuracy and means are measured, by metric."""
        return {bound.metric.name: float(bound.excess(bound.metric.of(record))) for bound in self.bounds}
