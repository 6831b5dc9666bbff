"""What is known of one evaluated design: the unit that is stored, exported and shown."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from models.architecture import Architecture
from study.genome import Genome

Source = Literal["proposed", "memo", "derived"]


@dataclass(frozen=True)
class DesignRecord:
    """One design with its result on the validation split.

    A design whose worst case breaks a constraint was not trained: it has chance accuracy, its worst case as mean
    cost, and no thresholds.

    Attributes:
        genome: The design.
        source: `proposed`: trained for this trial; `memo`: trained for an earlier one; `derived`: another
            allocation or policy target of a trained network, never a trial.
        feasible: Every constraint is met.
        violations: Relative excess over each bound by the metric's name; at most 0 where it is met. Of a design that
            was not trained, what hardware alone says, and for the rest the error of chance.
        accuracy: Fraction of the validation split that is right under the exit policy.
        mean_latency_cycles: Mean over samples of the latency up to the exit taken, in cycles of the nominal clock.
        mean_energy_pj: The same for energy.
        mean_edp_pj_cycles: Mean over samples of (energy x latency up to the exit taken).
        worst_latency_cycles: All exits run, none taken.
        weight_memory_bits: All weights, heads included.
        clock_hz: The nominal one, whose cycles all latencies are counted in at whatever level the design runs.
        area_mm2: Of the chip with the design's PE arrays; None where the accelerator states none.
        thresholds: One per exit that is not the last; empty when not trained.
        exit_ratios: Share of samples leaving at each exit; empty when not trained.
        leaving_accuracies: Fraction right among those that leave at each exit; None where nobody leaves.
        exit_accuracies: Fraction right if all samples left there.
        temperatures: What each exit's logits are divided by; empty where they are taken as they are.
        calibration_errors: Expected calibration error of each exit's confidences at these temperatures, as fractions.
        raw_calibration_errors: The same at temperature 1; empty where there are no temperatures.
        rung: Index of the training budget that the result is from, see `study.rungs`.
        longest: That is the longest one of the study; only such designs enter fronts.
        trained_as: The network that was trained, where the design has fewer of its exits; None: the design's own.
        lower_rungs: Objectives at each rung below, in their order.
        batch_size: Images a training step had: fewer than the recipe's where memory was short; None where nothing was
            trained, or where it was not noted.
        training_samples: Images trained on for this record, at all rungs; 0 when nothing was trained for it.
        seconds: Wall-clock time of the evaluation.
    """

    genome: Genome
    source: Source
    feasible: bool
    violations: dict[str, float]
    accuracy: float
    mean_latency_cycles: float
    mean_energy_pj: float
    mean_edp_pj_cycles: float
    worst_latency_cycles: float
    weight_memory_bits: int
    clock_hz: float
    area_mm2: float | None = None
    thresholds: tuple[float, ...] = ()
    exit_ratios: tuple[float, ...] = ()
    leaving_accuracies: tuple[float | None, ...] = ()
    exit_accuracies: tuple[float, ...] = ()
    temperatures: tuple[float, ...] = ()
    calibration_errors: tuple[float, ...] = ()
    raw_calibration_errors: tuple[float, ...] = ()
    rung: int = 0
    longest: bool = True
    trained_as: Architecture | None = None
    lower_rungs: tuple[tuple[float, ...], ...] = ()
    batch_size: int | None = None
    training_samples: int = 0
    seconds: float = 0.0

    @property
    def network(self) -> Architecture:
        """What was trained: the design's architecture, or one with more exits."""
        return self.trained_as or self.genome.architecture

    @property
    def error(self) -> float:
        """Fraction of the validation split that is wrong."""
        return 1.0 - self.accuracy

    @property
    def mean_latency_seconds(self) -> float:
        """Mean latency."""
        return self.mean_latency_cycles / self.clock_hz

    @property
    def worst_latency_seconds(self) -> float:
        """Worst latency."""
        return self.worst_latency_cycles / self.clock_hz

    @property
    def mean_energy_joules(self) -> float:
        """Mean energy."""
        return self.mean_energy_pj * 1e-12

    @property
    def mean_edp_joule_seconds(self) -> float:
        """Mean energy-latency product."""
        return self.mean_edp_pj_cycles * 1e-12 / self.clock_hz

    @property
    def violation(self) -> float:
        """The largest excess over a bound, 0 where all are met."""
        return max((0.0, *self.violations.values()))

    @property
    def trained(self) -> bool:
        """Whether the accuracy was measured, and not set to chance."""
        return bool(self.exit_ratios)

    @property
    def may_lead(self) -> bool:
        """Whether it may be on a front: feasible, and trained as long as any design of the study."""
        return self.feasible and self.trained and self.longest

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; `from_json` gives an equal record back.

        A threshold that nothing reaches is infinite, which JSON does not have: it is written as null.
        """
        values = asdict(self)
        values["thresholds"] = [t if math.isfinite(t) else None for t in self.thresholds]
        values["trained_as"] = None if self.trained_as is None else self.trained_as.to_dict()
        values["genome"] = {
            "architecture": self.genome.architecture.to_dict(),
            "allocation": list(self.genome.allocation),
            "policy_target": self.genome.policy_target,
            "level": self.genome.level,
        }
        return values

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> DesignRecord:
        """The record that `to_json` wrote."""
        genome = values["genome"]
        plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        plain["thresholds"] = tuple(math.inf if t is None else t for t in values["thresholds"])
        if values.get("trained_as") is not None:
            plain["trained_as"] = Architecture.from_dict(values["trained_as"])
        plain["lower_rungs"] = tuple(tuple(step) for step in values.get("lower_rungs", ()))
        plain["genome"] = Genome(
            architecture=Architecture.from_dict(genome["architecture"]),
            allocation=tuple(genome["allocation"]),
            policy_target=genome["policy_target"],
            level=genome["level"],
        )
        return cls(**plain)
