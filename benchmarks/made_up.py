"""A study with the real space, simulator and storage, and results that cost nothing: what is left is overhead."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from study.bounds import Bounds
from study.claims import Claims
from study.config import StudyConfig
from study.config_io import identity, load_preset, resolve
from study.costing import Costed, SimulatedCosting
from study.genome import Genome, SearchSpace
from study.hardware import HardwareCosts
from study.hardware_check import HardwareCheck
from study.leases import Owner, new_run
from study.metrics import Objectives
from study.predictor import PredictorSettings
from study.record import DesignRecord
from study.sampler import GenomeNSGAIISampler
from study.setup import build_accelerator, build_backbone, build_space
from study.storage import StudyIdentity, open_storage, open_study, population_of, register_run, study_lock
from study.storage.studies import RESULT_KEY
from study.turns import Turns

CLASSES = 10
VIOLATIONS = {"worst_latency": -0.1, "weight_memory": -0.1}


def preset_space(preset: str, trials: int) -> tuple[StudyConfig, SearchSpace, HardwareCosts]:
    """Configuration, genes and simulator of a preset with so many trials."""
    config = resolve([load_preset(preset), {"search": {"trials": trials}}])
    spec = build_backbone(config, channels=3)
    accelerator = build_accelerator(config)
    space = build_space(config, spec, accelerator)
    return config, space, HardwareCosts.from_config(config, spec, CLASSES, accelerator)


def made_up(genome: Genome) -> DesignRecord:
    """More bits: less error, more cost; every exit saves latency and costs some accuracy."""
    architecture = genome.architecture
    bits = sum(architecture.weight_bits) + sum(architecture.activation_bits)
    exits = len(architecture.exits)
    spread = int(genome.key()[:6], 16) / 0xFFFFFF  # every design a little different
    latency = bits - 4.0 * exits + 0.1 * sum(genome.allocation) + spread
    error = 0.9 / (1.0 + 0.05 * bits) + 0.01 * exits + 0.1 * genome.policy_target
    n_exits = architecture.n_exits
    return DesignRecord(
        genome=genome,
        source="proposed",
        feasible=True,
        violations=dict(VIOLATIONS),
        accuracy=1.0 - error,
        mean_latency_cycles=latency * 1000,
        mean_energy_pj=(bits + 3.0 * exits + spread) * 1e6,
        mean_edp_pj_cycles=latency * bits * 1e9,
        worst_latency_cycles=latency * 1000,
        weight_memory_bits=bits * 10_000,
        clock_hz=1e9,
        thresholds=(0.5,) * (n_exits - 1),
        exit_ratios=(1.0 / n_exits,) * n_exits,
        leaving_accuracies=(1.0 - error,) * n_exits,
        exit_accuracies=(1.0 - error,) * n_exits,
        temperatures=(1.0,) * n_exits,
        calibration_errors=(0.01,) * n_exits,
        raw_calibration_errors=(0.02,) * n_exits,
        training_samples=1000,
    )


OBJECTIVES = Objectives.named(("error", "mean_latency", "mean_energy"), False)


def create(url: str, name: str, config: StudyConfig) -> optuna.Study:
    """Makes or joins a study."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with study_lock(url, name)():
        study = open_study(
            open_storage(url), StudyIdentity(name, identity(config), "made up", config.population())
        )
        register_run(study, new_run())
    return study


def fill(study: optuna.Study, space: SearchSpace, count: int, population: int) -> None:
    """Puts finished trials of random designs into a study, each in one write."""
    rng = np.random.default_rng(0)
    distributions = space.distributions()
    for number in range(count):
        genes = space.random(rng)
        record = made_up(space.decode(genes))
        now = datetime.now()
        study._storage.create_new_trial(
            study._study_id,
            FrozenTrial(
                number=-1, trial_id=-1, state=TrialState.COMPLETE, value=None, values=list(OBJECTIVES.values(record)),
                datetime_start=now, datetime_complete=now, params=genes, distributions=distributions,
                user_attrs={"feasible": True, RESULT_KEY: record.to_json()},
                system_attrs={
                    GenomeNSGAIISampler.generation_key(): number // population,
                    **{f"constraints:{name}": value for name, value in VIOLATIONS.items()},
                    "offramp:owner": Owner.this_process("filled", 0).attribute(),
                },
                intermediate_values={},
            ),
        )  # fmt: skip


class Simulation:
    """The check of proposals' worst cases and what their exits cost, with the time both take."""

    def __init__(self, config: StudyConfig, space: SearchSpace, hardware: HardwareCosts) -> None:
        check = HardwareCheck(hardware, Bounds.of(config.constraints.given(), hardware.static))
        check.foresee(space, np.random.default_rng(0))
        names, points = list(space.genes()), space.mounting_points
        self._costing = SimulatedCosting(names, space.decode, points, check, OBJECTIVES)
        self.n_slots, self.slots = self._costing.n_slots, self._costing.slots
        self.seconds = 0.0

    def meet(self, designs: Sequence[Mapping[str, int]]) -> list[bool]:
        """See `study.costing.Costing`."""
        start = time.perf_counter()
        met = self._costing.meet(designs)
        self.seconds += time.perf_counter() - start
        return met

    def cost(self, designs: np.ndarray) -> Costed:
        """See `study.costing.Costing`."""
        start = time.perf_counter()
        costed = self._costing.cost(designs)
        self.seconds += time.perf_counter() - start
        return costed


def claims_of(
    study: optuna.Study,
    url: str,
    space: SearchSpace,
    wanted: int,
    worker: int,
    simulation: Simulation,
    predictor: bool,
    turns: Turns | None = None,
) -> Claims:
    """What a worker of `study.run` proposes with."""
    study.sampler = GenomeNSGAIISampler(
        space,
        population_of(study),
        np.random.default_rng(worker),
        simulation.meet,
        predictor=PredictorSettings() if predictor else None,
        costing=simulation,
    )
    return Claims(
        study,
        space.distributions(),
        lambda genes: space.decode(genes).key(),
        wanted,
        Owner.this_process("bench", worker),
        study_lock(url, study.study_name),
        turns=turns,
    )
