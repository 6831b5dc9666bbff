"""The tables of a study that is still running, out of its storage: nothing is trained, nothing is written.

What is derived from trained networks (other allocations and policy targets) is not in the storage: it is read from
the folder of the run where that is known, as far as it may be on the front.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import moocore
import numpy as np
import optuna
import pandas as pd
from optuna.trial import FrozenTrial

from hwcost.errors import OfframpError
from study.config import StudyConfig
from study.config_io import resolve
from study.derived import DerivedFiles
from study.environment import with_earlier
from study.hardware import HardwareCosts
from study.metrics import Objectives
from study.record import DesignRecord
from study.reference import StaticReference
from study.results import RunResults, as_read
from study.samplers import generation_of
from study.setup import Paths, build_accelerator, build_backbone, build_objectives
from study.storage import (
    StorageAddress,
    kept_reference,
    open_storage,
    record_of,
    storage_failures,
    without_password,
)
from study.tables import Design, TableMaker, unique

ENVIRONMENT_KEY = "environment"
IDENTITY_KEY = "identity"


def keep_environment(study: optuna.Study, environment: Mapping[str, Any]) -> dict[str, Any]:
    """Keeps beside the study what it runs on and with, so that others can look at it while it runs.

    Returns:
        The same with what earlier runs ran on.
    """
    before = study.user_attrs.get(ENVIRONMENT_KEY, {})
    kept: dict[str, Any] = json.loads(json.dumps(with_earlier(environment, before)))
    if before != kept:
        study.set_user_attr(ENVIRONMENT_KEY, kept)
    return kept


def find_study(url: str, name: str | None) -> optuna.Study:
    """A study of `study.run` in a storage; nothing is created.

    Args:
        url: Of the storage.
        name: Of the study; None where the storage holds one only.

    Raises:
        OfframpError: There is no such storage or study, or it is another tool's.
    """
    file = StorageAddress.parse(url).file
    if file is not None and not file.is_file():
        raise OfframpError(
            f"expected the file of a study's storage, got {file}, which is not there; run study.run first"
        )
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = open_storage(url)
    names = sorted(optuna.get_all_study_names(storage))
    wanted = names[0] if name is None and len(names) == 1 else name
    if wanted not in names:
        raise OfframpError(
            f"expected --study-name out of {', '.join(map(repr, names)) or 'none'} in {without_password(url)}, "
            f"got {name!r}"
        )
    study = optuna.load_study(
        storage=storage, study_name=wanted, sampler=optuna.samplers.RandomSampler(seed=0)
    )
    if IDENTITY_KEY not in study.user_attrs:
        raise OfframpError(
            f"expected a study made by study.run, got {wanted!r} of another maker; name another one"
        )
    return study


@dataclass(frozen=True)
class _KeptRows(TableMaker):
    """Remembers the columns of each record: several tables have them, and again at each update.

    Attributes:
        known: Identity of a record -> the record, which keeps the identity its own, and its columns.
    """

    known: dict[int, tuple[DesignRecord, dict[str, Any]]] = field(default_factory=dict)

    def columns(self, record: DesignRecord) -> dict[str, Any]:
        """The columns that every table of designs shares."""
        if id(record) not in self.known:
            self.known[id(record)] = record, super().columns(record)
        return self.known[id(record)][1]


@dataclass
class LiveStudy:
    """A study and what has been computed of it; each call reads what has been finished since.

    Attributes:
        study: In its storage.
        accelerator: The chip's file where the study used one of its own; presets are known by name.
        derived: Designs derived from the trained networks; None where the run's folder is not known.
        most_detailed: Members of the front whose exits and layers are listed.
        pending: Whether the last tables lack something for want of time.
    """

    study: optuna.Study
    accelerator: Path | None = None
    derived: DerivedFiles | None = None
    most_detailed: int = 40
    pending: bool = False
    _maker: TableMaker | None = None
    _details: dict[tuple[str, int, int], tuple[pd.DataFrame, pd.DataFrame]] = field(default_factory=dict)
    _designs: dict[int, Design] = field(default_factory=dict)
    _leading: list[DesignRecord] = field(default_factory=list)

    def results(self, seconds: float = math.inf) -> RunResults | None:
        """The tables as they are now; None as long as the static reference is being trained.

        Args:
            seconds: After so many no more derived designs are read and no more members are costed layer by layer;
                the next call goes on there. Each call gets some of both done.

        Raises:
            OfframpError: The study is of an earlier version, or its chip or backbone is not known here.
        """
        reference = kept_reference(self.study)
        if reference is None:
            return None
        start = time.monotonic()
        maker = self._tables(reference)
        trials = self.study.get_trials(deepcopy=False)
        finished = [(trial, design) for trial in trials if (design := self.design(trial)) is not None]
        proposed = [design for _, design in finished]
        # Half of the time for each: what is derived may lead, and what leads has to be costed.
        designs = unique([*proposed, *self._derived(maker.objectives, proposed, start + seconds / 2)])
        table = maker.designs(designs)
        pareto, members = maker.pareto(designs, table)
        exits, layers = self._detailed(maker, members, pareto["headline"].tolist(), start + seconds)
        generations = [generation_of(trial) for trial in trials]
        return RunResults(
            name=self.study.study_name,
            trials=as_read(maker.trials(trials, generations, {t.number: d.record for t, d in finished})),
            pareto=as_read(pareto),
            designs=as_read(table),
            exits=as_read(exits),
            layers=layers,
            static_reference=maker.static_reference(),
            environment=dict(self.study.user_attrs.get(ENVIRONMENT_KEY, {})),
            config=self._config_values(),
        )

    def design(self, trial: FrozenTrial) -> Design | None:
        """What is known of a finished trial's design."""
        if trial.number not in self._designs:
            record = record_of(trial) if trial.state.is_finished() else None
            if record is None:
                return None
            self._designs[trial.number] = Design(record, trial.number)
        return self._designs[trial.number]

    def _derived(
        self, objectives: Objectives, proposed: list[Design], until: float = math.inf
    ) -> list[Design]:
        """Derived designs that no other derived one beats in every objective, accuracy and mean product."""
        fresh = [record for record in self.derived.new(until) if record.may_lead] if self.derived else []
        if fresh:
            pool = [*self._leading, *fresh]
            values = [(*objectives.values(r), -r.accuracy, r.mean_edp_joule_seconds) for r in pool]
            best = moocore.is_nondominated(np.array(values))
            self._leading = [record for record, leads in zip(pool, best, strict=True) if leads]
        trained_by = {_network(d.record): d.trial for d in reversed(proposed) if d.record.trained}
        known = [record for record in self._leading if _network(record) in trained_by]
        return [Design(record, trained_by[_network(record)]) for record in known]

    def details(self, design: Design) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
        """Its row of `designs.csv`, and its rows of `exits.csv` and `layers.csv`.

        Raises:
            OfframpError: The static reference is still being trained.
        """
        reference = kept_reference(self.study)
        if reference is None:
            raise OfframpError(
                "expected a study with a static reference, got one that is still training it; wait"
            )
        maker = self._tables(reference)
        return as_read(maker.designs([design])), as_read(maker.exits([design])), maker.layers([design])

    def _detailed(
        self, maker: TableMaker, members: list[Design], headline: list[bool], until: float
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Exits and layers of the headline members, then of those of least product; what is known is kept."""
        order = sorted(
            zip(members, headline, strict=True),
            key=lambda pair: (not pair[1], pair[0].record.mean_edp_pj_cycles),
        )
        shown = [design for design, _ in order[: self.most_detailed]]
        for design in shown:
            if _version(design) in self._details:
                continue
            network = design.record.genome.architecture
            # Those of one network are costed in one call, which remembers them.
            maker.hardware.costs_of([g for d in shown if (g := d.record.genome).architecture == network])
            self._details[_version(design)] = maker.exits([design]), maker.layers([design])
            if time.monotonic() > until:
                break
        known = [self._details[_version(design)] for design in shown if _version(design) in self._details]
        self.pending = len(known) < len(shown) or (self.derived is not None and self.derived.pending)
        if not known:
            return maker.exits([]), pd.DataFrame()
        exits, layers = (pd.concat(frames, ignore_index=True) for frames in zip(*known, strict=True))
        return exits, layers

    def _tables(self, reference: StaticReference) -> TableMaker:
        if self._maker is None:
            config = self._config()
            data = self.study.user_attrs.get(ENVIRONMENT_KEY, {}).get("data", {})
            if "channels" not in data or "classes" not in data:
                raise OfframpError(
                    "expected a study that says what its images are like, got one of an earlier version; run its "
                    "command once more with this version"
                )
            spec = build_backbone(config, int(data["channels"]))
            accelerator = build_accelerator(config)
            hardware = HardwareCosts.from_config(config, spec, len(data["classes"]), accelerator)
            self._maker = _KeptRows(hardware, reference, build_objectives(config, accelerator))
        return self._maker

    def _config(self) -> StudyConfig:
        values = self._config_values()
        values["backbone"].pop("weights", None)  # a name and a checksum here, and of no use without training
        chip = str(values["hardware"]["accelerator"])
        if self.accelerator is not None:
            values["hardware"]["accelerator"] = str(self.accelerator)
        elif chip.endswith(")"):
            raise OfframpError(
                f"expected --accelerator with the chip's file, as this study used {chip}; name the same file"
            )
        return resolve([values])

    def _config_values(self) -> dict[str, Any]:
        values: dict[str, Any] = json.loads(self.study.user_attrs[IDENTITY_KEY])
        return values


def _version(design: Design) -> tuple[str, int, int]:
    """What tells a design's rows from those of the same design at another rung or by another trial."""
    return design.identifier, design.trial, design.record.rung


def _network(record: DesignRecord) -> tuple[str, int]:
    return record.network.key(), record.rung


def live_study(
    url: str, name: str | None, accelerator: Path | None = None, run: Path | None = None
) -> LiveStudy:
    """Opens a study for looking at it.

    Args:
        url: Of the storage.
        name: Of the study; None where the storage holds one only.
        accelerator: The chip's file where the study used one of its own.
        run: Folder of the run, for the designs that were derived there.

    Raises:
        OfframpError: See `find_study`.
    """
    with storage_failures(url):
        study = find_study(url, name)
        values = json.loads(study.user_attrs[IDENTITY_KEY])
    derived = None if run is None else DerivedFiles(Paths(run, run).derived, values)
    return LiveStudy(study, accelerator, derived)
