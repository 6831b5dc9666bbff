"""A study whose networks come from a table: the real space, simulator, constraints and exit policy, no training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.recorded.space import Part, RecordedSpace
from benchmarks.recorded.table_file import TableFile
from hwcost.errors import OfframpError
from models.architecture import Architecture
from study.bounds import Bounds
from study.compare_indicators import Scale, non_dominated
from study.config import StudyConfig
from study.config_io import read_toml, resolve
from study.costing import SimulatedCosting
from study.evaluate import Evaluator
from study.genome import Genome
from study.hardware import HardwareCosts
from study.hardware_check import HardwareCheck
from study.leaving_out import derive_keeping, sets_to_derive
from study.memo import TrainedNetwork
from study.metrics import HardwareView
from study.placements import Placements
from study.record import DesignRecord
from study.reference import accuracy_floor
from study.setup import build_accelerator, build_backbone, build_objectives, build_space


@dataclass(frozen=True)
class RecordedNetworks:
    """What a study's memo is, with everything in it from the start.

    Attributes:
        networks: By key of the architecture.
    """

    networks: Mapping[str, TrainedNetwork]

    def find(self, architecture: Architecture) -> TrainedNetwork | None:
        """The network; None where it was not recorded."""
        return self.networks.get(architecture.key())

    def get_or_train(
        self, architecture: Architecture, train: Callable[[], TrainedNetwork]
    ) -> tuple[TrainedNetwork, bool]:
        """The network; nothing is ever trained."""
        network = self.find(architecture)
        return (train() if network is None else network), False


@dataclass(frozen=True, eq=False)
class RecordedCheck(HardwareCheck):
    """The constraints of a study; a design whose network was not recorded meets none.

    Attributes:
        recorded: Whether a design's network was.
    """

    recorded: Callable[[Genome], bool] = field(kw_only=True)

    def many(self, genomes: Sequence[Genome]) -> list[bool]:
        """See `HardwareCheck`; nothing is simulated for what was not recorded."""
        recorded = [self.recorded(genome) for genome in genomes]
        asked = [genome for genome, known in zip(genomes, recorded, strict=True) if known]
        met = iter(super().many(asked) if asked else [])
        return [known and next(met) for known in recorded]

    def look_at(self, genomes: Sequence[Genome]) -> tuple[HardwareView, list[bool]]:
        """See `HardwareCheck`."""
        view, met = super().look_at(genomes)
        return view, [fine and self.recorded(genome) for fine, genome in zip(met, genomes, strict=True)]


@dataclass(frozen=True)
class TableStudy:
    """Everything a search on recorded networks needs.

    Attributes:
        config: Of the recording.
        space: The genes.
        evaluator: From a design to its result.
        about: Of the table.
        architectures: Recorded networks.
        reference: The static reference.
        whole: The study that this one searches a part of; None: it is whole.
    """

    config: StudyConfig
    space: RecordedSpace
    evaluator: Evaluator
    about: Mapping[str, Any]
    architectures: tuple[Architecture, ...]
    reference: DesignRecord
    whole: TableStudy | None = None
    _known: dict[str, DesignRecord] = field(default_factory=dict, repr=False)

    @classmethod
    def load(cls, path: Path) -> TableStudy:
        """Opens a table.

        Raises:
            OfframpError: It is missing, damaged, or of another version of the space.
        """
        return cls.of(TableFile.load(path))

    @classmethod
    def of(cls, table: TableFile) -> TableStudy:
        """The study of a table's rows."""
        config = resolve([read_toml(table.about["config"], "the table")], "the table")
        data = table.about["data"]
        spec, accelerator = build_backbone(config, data["channels"]), build_accelerator(config)
        whole = build_space(config, spec, accelerator)
        hardware = HardwareCosts.from_config(config, spec, data["classes"], accelerator)
        candidates = [row for row in table.rows if row.role == "candidate"]
        evaluator = Evaluator(
            space=whole,
            hardware=hardware,
            objectives=build_objectives(config, accelerator),
            bounds=Bounds.of(config.constraints.given(), hardware.static),
            memo=RecordedNetworks({row.architecture.key(): row.network for row in candidates}),  # type: ignore[arg-type]
            train=_not_recorded,
            classes=data["classes"],
            leave_out=config.search.leave_out,
        )
        static = hardware.static_architecture
        default = tuple(accelerator.default_allocation)
        references = [
            evaluator.measure(static, row.network, default)
            for row in table.rows
            if row.role != "candidate" and row.architecture.key() == static.key()
        ]
        if not references:
            raise OfframpError("expected a table with its static reference, got none; finish the recording")
        reference = max(references, key=lambda record: record.accuracy)
        evaluator = evaluator.relative_to(reference)
        space = RecordedSpace(whole)
        missing = {row.architecture.key() for row in candidates} - {a.key() for a in space.architectures()}
        if missing or not candidates:
            raise OfframpError(
                f"expected networks of this version's recorded space, got {len(missing)} others of "
                f"{len(candidates)}; record again"
            )
        architectures = tuple(row.architecture for row in candidates)
        return cls(config, space, evaluator, table.about, architectures, reference)

    def only(self, searched: tuple[Part, ...]) -> TableStudy:
        """The study in which nothing else is searched; volumes stay those of the whole one."""
        space = RecordedSpace(self.space.whole, searched)
        inside = {a.key() for a in space.architectures()}
        architectures = tuple(a for a in self.architectures if a.key() in inside)
        return replace(self, space=space, architectures=architectures, whole=self)

    def recorded(self, genome: Genome) -> bool:
        """Whether the design's network is in the table."""
        return self.evaluator.memo.find(genome.architecture) is not None

    def costing(self, hardware_first: bool = True) -> SimulatedCosting:
        """What is known of designs before they are looked up.

        Args:
            hardware_first: They must meet the constraints that hardware decides, and not only be recorded.
        """
        evaluator = self.evaluator
        bounds = evaluator.bounds if hardware_first else Bounds(())
        return SimulatedCosting(
            list(self.space.genes()),
            self.space.decode,
            self.space.whole.mounting_points,
            RecordedCheck(evaluator.hardware, bounds, recorded=self.recorded),
            evaluator.objectives,
        )

    def evaluate(self, genome: Genome) -> DesignRecord:
        """The result of a design; searches share what was computed."""
        key = genome.key()
        if key not in self._known:
            self._known[key] = self.evaluator.evaluate(genome)
        return self._known[key]

    @cached_property
    def _records(self) -> dict[str, list[DesignRecord]]:
        """All allocations, targets and sets of exits that follow from a network, by network; of feasible designs."""
        placements = None
        if "arrays" not in self.space.searched:
            allocations = self.space.whole.allocations
            placements = Placements(
                np.array([allocations.default]), np.array([self.space.whole.levels.nominal])
            )
        found = {}
        for architecture in self.architectures:
            network = self.evaluator.memo.find(architecture)
            assert network is not None
            sets = sets_to_derive(self.evaluator, architecture, [network])
            records = derive_keeping(self.evaluator, architecture, network, sets, placements)
            found[architecture.key()] = [record for record in records if record.may_lead]
        return found

    def following(self, network: str, all_exits: bool = False) -> list[DesignRecord]:
        """Feasible designs that follow from a network.

        Args:
            network: Its key.
            all_exits: Those that have every exit of the network.
        """
        records = self._records[network]
        return [r for r in records if r.trained_as is None] if all_exits else records

    @cached_property
    def derived(self) -> dict[str, np.ndarray]:
        """Objectives of the best designs that follow from each network, (n, n_objectives)."""
        return {key: self._best(self.following(key)) for key in self._records}

    @cached_property
    def derived_with_all_exits(self) -> dict[str, np.ndarray]:
        """The same where no exit of a network is left out."""
        return {key: self._best(self.following(key, all_exits=True)) for key in self._records}

    def _best(self, records: Sequence[DesignRecord]) -> np.ndarray:
        objectives = self.evaluator.objectives
        values = np.array([objectives.values(record) for record in records])
        return non_dominated(values.reshape(-1, len(objectives.columns)))

    def least_product(self, networks: set[str], loss: float, all_exits: bool = False) -> float:
        """Least mean energy-latency product of any design of some networks, over that of the static reference.

        Args:
            networks: Their keys.
            loss: Accuracy that may be lost against the static reference, as a fraction of 1.
            all_exits: Of designs that have every exit of their network.

        Returns:
            1 where no design is better.
        """
        floor = accuracy_floor(self.reference.accuracy, loss)
        products = [
            record.mean_edp_pj_cycles / self.reference.mean_edp_pj_cycles
            for key in networks
            for record in self.following(key, all_exits)
            if record.accuracy >= floor
        ]
        return min([1.0, *products])

    @cached_property
    def scale(self) -> Scale:
        """What hypervolumes are measured with; the joint front is the best there is in the table."""
        return Scale.of(list(self.derived.values())) if self.whole is None else self.whole.scale


def _not_recorded(architecture: Architecture) -> TrainedNetwork:
    raise RuntimeError(f"expected a recorded network, got {architecture}; searches must ask for it first")
