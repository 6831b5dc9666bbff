"""From a configuration to the parts of a study; the main process and every worker build them the same way.

Steps are ordered by price, so that bad input is refused before anything slow starts. Modules that import torch are
imported where they are used: `--help` and refusals must answer at once.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from hwcost.chip.accelerator import Accelerator
from hwcost.chip.accelerator_file import load_accelerator
from hwcost.errors import OfframpError
from hwcost.networks import BackboneSpec
from models.architecture import Architecture
from models.backbones.open import open_backbone
from models.backbones.staged import StagedBackbone
from models.recipe import QatRecipe
from models.seeds import derive_seed
from study.allocation import AllocationSpace
from study.bounds import Bounds
from study.config import StudyConfig
from study.evaluate import Evaluator
from study.genome import SearchSpace
from study.hardware import HardwareCosts
from study.levels import LevelSpace
from study.memo import ALONE, JOINTLY, PredictionMemo, TrainedNetwork
from study.memory import with_smaller_batches
from study.metrics import Objectives, metric_named
from study.sources import float_start
from study.trainings import make_rungs, rung_recipe
from study.units import parse_quantity

if TYPE_CHECKING:
    from models.training_data import TrainingData
    from models.warm_start import WarmStart
    from study.reference import StaticReference

Progress = Callable[[str, int, int, float], None]


@dataclass(frozen=True)
class Paths:
    """Folders of one study on this machine.

    Attributes:
        out: Results; the default storage too.
        cache: Decoded data and pre-trained networks, shared by studies.
    """

    out: Path
    cache: Path

    @classmethod
    def of(cls, config: StudyConfig, study_name: str) -> Paths:
        """The folders a configuration asks for, or the defaults."""
        out = Path(config.run.out) if config.run.out else Path("runs") / folder_name(study_name)
        if config.run.cache:
            return cls(out, Path(config.run.cache))
        base = os.environ.get("OFFRAMP_CACHE") or os.environ.get("XDG_CACHE_HOME")
        root = Path(base) if base else Path.home() / ".cache"
        return cls(out, root if os.environ.get("OFFRAMP_CACHE") else root / "offramp")

    @property
    def predictions(self) -> Path:
        """Predictions of trained networks."""
        return self.out / "predictions"

    @property
    def checkpoints(self) -> Path:
        """Weights of trained networks, one file a network."""
        return self.out / "checkpoints"

    @property
    def derived(self) -> Path:
        """Designs derived from trained networks, one file a network."""
        return self.out / "derived"


def folder_name(study_name: str) -> str:
    """A name for the study's folder: its own, or the allowed part of it and a checksum."""
    kept = "".join(c if c.isalnum() or c in "-_." else "_" for c in study_name).lstrip(".")
    kept = kept.encode()[:100].decode(errors="ignore") or "study"
    if kept == study_name:
        return kept
    return f"{kept}-{hashlib.sha256(study_name.encode(errors='surrogatepass')).hexdigest()[:8]}"


def build_accelerator(config: StudyConfig) -> Accelerator:
    """The accelerator by the name of a preset or from a user's file."""
    accelerator = load_accelerator(config.hardware.accelerator)
    asked = config.hardware.pe_budget
    # A budget above the chip's own makes it a larger chip; one below only leaves allocations out of the space.
    return accelerator if asked is None else replace(accelerator, pe_budget=max(asked, accelerator.pe_budget))


def build_space(
    config: StudyConfig, spec: BackboneSpec | StagedBackbone, accelerator: Accelerator
) -> SearchSpace:
    """The genes for one backbone on one accelerator."""
    allocations = AllocationSpace(
        n_pes=tuple(tuple(array.n_pes for array in catalogue) for catalogue in accelerator.catalogues),
        default=accelerator.default_allocation,
        groups=_cores_by_group(accelerator.core_groups),
        budget=config.hardware.pe_budget or accelerator.pe_budget,
        searched=config.space.allocation,
    )
    levels = LevelSpace.of(config.space.levels, accelerator)
    return SearchSpace(config.space, spec.mounting_points, spec.n_blocks, allocations, levels)


def build_objectives(config: StudyConfig, accelerator: Accelerator) -> Objectives:
    """What the study minimises: in cycles and picojoules at one clock, in seconds and joules where clocks differ.

    Raises:
        OfframpError: An objective or a bound is on an area that the accelerator does not state, or a bound is in
            cycles although clocks differ.
    """
    given = config.constraints.given()
    clocks_differ = LevelSpace.of(config.space.levels, accelerator).clocks_differ
    if "area" in (*config.search.objectives, *given) and accelerator.area_mm2(_default(accelerator)) is None:
        raise OfframpError(
            "expected an accelerator that states areas where area is an objective or has a bound, got "
            f"{accelerator.name}; add area_mm2 and area_mm2_per_pe to its file or leave area out"
        )
    for name, bound in given.items():
        dimension = metric_named(name).dimension
        if clocks_differ and isinstance(bound, str) and parse_quantity(bound, dimension).cycles:
            raise OfframpError(
                f"constraints.{name}: expected a bound in seconds where space.levels lets clocks differ, got "
                f"{bound!r}; cycles compare at one clock only"
            )
    return Objectives.named(config.search.objectives, clocks_differ)


