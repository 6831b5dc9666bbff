"""From a genome to its result: hardware first, then the memo, then training (longer where it is earned), then the
exit policy."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import moocore
import numpy as np

from hwcost.stage_costs import StageCosts
from models.architecture import Architecture
from models.predictions import ExitPredictions
from study.config import ConstraintConfig
from study.genome import Genome, SearchSpace
from study.hardware import HardwareCosts
from study.memo import PredictionMemo, TrainedNetwork
from study.policy import OperatingPoint, apply_policies
from study.record import DesignRecord, Source
from study.rungs import Rises, Rung, always_rises
from study.shared_threshold import bounded_shared_many
from study.thresholds import tune_accuracy, tune_many


@dataclass(frozen=True)
class Evaluator:
    """Evaluates designs of one study.

    Attributes:
        space: The genes.
        hardware: The simulator.
        bounds: The constraints.
        memo: Networks trained so far with the first budget.
        train: Trains one architecture with it.
        classes: Classes of the data; a design that is not trained has the error of chance.
        longer: Budgets of the higher rungs.
        rises: Which designs get them.
    """

    space: SearchSpace
    hardware: HardwareCosts
    bounds: ConstraintConfig
    memo: PredictionMemo
    train: Callable[[Architecture], TrainedNetwork]
    classes: int
    longer: tuple[Rung, ...] = ()
    rises: Rises = always_rises

    @property
    def rungs(self) -> tuple[Rung, ...]:
        """All budgets, the shortest first."""
        return Rung(self.memo, self.train), *self.longer

    def meets_constraints(self, genome: Genome) -> bool:
        """Whether the worst case is within every bound."""
        costs = self.hardware.stage_costs(genome.architecture, np.array([genome.allocation]))
        return bool((self.hardware.violations(costs, self.bounds) <= 0).all())

    def evaluate(self, genome: Genome) -> DesignRecord:
        """The result of one proposed design at the highest rung it reaches.

        A longer training that is known already, from another design with the same network, counts without being
        earned again.

        Raises:
            models.train.NonFiniteLoss: Its training diverged.
        """
        start = time.monotonic()
        costs = self.hardware.stage_costs(genome.architecture, np.array([genome.allocation]))
        violations = tuple(float(v) for v in self.hardware.violations(costs, self.bounds)[0])
        if max(violations) > 0:
            record = self._untrained(genome, costs, violations)
            return replace(record, seconds=time.monotonic() - start)
        architecture = genome.architecture
        steps: list[DesignRecord] = []  # one a rung
        trained: list[int] = []  # images, one entry a training
        for index, rung in enumerate(self.rungs):
            earned = index == 0 or self.rises(index - 1, steps[-1].objectives)
            if not earned and rung.memo.find(architecture) is None:
                break
            network, fresh = rung.memo.get_or_train(architecture, partial(rung.train, architecture))
            trained += [network.training_samples] if fresh else []
            steps += self._records(architecture, network, costs, [genome.allocation], [genome.policy_target])
        return replace(
            steps[-1],
            source="proposed" if trained else "memo",
            lower_rungs=tuple(step.objectives for step in steps[:-1]),
            training_samples=sum(trained),
            seconds=time.monotonic() - start,
        )

    def longest_known(self, architecture: Architecture) -> TrainedNetwork | None:
        """The network at the highest rung it was trained with; None where it was not."""
        found = (rung.memo.find(architecture) for rung in reversed(self.rungs))
        return next((network for network in found if network is not None), None)

    def measure(
        self, architecture: Architecture, network: TrainedNetwork, allocation: tuple[int, ...]
    ) -> DesignRecord:
        """A trained network on one allocation under the strictest policy target, constraints or not."""
        costs = self.hardware.stage_costs(architecture, np.array([allocation]))
        target = self.space.config.policy_targets[0]
        return self._records(architecture, network, costs, [allocation], [target])[0]

    def derive(self, architecture: Architecture, network: TrainedNetwork) -> list[DesignRecord]:
        """Other allocations and policy targets of a trained network, in one array call.

        Hardware cost is known for every allocation first. One that is dominated, no cheaper than another in latency
        and in energy at any exit, cannot be better under any thresholds and is not evaluated; every design that is
        evaluated is returned.
        """
        start = time.monotonic()
        allocations = self.space.allocations.all()
        costs = self.hardware.stage_costs(architecture, allocations)
        within = np.flatnonzero((self.hardware.violations(costs, self.bounds) <= 0).all(axis=1))
        if not within.size:
            return []
        cost_of_exits = np.hstack([costs.latency_cycles[within], costs.energy_pj[within]])
        useful = within[np.flatnonzero(moocore.is_nondominated(cost_of_exits))]
        targets = self.space.config.policy_targets[: 1 if architecture.is_static else None]
        chosen = [tuple(int(i) for i in row) for row in allocations[useful]]
        records = self._records(architecture, network, costs, chosen, list(targets), useful)
        share = (time.monotonic() - start) / len(records)
        return [replace(record, seconds=share) for record in records]

    def _records(
        self,
        architecture: Architecture,
        network: TrainedNetwork,
        costs: StageCosts,
        allocations: list[tuple[int, ...]],
        targets: list[float],
        rows: np.ndarray | None = None,
    ) -> list[DesignRecord]:
        """One record per (allocation, target), thresholds chosen on calibration and measured on validation."""
        rows = np.arange(len(allocations)) if rows is None else rows
        latency, energy = costs.latency_cycles[rows], costs.energy_pj[rows]
        thresholds = self._thresholds(network.calibration, latency, energy, targets)
        violations = self.hardware.violations(costs, self.bounds)[rows]
        points = apply_policies(
            network.validation,
            thresholds.reshape(-1, thresholds.shape[-1]),
            np.repeat(latency, len(targets), axis=0),
            np.repeat(energy, len(targets), axis=0),
            self.space.config.score,
        )
        records = []
        for index, point in enumerate(points):
            design, target = divmod(index, len(targets))
            genome = Genome(architecture, allocations[design], targets[target])
            records.append(
                replace(
                    _record(
                        self.space.canonical(genome),
                        "derived",
                        point,
                        tuple(float(v) for v in violations[design]),
                        float(latency[design, -1]),
                        int(costs.weight_memory_bits),
                        network.validation,
                    ),
                    rung=network.rung,
                    longest=network.rung >= len(self.longer),
                )
            )
        return records

    def _thresholds(
        self, calibration: ExitPredictions, latency: np.ndarray, energy: np.ndarray, targets: list[float]
    ) -> np.ndarray:
        """(n_designs, n_targets, n_exits)."""
        config = self.space.config
        reference = self.hardware.static.edp_pj_cycles
        if config.policy == "shared":
            # The paper's policy: one threshold, the largest whose relative mean product stays under the target.
            return bounded_shared_many(calibration, latency, energy, reference, targets)
        if config.policy_goal == "accuracy":
            ceilings = reference * np.array(targets)
            return tune_accuracy(calibration, latency * energy, ceilings, config.score).thresholds
        return tune_many(calibration, latency, energy, targets, config.score).thresholds

    def _untrained(self, genome: Genome, costs: StageCosts, violations: tuple[float, ...]) -> DesignRecord:
        latency, energy = float(costs.latency_cycles[0, -1]), float(costs.energy_pj[0, -1])
        return DesignRecord(
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
        )


def _record(
    genome: Genome,
    source: Source,
    point: OperatingPoint,
    violations: tuple[float, ...],
    worst_latency_cycles: float,
    weight_memory_bits: int,
    validation: ExitPredictions,
) -> DesignRecord:
    leaving = tuple(None if math.isnan(v) else float(v) for v in point.leaving_accuracies)
    return DesignRecord(
        genome=genome,
        source=source,
        feasible=max(violations) <= 0,
        violations=violations,
        accuracy=point.accuracy,
        mean_latency_cycles=point.mean_latency_cycles,
        mean_energy_pj=point.mean_energy_pj,
        mean_edp_pj_cycles=point.mean_edp_pj_cycles,
        worst_latency_cycles=worst_latency_cycles,
        weight_memory_bits=weight_memory_bits,
        thresholds=tuple(float(t) for t in point.thresholds[:-1]),
        exit_ratios=tuple(float(r) for r in point.exit_ratios),
        leaving_accuracies=leaving,
        exit_accuracies=tuple(float(a) for a in point.exit_accuracies),
        temperatures=_floats(validation.temperatures),
        calibration_errors=_floats(validation.calibration_errors),
        raw_calibration_errors=_floats(validation.raw_calibration_errors),
    )


def _floats(values: np.ndarray | None) -> tuple[float, ...]:
    """Plain numbers; none where nothing was measured."""
    return () if values is None else tuple(float(value) for value in values)
