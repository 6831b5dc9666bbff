"""A run small enough to be made, refined and refined again in a test: real images, real trainings, three stages."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from rich.console import Console

from study.config import StudyConfig
from study.config_io import identity, load_preset, resolve
from study.environment import describe
from study.export.run_tables import export
from study.reference import choose_reference
from study.refine.__main__ import build_parser, request_of
from study.refine.members import front_members
from study.refine.networks import RefinedNetworks
from study.refine.opening import open_existing, storage_url
from study.refine.refine import Refined, refine
from study.sampler import GenomeNSGAIISampler
from study.setup import Paths, load_data, open_context, own_backbone_fingerprint, train_static
from study.storage import StudyIdentity, default_url, keep_reference, open_storage, open_study, store_result

OPTIONS = ("--seeds", "2", "--epochs", "1", "--members", "2")


def configuration(cache: Path, **changes: dict[str, Any]) -> StudyConfig:
    """Three stages of eight to sixteen channels, half a pass over the digits a trial."""
    small = {
        "backbone": {"name": "tests.study.refine.tiny_backbone:tiny", "width": 1.0},
        "pretrain": {"epochs": 3, "threads": 1},
        "qat": {"epochs": 0.5, "norm_batches": 2},
        "space": {"exit_heads": ["fc"], "final_heads": ["fc", "gap"], "policy_targets": [0.0, 0.02]},
        "run": {"name": "tiny", "device": "cpu", "cache": str(cache)},
    }
    return resolve([load_preset("quickstart"), small, changes])


def make_run(folder: Path, config: StudyConfig, trials: int = 4) -> None:
    """What `study.run` leaves behind, in this process."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    paths = Paths(folder, Path(str(config.run.cache)))
    folder.mkdir(parents=True)
    data = load_data(config, paths.cache)
    context = open_context(config, paths, "cpu", data)
    objectives = context.evaluator.objectives.columns
    backbone = own_backbone_fingerprint(config, data.channels)
    who = StudyIdentity("tiny", identity(config), data.fingerprint, config.population(), objectives, backbone)
    study = open_study(open_storage(default_url(folder)), who)
    alone, jointly = train_static(context, "alone"), train_static(context, "jointly")
    reference = choose_reference(alone["fc"], jointly, context.evaluator)
    keep_reference(study, reference)
    context = context.relative_to(reference)
    study.sampler = GenomeNSGAIISampler(
        context.space,
        4,
        np.random.default_rng(0),
        lambda designs: context.evaluator.check.many([context.space.decode(d) for d in designs]),
    )
    for _ in range(trials):
        trial = study.ask(context.space.distributions())
        record = context.evaluator.evaluate(context.space.decode(trial.params))
        store_result(trial, record)
        study.tell(trial, list(context.evaluator.objectives.values(record)))
    environment = describe(config, data, "cpu", "a test")
    environment["pretraining"] = {"warm_start": context.warm.checksum}
    export(study, context, reference, environment)


def networks_of(folder: Path, cache: Path, *options: str) -> tuple[RefinedNetworks, list[Any], int]:
    """Where the refined networks of a run are, what is trained, and with how many seeds."""
    arguments = [str(folder), *OPTIONS, "--set", f"run.cache={cache}", *options]
    request = request_of(build_parser().parse_args(arguments))
    paths = Paths.of(request.config, "tiny")
    data = load_data(request.config, paths.cache)
    study = open_existing(request.config, storage_url(request.config, paths), data)
    context = open_context(request.config, paths, "cpu", data)
    networks = RefinedNetworks(context, request.recipe)
    members = front_members(study, context, request)
    architectures = list({m.record.network.key(): m.record.network for m in members}.values())
    return networks, networks.trainings(architectures, request.seeds), request.seeds


def train_here(folder: Path, cache: Path, *options: str) -> RefinedNetworks:
    """Does the trainings of a refinement in this process."""
    networks, trainings, _ = networks_of(folder, cache, *options)
    for training in trainings:
        if not networks.done(training):
            networks.train(training)
    return networks


def refine_here(folder: Path, cache: Path, *options: str) -> tuple[Refined, str]:
    """A refinement in this process, and what it said."""
    arguments = [str(folder), *OPTIONS, "--set", f"run.cache={cache}", *options]
    request = request_of(build_parser().parse_args(arguments))
    paths = Paths.of(request.config, "tiny")
    said = io.StringIO()
    url = storage_url(request.config, paths)
    return refine(request, paths, url, "cpu", Console(file=said, width=200), "a test"), said.getvalue()


__all__ = ["configuration", "make_run", "networks_of", "refine_here", "train_here"]
