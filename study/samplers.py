"""Samplers by name, each built explicitly: Optuna stores none, and its default is not what a study was begun with.

All see the same genes as integer indices, all of which are suggested in every trial, and all read the same constraint
values from the storage (`Trial.set_constraint`): NSGA-II, NSGA-III and TPE rank a design that breaks a constraint
behind every one that does not, the Gaussian processes weigh a gain with the probability of meeting the constraints,
random search looks at nothing. What ours does beyond that (checking constraints before a proposal, drawing designs
again that were seen before, predicting) the others as shipped do not do.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import optuna
from optuna.samplers import (
    BaseSampler,
    GPSampler,
    NSGAIIISampler,
    NSGAIISampler,
    RandomSampler,
    TPESampler,
)
from optuna.trial import FrozenTrial

from study.config import SearchConfig
from study.costing import Costing
from study.examples import Derived
from study.genome import Genome, SearchSpace, start_designs
from study.predictor import PredictorSettings
from study.sampler import GeneSpace, GenomeNSGAIISampler
from study.skipping import SkipRule

_GENETIC = (GenomeNSGAIISampler, NSGAIISampler, NSGAIIISampler)


def make_sampler(
    config: SearchConfig,
    space: GeneSpace,
    population: int,
    seed: int,
    costing: Costing | None = None,
    derived: Derived | None = None,
) -> BaseSampler:
    """The sampler of a study in one process.

    Args:
        config: Names the sampler.
        space: The genes.
        population: Individuals a generation, of `nsga2` and `nsga3`. `nsga2-optuna` has Optuna's own default: it is
            the algorithm as shipped.
        seed: Of every proposal of this process. Two processes, and a process that goes on with a study, need
            different ones: with the same seed they would propose the same designs.
        costing: What is known of designs without a trial; used by `nsga2` alone, as is the next.
        derived: What was derived so far, see `GenomeNSGAIISampler`.
    """
    short = int(np.random.default_rng(seed).integers(2**31))  # Optuna takes no more than 32 bits
    if config.sampler == "nsga2":
        return GenomeNSGAIISampler(
            space,
            population,
            np.random.default_rng(seed),
            costing.meet if costing is not None and config.hardware_first else None,
            config.redraws,
            PredictorSettings() if config.predictor else None,
            SkipRule(config.skip_confidence, config.train_skipped) if config.skip else None,
            identify=_network_key if config.derive else None,
            costing=costing if config.exit_costs else None,
            derived=derived,
            founders=_founders(config, space),
        )
    shipped: dict[str, Callable[[], BaseSampler]] = {
        "nsga2-optuna": lambda: NSGAIISampler(seed=short),
        "nsga3": lambda: NSGAIIISampler(population_size=population, seed=short),
        "tpe": lambda: TPESampler(seed=short),
        "random": lambda: RandomSampler(seed=short),
        "gp": lambda: GPSampler(seed=short, warn_independent_sampling=False),
    }
    with warnings.catch_warnings():
        # Marked experimental for years; a user should not see a warning about a sampler that was asked for.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return shipped[config.sampler]()


def _founders(config: SearchConfig, space: GeneSpace) -> Iterable[Sequence[dict[str, int]]] | None:
    if not config.start_designs:
        return ()
    if not isinstance(space, SearchSpace):
        return None
    return start_designs(space, every_exit=config.derive and config.leave_out > 0)


def _network_key(design: Genome) -> str:
    return design.architecture.key()


def generation_of(trial: FrozenTrial) -> int | None:
    """Generation of a trial that a genetic sampler proposed; Optuna names the attribute after the class."""
    keys = (sampler._get_generation_key() for sampler in _GENETIC)
    return next((trial.system_attrs[key] for key in keys if key in trial.system_attrs), None)
