"""What is going to be measured: chosen on the validation split alone, before the test split is opened."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import mean
from typing import TYPE_CHECKING, Any, Literal

from hwcost.errors import OfframpError
from models.architecture import Architecture
from study.config_io import fingerprint
from study.front import headline_front
from study.genome import Genome
from study.leaving_out import derive_keeping, network_of, sets_to_derive
from study.memo import TrainedNetwork
from study.record import DesignRecord
from study.reference import NO_LOSS, REFERENCE_HEAD, accuracy_floor
from study.refine.networks import RefinedNetworks, Training

if TYPE_CHECKING:
    from study.evaluate import Evaluator
    from study.tables import Design

Role = Literal["static_reference", "best_static", "member", "derived"]


@dataclass(frozen=True)
class RefinedDesign:
    """One design with its trainings.

    Attributes:
        role: `static_reference`, `best_static`; `member`: it was on the front of the study; `derived`: another
            allocation or policy target of a refined network, on the refined headline front.
        headline: On the headline front of the refined networks, by validation.
        trial: Of the study; None for the static ones.
        trainings: One a seed.
        replicates: Its results, one a seed, each with thresholds of its own.
    """

    role: Role
    headline: bool
    trial: int | None
    trainings: tuple[Training, ...]
    replicates: tuple[DesignRecord, ...]

    @property
    def genome(self) -> Genome:
        """The design."""
        return self.replicates[0].genome

    @property
    def identifier(self) -> str:
        """12 hex digits, as in the tables of the study."""
        return self.genome.key()[:12]

    @property
    def mean(self) -> DesignRecord:
        """Mean over the seeds; what each seed has of its own, such as thresholds, is left out."""
        return mean_record(self.replicates)


@dataclass(frozen=True)
class Choice:
    """Everything that is measured on the test split.

    Attributes:
        trained: How the better static reference was trained.
        reference: The static reference.
        best_static: The best static design.
        designs: The others, by falling mean validation accuracy.
        diverged: Trainings that diverged; their networks are left out.
    """

    trained: Literal["alone", "jointly"]
    reference: RefinedDesign
    best_static: RefinedDesign
    designs: tuple[RefinedDesign, ...]
    diverged: tuple[str, ...] = ()

    @property
    def everything(self) -> tuple[RefinedDesign, ...]:
        """All rows of the result."""
        return self.reference, self.best_static, *self.designs

    def trainings(self) -> list[Training]:
        """Each training once whose network is measured."""
        return list(dict.fromkeys(t for design in self.everything for t in design.trainings))

    def summary(self, networks: RefinedNetworks) -> dict[str, Any]:
        """What makes this choice this choice, as plain JSON values."""
        return {
            "static_reference": self.trained,
            "diverged": list(self.diverged),
            "designs": [
                {
                    "design": design.identifier,
                    "role": design.role,
                    "headline": design.headline,
                    "networks": [networks.key(training)[:32] for training in design.trainings],
                    "thresholds": [
                        [t if math.isfinite(t) else None for t in record.thresholds]
                        for record in design.replicates
                    ],
                    "temperatures": [list(record.temperatures) for record in design.replicates],
                }
                for design in self.everything
            ],
        }

    def key(self, networks: RefinedNetworks) -> str:
        """SHA-256 (hex) of the summary."""
        return fingerprint(self.summary(networks))


def mean_record(records: Sequence[DesignRecord]) -> DesignRecord:
    """Mean over the seeds of one design."""
    first = records[0]
    violations = {name: mean(r.violations[name] for r in records) for name in first.violations}
    over_exits = zip(*(record.exit_ratios for record in records), strict=True)
    accuracies = zip(*(record.exit_accuracies for record in records), strict=True)
    return replace(
        first,
        accuracy=mean(r.accuracy for r in records),
        mean_latency_cycles=mean(r.mean_latency_cycles for r in records),
        mean_energy_pj=mean(r.mean_energy_pj for r in records),
        mean_edp_pj_cycles=mean(r.mean_edp_pj_cycles for r in records),
        feasible=all(excess <= 0 for excess in violations.values()),
        violations=violations,
        exit_ratios=tuple(map(mean, over_exits)),
        exit_accuracies=tuple(map(mean, accuracies)),
        thresholds=(),
        leaving_accuracies=(),
        temperatures=(),
        calibration_errors=(),
        raw_calibration_errors=(),
        training_samples=sum(r.training_samples for r in records),
        seconds=sum(r.seconds for r in records),
    )


def choose(networks: RefinedNetworks, members: Sequence[Design], seeds: int, derived: bool) -> Choice:
    """Evaluates the refined networks on validation and chooses.

    Args:
        networks: Everything is trained, or has diverged.
        members: Of the study's front.
        seeds: Trainings of every network.
        derived: Other designs of the refined networks may enter the headline front.

    Raises:
        OfframpError: A training of the static reference diverged, or no member is left.
    """
    trained, reference, best_static = _static_designs(networks, seeds)
    evaluator = networks.context.evaluator.relative_to(reference.mean)
    evaluator = evaluator.with_more_targets(networks.context.config.refine.policy_targets)
    architectures = {m.record.network.key(): m.record.network for m in members}
    diverged: list[str] = []
    candidates: list[RefinedDesign] = []
    for key, architecture in architectures.items():
        trainings = [Training(architecture, k) for k in range(seeds)]
        failed = [(t, networks.failure(t)) for t in trainings]
        if any(reason for _, reason in failed):
            diverged += [f"{training}: {reason}" for training, reason in failed if reason]
            continue
        own = [m for m in members if m.record.network.key() == key]
        candidates += _candidates(networks, evaluator, trainings, own, derived)
    if not candidates:
        raise OfframpError(
            f"expected members that can be trained, got none: {diverged[0]}; lower --set qat.learning_rate"
        )
    candidates = _once(candidates)
    headline = set(headline_front([design.mean for design in candidates]))
    kept = [
        replace(design, headline=i in headline)
        for i, design in enumerate(candidates)
        if i in headline or design.role == "member"
    ]
    kept.sort(key=lambda design: -design.mean.accuracy)
    return Choice(trained, reference, best_static, tuple(kept), tuple(diverged))


def _once(candidates: Sequence[RefinedDesign]) -> list[RefinedDesign]:
    """Each design with one network: that of a member of the front, then the one that makes it most accurate.

    Two networks that differ in exits which a design leaves out both have it, and its name and its files are one.
    """
    chosen: dict[str, RefinedDesign] = {}
    for design in sorted(candidates, key=lambda d: (d.role != "member", -d.mean.accuracy)):
        chosen.setdefault(design.genome.key(), design)
    return [design for design in candidates if chosen[design.genome.key()] is design]


def _candidates(
    networks: RefinedNetworks,
    evaluator: Evaluator,
    trainings: Sequence[Training],
    members: Sequence[Design],
    derived: bool,
) -> list[RefinedDesign]:
    """The members that use one architecture, and the other designs of its networks."""
    found = _found(networks, trainings)
    architecture = trainings[0].architecture
    designs = {}
    for member in members:
        of_design = [network_of(member.record, network) for network in found]
        records = [
            replace(evaluator.measured(member.record.genome, network), trained_as=member.record.trained_as)
            for network in of_design
        ]
        source = member.record.source
        designs[member.record.genome.key()] = RefinedDesign(
            "member", False, member.trial, tuple(trainings), _costed(records, found, source)
        )
    if derived:
        trial = members[0].trial
        for others in _by_design(evaluator, architecture, found):
            design = RefinedDesign(
                "derived", False, trial, tuple(trainings), _costed(others, found, "derived")
            )
            designs.setdefault(design.genome.key(), design)
    return list(designs.values())


def _by_design(
    evaluator: Evaluator, architecture: Architecture, found: Sequence[TrainedNetwork]
) -> list[tuple[DesignRecord, ...]]:
    """Results of every derived design, one a seed.

    Which placements and targets there are depends on hardware alone; exits are left out as any of the seeds would
    have it, and all seeds are evaluated without them.
    """
    sets = sets_to_derive(evaluator, architecture, found)
    derived = [derive_keeping(evaluator, architecture, network, sets) for network in found]
    return list(zip(*derived, strict=True))


def _costed(
    records: Sequence[DesignRecord], found: Sequence[TrainedNetwork], source: Any
) -> tuple[DesignRecord, ...]:
    """Records with what their trainings took."""
    return tuple(
        replace(record, source=source, training_samples=network.training_samples, seconds=network.seconds)
        for record, network in zip(records, found, strict=True)
    )


def _found(networks: RefinedNetworks, trainings: Sequence[Training]) -> list[TrainedNetwork]:
    found = []
    for training in trainings:
        network = networks.find(training)
        if network is None:
            reason = networks.failure(training) or "it is not there"
            raise OfframpError(
                f"expected the training of {training}, got: {reason}; run the same command again, or lower --set "
                "qat.learning_rate if it diverged"
            )
        found.append(network)
    return found


def _static_designs(
    networks: RefinedNetworks, seeds: int
) -> tuple[Literal["alone", "jointly"], RefinedDesign, RefinedDesign]:
    """The static reference, trained the better of two ways, and the best static design, as in `study.reference`."""
    context = networks.context
    parts = networks.joint_architectures()
    static = parts[REFERENCE_HEAD]
    trainings = {k: tuple(Training(a, i, jointly=True) for i in range(seeds)) for k, a in parts.items()}
    alone = networks.alone(seeds)
    found = {kind: _found(networks, own) for kind, own in trainings.items()}
    found_alone = _found(networks, alone)
    accuracies = [
        mean(float(n.validation.accuracies[-1]) for n in own) for own in (found_alone, found[REFERENCE_HEAD])
    ]
    trained: Literal["alone", "jointly"] = "alone" if accuracies[0] >= accuracies[1] else "jointly"
    if trained == "alone":
        trainings[REFERENCE_HEAD], found[REFERENCE_HEAD] = alone, found_alone
    default = tuple(context.hardware.accelerator.default_allocation)
    records = [context.evaluator.measure(static, network, default) for network in found[REFERENCE_HEAD]]
    reference = RefinedDesign(
        "static_reference", False, None, trainings[REFERENCE_HEAD],
        _costed(records, found[REFERENCE_HEAD], "proposed"),
    )  # fmt: skip
    evaluator = context.evaluator.relative_to(reference.mean)
    others = [
        RefinedDesign("best_static", False, None, trainings[kind], _costed(records, found[kind], "derived"))
        for kind, architecture in parts.items()
        for records in _by_design(evaluator, architecture, found[kind])
    ]
    floor = accuracy_floor(reference.mean.accuracy, NO_LOSS)
    equal = [design for design in others if design.mean.feasible and design.mean.accuracy >= floor]
    best = min(
        [replace(reference, role="best_static"), *equal],
        key=lambda design: design.mean.mean_edp_joule_seconds,
    )
    return trained, reference, best