def _default(accelerator: Accelerator) -> np.ndarray:
    return np.array([accelerator.default_allocation])


def _cores_by_group(group_of_core: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    numbers = sorted(set(group_of_core))
    return tuple(tuple(c for c, g in enumerate(group_of_core) if g == number) for number in numbers)


def build_backbone(config: StudyConfig, channels: int) -> BackboneSpec | StagedBackbone:
    """The backbone at the study's width for images of so many channels."""
    return open_backbone(config.backbone.name, config.backbone.width, channels, config.data.image_size)


def own_backbone_fingerprint(config: StudyConfig, channels: int) -> str:
    """SHA-256 (hex) over the code of a user's own backbone; empty for one that Offramp brings."""
    if ":" not in config.backbone.name:
        return ""
    spec = build_backbone(config, channels)
    assert isinstance(spec, StagedBackbone)
    return spec.fingerprint


def load_data(config: StudyConfig, cache: Path) -> TrainingData:
    """Images of the study, split; the test images are not among them."""
    from models.data import load_dataset
    from models.training_data import prepare

    images = load_dataset(config.data.source, config.data.image_size, cache)
    return prepare(images, config.splits, config.augment)


@dataclass(frozen=True)
class StudyContext:
    """Everything an evaluation needs, built once a process.

    Attributes:
        config: Of the study.
        paths: Of the study.
        device: `cpu` or `cuda`.
        data: The splits.
        spec: The backbone.
        space: The genes.
        hardware: The simulator.
        warm: The pre-trained network.
        evaluator: From a genome to its record.
    """

    config: StudyConfig
    paths: Paths
    device: str
    data: TrainingData
    spec: BackboneSpec | StagedBackbone
    space: SearchSpace
    hardware: HardwareCosts
    warm: WarmStart
    evaluator: Evaluator

    def relative_to(self, reference: StaticReference) -> StudyContext:
        """The same, once the static reference is trained: a bound on the error may be relative to its error."""
        return replace(self, evaluator=self.evaluator.relative_to(reference.record))

    def pretrained_alone(self, progress: Progress | None = None) -> WarmStart:
        """Where the static network that is trained without exits starts: a float network that never had any.

        Trained where it is not in the cache; the study's own where `search.pretrain_alone` is off.
        """
        if not self.config.search.pretrain_alone:
            return self.warm
        return pretrain_alone(self.config, self.paths, self.device, self.data, progress)

    def with_halved_batches(self, halvings: int) -> StudyContext:
        """The same with batches halved so often from the first try on, for a design that may have killed workers."""
        first, *longer = make_rungs(
            self.config, self.paths, self.device, self.data, self.spec, self.warm, halvings
        )
        evaluator = replace(self.evaluator, memo=first.memo, train=first.train, longer=tuple(longer))
        return replace(self, evaluator=evaluator)


def head_kinds(config: StudyConfig) -> tuple[str, ...]:
    """Head kinds of the space; `fc` always, as the static reference has it."""
    wanted = {"fc", *config.space.exit_heads, *config.space.final_heads}
    return tuple(sorted(wanted))


def pretrained_kinds(config: StudyConfig) -> tuple[str, ...]:
    """Head kinds that the float network has."""
    return tuple(sorted({*head_kinds(config), *config.search.pretrain_heads}))


def open_context(
    config: StudyConfig, paths: Paths, device: str, data: TrainingData, progress: Progress | None = None
) -> StudyContext:
    """Pre-trains (or loads) the float network and assembles the evaluation."""
    spec = build_backbone(config, data.channels)
    accelerator = build_accelerator(config)
    space = build_space(config, spec, accelerator)
    hardware = HardwareCosts.from_config(config, spec, data.classes, accelerator)
    warm = pretrain_all(config, spec, data, paths.cache, device, progress)

    first, *longer = make_rungs(config, paths, device, data, spec, warm)
    evaluator = Evaluator(
        space,
        hardware,
        build_objectives(config, accelerator),
        Bounds.of(config.constraints.given(), hardware.static),
        first.memo,
        first.train,
        data.classes,
        tuple(longer),
        hardware_first=config.search.hardware_first,
        memoized=config.search.memo,
        leave_out=config.search.leave_out,
    )
    return StudyContext(config, paths, device, data, spec, space, hardware, warm, evaluator)


def pretrain_all(
    config: StudyConfig,
    spec: BackboneSpec | StagedBackbone,
    data: TrainingData,
    cache: Path,
    device: str = "cpu",
    progress: Progress | None = None,
) -> WarmStart:
    """The float network with every exit and head kind, trained where it is not in the cache."""
    from models.warm_start import pretrain

    return pretrain(
        spec, pretrained_kinds(config), data, config.pretrain, cache, config.search.seed, device, progress,
        float_start(config, spec),
    )  # fmt: skip


def pretrain_alone(
    config: StudyConfig, paths: Paths, device: str, data: TrainingData, progress: Progress | None = None
) -> WarmStart:
    """The float network without early exits, trained where it is not in the cache."""
    from models.warm_start import pretrain

    spec = build_backbone(config, data.channels)
    kinds = Architecture.static(spec.n_blocks).heads[-1:]
    return pretrain(
        spec, kinds, data, config.pretrain, paths.cache, config.search.seed, device, progress,
        float_start(config, spec), early_exits=False,
    )  # fmt: skip


def alone_memo(context: StudyContext) -> PredictionMemo:
    """Where the static network is kept that was trained without exits."""
    memo = context.evaluator.rungs[-1].memo
    if not context.config.search.pretrain_alone:
        return memo  # it is a network as any other
    return PredictionMemo(memo.folder, {**memo.context, "training": ALONE})


def joint_memo(context: StudyContext) -> PredictionMemo:
    """Where the static networks are kept that were trained jointly with all exits."""
    memo = context.evaluator.rungs[-1].memo
    return PredictionMemo(memo.folder, {**memo.context, "training": JOINTLY})


def train_static(context: StudyContext, trained: Literal["alone", "jointly"]) -> dict[str, TrainedNetwork]:
    """The 8-bit static networks of one way of training, by kind of final head; trained where not known yet.

    They have the longest budget of the study, as every design has that enters the front.

    Alone there is one, with the reference's head, and its float network had no exits either where
    `search.pretrain_alone` is on. Jointly there is one for every kind of head the space offers,
    all from one training.
    """
    n_blocks = context.spec.n_blocks
    if trained == "alone":
        architecture = context.hardware.static_architecture

        def train() -> TrainedNetwork:
            if not context.config.search.pretrain_alone:
                return context.evaluator.rungs[-1].train(architecture)
            start = context.pretrained_alone()
            *_, longest = make_rungs(
                context.config, context.paths, context.device, context.data, context.spec, start,
                mark=f"-{ALONE}",
            )  # fmt: skip
            return longest.train(architecture)

        network, _ = alone_memo(context).get_or_train(architecture, train)
        return {architecture.heads[-1]: network}
    memo = joint_memo(context)
    kinds = head_kinds(context.config)
    known = {kind: memo.find(Architecture.static(n_blocks, kind)) for kind in kinds}
    if not all(known.values()):
        for kind, network in _train_jointly(context, kinds).items():
            memo.store(Architecture.static(n_blocks, kind), network)
        known = {kind: memo.find(Architecture.static(n_blocks, kind)) for kind in kinds}
    return {kind: network for kind, network in known.items() if network is not None}


def statics_missing(context: StudyContext) -> list[Literal["alone", "jointly"]]:
    """The ways of training the static reference that have not been done yet."""
    n_blocks = context.spec.n_blocks
    missing: list[Literal["alone", "jointly"]] = []
    if alone_memo(context).find(context.hardware.static_architecture) is None:
        missing.append("alone")
    memo = joint_memo(context)
    if any(memo.find(Architecture.static(n_blocks, kind)) is None for kind in head_kinds(context.config)):
        missing.append("jointly")
    return missing


def _train_jointly(context: StudyContext, kinds: tuple[str, ...]) -> dict[str, TrainedNetwork]:
    """One training with an exit behind every mounting point and every kind of final head."""
    from models.static_reference import train_jointly

    config = context.config
    rung = len(config.search.rungs) - 1
    seed = derive_seed("jointly", config.search.seed, rung)

    def once(recipe: QatRecipe) -> dict[str, TrainedNetwork]:
        trained = train_jointly(
            context.spec, kinds, context.data, context.warm, recipe, seed, context.device,
            temperature_scaling=config.space.temperature_scaling,
        )  # fmt: skip
        return {
            kind: TrainedNetwork(
                result.calibration,
                result.validation,
                result.training_samples,
                result.seconds,
                rung,
                recipe.batch_size,
            )
            for kind, result in trained.items()
        }

    return with_smaller_batches(once, rung_recipe(config, rung))
