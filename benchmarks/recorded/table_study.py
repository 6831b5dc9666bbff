"""A study whose networks come from a table: the real space, simulator, constraints and exit policy, no training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.recorded.space import RecordedSpace
from benchmarks.recorded.table_file import TableFile
from hwcost.errors import OfframpError
from models.architecture import Architecture
from study.bounds import Bounds
from study.compare_indicators import Scale, non_dominated
from study.config import StudyConfig
from study.config_io import read_toml, resolve
from study.evaluate import Evaluator
from study.genome import Genome
from study.hardware import HardwareCosts
from study.memo import TrainedNetwork
from study.record import DesignRecord
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


@dataclass(frozen=True)
class TableStudy:
    """Everything a search on recorded networks needs.

    Attributes:
        config: Of the recording.
        space: The genes.
        evaluator: From a design to its result.
        about: Of the table.
        architectures: Recorded networks.
    """

    config: StudyConfig
    space: RecordedSpace
    evaluator: Evaluator
    about: Mapping[str, Any]
    architectures: tuple[Architecture, ...]
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
        evaluator = evaluator.relative_to(max(references, key=lambda record: record.accuracy))
        space = RecordedSpace(whole)
        missing = {row.architecture.key() for row in candidates} - {a.key() for a in space.architectures()}
        if missing or not candidates:
            raise OfframpError(
                f"expected networks of this version's recorded space, got {len(missing)} others of "
                f"{len(candidates)}; record again"
            )
        return cls(config, space, evaluator, table.about, tuple(row.architecture for row in candidates))

    def recorded(self, genome: Genome) -> bool:
        """Whether the design's network is in the table."""
        return self.evaluator.memo.find(genome.architecture) is not None

    def feasible(self, genes: Mapping[str, int]) -> bool:
        """Whether a design may be proposed: recorded, and within the constraints that hardware decides."""
        genome = self.space.decode(genes)
        return self.recorded(genome) and self.evaluator.meets_constraints(genome)

    def evaluate(self, genome: Genome) -> DesignRecord:
        """The result of a design; searches share what was computed."""
        key = genome.key()
        if key not in self._known:
            self._known[key] = self.evaluator.evaluate(genome)
        return self._known[key]

    @cached_property
    def derived(self) -> dict[str, np.ndarray]:
        """Objectives of the best designs of each network over all allocations and targets, (n, n_objectives)."""
        found = {}
        for architecture in self.architectures:
            network = self.evaluator.memo.find(architecture)
            assert network is not None
            records = [r for r in self.evaluator.derive(architecture, network) if r.may_lead]
            values = np.array([self.evaluator.objectives.values(r) for r in records])
            found[architecture.key()] = non_dominated(
                values.reshape(-1, len(self.evaluator.objectives.columns))
            )
        return found

    @cached_property
    def scale(self) -> Scale:
        """What hypervolumes are measured with; the joint front is the best there is in the table."""
        return Scale.of(list(self.derived.values()))


def _not_recorded(architecture: Architecture) -> TrainedNetwork:
    raise RuntimeError(f"expected a recorded network, got {architecture}; searches must ask for it first")
