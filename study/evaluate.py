"""From a genome to its result: hardware first, then the memo, then training (longer where it is earned), then the
exit policy."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from hwcost.stage_costs import StageCosts
from models.architecture import Architecture
from models.predictions import ExitPredictions
from study.bounds import Bounds
from study.costing import SimulatedCosting
from study.genome import Genome, SearchSpace
from study.hardware import HardwareCosts
from study.hardware_check import HardwareCheck
from study.memo import LongestKnown, PredictionMemo, TrainedNetwork
from study.metrics import Objectives
from study.placements import Placements, leading
from study.policy import OperatingPoint, apply_policies, apply_policy
from study.record import DesignRecord
from study.rungs import Rises, Rung, always_rises
from study.shared_threshold import bounded_shared_many
from study.thresholds import tune_accuracy, tune_many


@dataclass(frozen=True)
class Evaluator:
    """Evaluates designs of one study.

    Attributes:
        space: The genes.
        hardware: The simulator.
        objectives: What is minimised.
        bounds: The constraints.
        memo: Networks trained so far with the first budget.
        train: Trains one architecture with it.
        classes: Classes of the data; a design that is not trained has the error of chance.
        longer: Budgets of the higher rungs.
        rises: Which networks get them.
        hardware_first: A design that breaks a constraint is not trained.
        memoized: A network that was trained is not trained again.
        leave_out: Networks with fewer exits that become designs of a trained one, at most.
        more_targets: Policy targets beside those of the space, for designs that derive from a trained network.
    """

    space: SearchSpace
    hardware: HardwareCosts
    objectives: Objectives
    bounds: Bounds
    memo: PredictionMemo
    train: Callable[[Architecture], TrainedNetwork]
    classes: int
    longer: tuple[Rung, ...] = ()
    rises: Rises = always_rises
    hardware_first: bool = True
    memoized: bool = True
    leave_out: int = 0
    more_targets: tuple[float, ...] = ()

    @property
    def rungs(self) -> tuple[Rung, ...]:
        """All budgets, the shortest first."""
        return Rung(self.memo, self.train), *self.longer

    def relative_to(self, reference: DesignRecord) -> Evaluator:
        """The same, once the static reference is trained: a bound on the error may be relative to its error."""
        return replace(self, bounds=self.bounds.relative_to(reference.error))

    def with_more_targets(self, targets: Sequence[float]) -> Evaluator:
        """The same with more policy targets than the space has for what derives from a trained network.

        Which exits to keep, and what a static design is called, goes on to follow from those of the space.
        """
        return replace(self, more_targets=tuple(targets))

    @property
    def check(self) -> HardwareCheck:
        """Which designs need no training, as they break a constraint."""
        return HardwareCheck(self.hardware, self.bounds)

    @property
    def costing(self) -> SimulatedCosting:
        """What is known of designs of the space without a trial."""
        space = self.space
        return SimulatedCosting(
            list(space.genes()), space.decode, space.mounting_points, self.check, self.objectives
        )

    def evaluate(self, genome: Genome) -> DesignRecord:
        """The result of one proposed design at the highest rung it reaches.

        A longer training that is known already, from another design with the same network, counts without being
        earned again.

        Raises:
            models.train.NonFiniteLoss: Its training diverged.
        """
        start = time.monotonic()
        costs = self.hardware.cost_of(genome)
        placements = Placements(np.array([genome.allocation]), np.array([genome.level]))
        known = self.bounds.before_training(self.hardware.view(costs, placements.allocations))
        excess = {name: float(values[0]) for name, values in known.items()}
        if self.hardware_first and any(value > 0 for value in excess.values()):
            record = self._untrained(genome, costs, excess)
            return replace(record, seconds=time.monotonic() - start)
        architecture = genome.architecture
        steps: list[DesignRecord] = []  # one a rung
        trained: list[int] = []  # images, one entry a training
        for index, rung in enumerate(self.rungs):
            earned = index == 0 or self.rises(index - 1, steps[-1])
            if not earned and (not self.memoized or rung.memo.find(architecture) is None):
                break
            network, fresh = self._trained(rung, architecture)
            trained += [network.training_samples] if fresh else []
            steps += self._records(architecture, network, costs, placements, [genome.policy_target])
        return replace(
            steps[-1],
            source="proposed" if trained else "memo",
            lower_rungs=tuple(self.objectives.values(step) for step in steps[:-1]),
            training_samples=sum(trained),
            seconds=time.monotonic() - start,
        )

    def _trained(self, rung: Rung, architecture: Architecture) -> tuple[TrainedNetwork, bool]:
        """The network of a rung, and whether it was trained for this."""
        if self.memoized:
            return rung.memo.get_or_train(architecture, partial(rung.train, architecture))
        network = rung.train(architecture)
        rung.memo.store(architecture, network)  # the designs that derive from it are evaluated from there
        return network, True

    @property
    def longest_known(self) -> LongestKnown:
        """Gives the network at the highest rung it was trained with; None where it was not."""
        return LongestKnown(tuple(rung.memo for rung in reversed(self.rungs)))

    def measure(
        self, architecture: Architecture, network: TrainedNetwork, allocation: tuple[int, ...]
    ) -> DesignRecord:
        """A trained network on one allocation at the nominal level under the strictest target, constraints or not."""
        levels = np.array([self.space.levels.nominal])
        placements = Placements(np.array([allocation]), levels)
        costs = self.hardware.stage_costs(architecture, placements.allocations, levels)
        target = self.space.config.policy_targets[0]
        return self._records(architecture, network, costs, placements, [target])[0]

    def measured(self, genome: Genome, network: TrainedNetwork) -> DesignRecord:
        """One design with a network that was trained elsewhere, constraints or not."""
        placements = Placements(np.array([genome.allocation]), np.array([genome.level]))
        costs = self.hardware.cost_of(genome)
        return self._records(genome.architecture, network, costs, placements, [genome.policy_target])[0]

    def on_split(self, record: DesignRecord, predictions: ExitPredictions) -> DesignRecord:
        """The same design with the same thresholds on another split; nothing is chosen on it.

        Args:
            record: Its thresholds count.
            predictions: Of its network on that split.
        """
        costs, thresholds = self.hardware.cost_of(record.genome), [*record.thresholds, -math.inf]
        point = apply_policy(
            predictions, thresholds, costs.latency_cycles[0], costs.energy_pj[0], self.space.config.score
        )
        there = _record(
            record.genome,
            point,
            worst_latency_cycles=record.worst_latency_cycles,
            weight_memory_bits=record.weight_memory_bits,
            clock_hz=record.clock_hz,
            area_mm2=record.area_mm2,
            calibration=_Calibration.of(predictions),
        )
        return replace(
            there,
            source=record.source,
            trained_as=record.trained_as,
            feasible=record.feasible,
            violations=record.violations,
            rung=record.rung,
            batch_size=record.batch_size,
            longest=record.longest,
            training_samples=record.training_samples,
            seconds=record.seconds,
        )

    def derive(
        self, architecture: Architecture, network: TrainedNetwork, among: Placements | None = None
    ) -> list[DesignRecord]:
        """Other allocations, levels and policy targets of a trained network, in one array call.

        Hardware cost is known for every placement first: latency and energy at each exit, and area where that is an
        objective. Those that cannot lead under any thresholds, or by next to nothing, are not evaluated, see
        `study.placements`; every design that is evaluated is returned.

        Args:
            architecture: Of the network.
            network: Trained.
            among: Placements to choose from; None: all of the space.
        """
        start = time.monotonic()
        placements = among or Placements(*self.space.placements())
        costs = self.hardware.stage_costs(architecture, placements.allocations, placements.levels)
        view = self.hardware.view(costs, placements.allocations)
        within = np.flatnonzero(self.bounds.met_before_training(view))
        if not within.size:
            return []
        columns = [costs.latency_cycles[within], costs.energy_pj[within]]
        if view.area_mm2 is not None and any(m.name == "area" for m in self.objectives.metrics):
            columns.append(view.area_mm2[within, None])
        useful = within[leading(np.hstack(columns))]
        targets = [*self.space.config.policy_targets]
        targets = targets[:1] if architecture.is_static else sorted({*targets, *self.more_targets})
        records = self._records(architecture, network, costs.take(useful), placements.take(useful), targets)
        share = (time.monotonic() - start) / len(records)
        return [replace(record, seconds=share) for record in records]

    def _records(
        self,
        architecture: Architecture,
        network: TrainedNetwork,
        costs: StageCosts,
        placements: Placements,
        targets: list[float],
    ) -> list[DesignRecord]:
        """One record per (placement, target), thresholds chosen on calibration and measured on validation."""
        latency, energy = costs.latency_cycles, costs.energy_pj
        thresholds = self._thresholds(network.calibration, costs, targets)
        area = self.hardware.view(costs, placements.allocations).area_mm2
        points = apply_policies(
            network.validation,
            thresholds.reshape(-1, thresholds.shape[-1]),
            np.repeat(latency, len(targets), axis=0),
            np.repeat(energy, len(targets), axis=0),
            self.space.config.score,
        )
        calibration = _Calibration.of(network.validation)
        records = []
        for index, point in enumerate(points):
            design, target = divmod(index, len(targets))
            allocation = tuple(int(i) for i in placements.allocations[design])
            genome = Genome(architecture, allocation, targets[target], int(placements.levels[design]))
            record = _record(
                self.space.canonical(genome),
                point,
                worst_latency_cycles=float(latency[design, -1]),
                weight_memory_bits=int(costs.weight_memory_bits),
                clock_hz=self.hardware.static.clock_hz,
                area_mm2=None if area is None else float(area[design]),
                calibration=calibration,
            )
            violations = self.bounds.after_training(record)
            feasible = all(excess <= 0 for excess in violations.values())
            records.append(
                replace(
                    record,
                    violations=violations,
                    feasible=feasible,
                    rung=network.rung,
                    batch_size=network.batch_size,
                    longest=network.rung >= len(self.longer),
                )
            )
        return records

    def _thresholds(
        self, calibration: ExitPredictions, costs: StageCosts, targets: list[float]
    ) -> np.ndarray:
        """(n_designs, n_targets, n_exits)."""
        config, reference = self.space.config, self.hardware.static.edp_pj_cycles
        latency, energy = costs.latency_cycles, costs.energy_pj
        if config.policy == "shared":
            # The paper's policy: one threshold, the largest whose relative mean product stays under the target.
            return bounded_shared_many(calibration, latency, energy, reference, targets)
        if config.policy_goal == "accuracy":
            ceilings = reference * np.array(targets)
            return tune_accuracy(calibration, latency * energy, ceilings, config.score).thresholds
        return tune_many(calibration, latency, energy, targets, config.score).thresholds

    def _untrained(self, genome: Genome, costs: StageCosts, violations: dict[str, float]) -> DesignRecord:
        latency, energy = float(costs.latency_cycles[0, -1]), float(costs.energy_pj[0, -1])
        area = self.hardware.view(costs, np.array([genome.allocation])).area_mm2
        record = DesignRecord(
            genome=genome,
            source="proposed",
            feasible=False,
            violations=violations,
            accuracy=1.0 / self.classes,
            mean_latency_cycles=latency,
            mean_energy_pj=energy,
            mean_edp_pj_cycles=latency * energy,
            worst_latency_cycles=latency,
            weight_memory_bits=int(costs.weight_memory_bits),
            clock_hz=self.hardware.static.clock_hz,
            area_mm2=None if area is None else float(area[0]),
        )
        # Samplers need a value of every constraint: where only training tells, that of chance.
        return replace(record, violations={**self.bounds.after_training(record), **violations})


@dataclass(frozen=True)
class _Calibration:
    """How far the confidences of a network can be trusted; measured once for all designs it is in."""

    temperatures: tuple[float, ...]
    errors: tuple[float, ...]
    raw_errors: tuple[float, ...]

    @classmethod
    def of(cls, predictions: ExitPredictions) -> _Calibration:
        return cls(
            _floats(predictions.temperatures),
            _floats(predictions.calibration_errors),
            _floats(predictions.raw_calibration_errors),
        )


def _record(
    genome: Genome,
    point: OperatingPoint,
    *,
    worst_latency_cycles: float,
    weight_memory_bits: int,
    clock_hz: float,
    area_mm2: float | None,
    calibration: _Calibration,
) -> DesignRecord:
    leaving = tuple(None if math.isnan(v) else float(v) for v in point.leaving_accuracies)
    return DesignRecord(
        genome=genome,
        source="derived",
        feasible=True,
        violations={},
        accuracy=point.accuracy,
        mean_latency_cycles=point.mean_latency_cycles,
        mean_energy_pj=point.mean_energy_pj,
        mean_edp_pj_cycles=point.mean_edp_pj_cycles,
        worst_latency_cycles=worst_latency_cycles,
        weight_memory_bits=weight_memory_bits,
        clock_hz=clock_hz,
        area_mm2=area_mm2,
        thresholds=tuple(float(t) for t in point.thresholds[:-1]),
        exit_ratios=tuple(float(r) for r in point.exit_ratios),
        leaving_accuracies=leaving,
        exit_accuracies=tuple(float(a) for a in point.exit_accuracies),
        temperatures=calibration.temperatures,
        calibration_errors=calibration.errors,
        raw_calibration_errors=calibration.raw_errors,
    )


def _floats(values: np.ndarray | None) -> tuple[float, ...]:
    """Plain numbers; none where nothing was measured."""
    return () if values is None else tuple(float(value) for value in values)
