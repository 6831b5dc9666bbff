"""Further networks beside those of a refined run, trained just as they were: float network, recipe, images, seeds."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from hwcost.errors import OfframpError
from models.architecture import Architecture
from models.device import resolve_device
from models.predictions import ExitPredictions
from models.training_data import TestSplit
from models.unseen import unseen_predictions
from study.bounds import Bounds
from study.evaluate import Evaluator
from study.memo import TrainedNetwork, stored_networks
from study.progress import StageProgress
from study.refine.networks import FOLDER, RefinedNetworks, Training
from study.refine.opening import read_config, storage_url
from study.refine.worker import train_all
from study.setup import Paths, StudyContext, load_data, open_context
from study.worker import WorkerTask

TABLE = "refined_validation.csv"


def run_options(program: str, about: str | None) -> argparse.ArgumentParser:
    """A command line with a refined run, its images, processes and a file for the figures."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {program}", description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("--data", metavar="digits|cifar10|PATH", help="the run's images on this machine")
    parser.add_argument(
        "--weights", metavar="FILE.safetensors", help="the run's float weights on this machine"
    )
    parser.add_argument("--workers", type=int, metavar="W", help="processes that train (default: the run's)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser


@dataclass(frozen=True)
class RefinedRun:
    """A run after `study.refine`.

    Attributes:
        networks: Finds and trains.
        seeds: Trainings of every network.
        task: What processes that train are started with.
        table: Its designs on the validation split.
    """

    networks: RefinedNetworks
    seeds: int
    task: WorkerTask
    table: pd.DataFrame

    @classmethod
    def open(
        cls, run: Path, data: str | None = None, workers: int | None = None, weights: str | None = None
    ) -> RefinedRun:
        """The one in a folder.

        Args:
            run: Its folder.
            data: The run's images on this machine; None: where its configuration says.
            workers: Processes that train; None: as many as the run had.
            weights: The float weights its pre-training started from, on this machine; None: as for the images.

        Raises:
            OfframpError: It was not refined, or with a recipe that its configuration does not have, or from a float
                network, on a device or by code that are not those of here.
        """
        record = run / FOLDER / "environment.json"
        if not record.is_file() or not (run / TABLE).is_file():
            raise OfframpError(f"expected a run that was refined, got {run}; call study.refine first")
        how: dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))["refine"]
        options: dict[str, dict[str, Any]] = {
            "data": {"source": data}, "search": {"workers": workers}, "refine": {"epochs": how["epochs"]},
            "backbone": {"weights": weights},
        }  # fmt: skip
        config, recipe = read_config(run, options, [])
        if recipe.key() != how["recipe"]:
            raise OfframpError(
                f"expected the recipe of the refinement, {how['recipe'][:12]}, got {recipe.key()[:12]}; it was "
                "refined with --set qat, which is not known here"
            )
        paths = Paths.of(config, str(config.run.name))
        device = resolve_device(config.run.device)
        context = open_context(config, paths, device, load_data(config, paths.cache))
        task = WorkerTask(config, paths, storage_url(config, paths), str(config.run.name), device, 0)
        table = pd.read_csv(run / TABLE, dtype={"design": str, "architecture": str, "network": str})
        opened = cls(RefinedNetworks(context, recipe), int(how["seeds"]), task, table)
        opened.static_networks()  # refuses where what is trained here would not be comparable
        return opened

    @property
    def context(self) -> StudyContext:
        """Of the study."""
        return self.networks.context

    @property
    def reference(self) -> dict[str, Any]:
        """Row of the static reference."""
        row = self.table[self.table["role"] == "static_reference"].iloc[0].to_dict()
        return {str(name): value for name, value in row.items()}

    @property
    def evaluator(self) -> Evaluator:
        """Of the study, without its bounds on weight memory and error.

        8-bit networks with early exits have more weights than the static one, which is the default bound; a part of
        the space that has no fewer bits would be empty.
        """
        given = self.context.config.constraints.given()
        kept = {name: bound for name, bound in given.items() if name not in ("weight_memory", "error")}
        return replace(self.context.evaluator, bounds=Bounds.of(kept, self.context.hardware.static))

    def static_networks(self) -> list[TrainedNetwork]:
        """Those of the static reference, trained the better of two ways, an entry a seed.

        Raises:
            OfframpError: One is not found, so other networks could not be trained as these were either.
        """
        choice = json.loads((self.networks.folder / "choice.json").read_text(encoding="utf-8"))
        static = self.context.hardware.static_architecture
        alone = self.networks.alone(self.seeds)
        jointly = [Training(static, seed, jointly=True) for seed in range(self.seeds)]
        chosen = alone if choice["static_reference"] == "alone" else jointly
        found = [network for training in chosen if (network := self.networks.find(training)) is not None]
        if len(found) < self.seeds:
            raise OfframpError(
                f"expected the {self.seeds} refined static networks in {self.networks.folder}, got {len(found)} that "
                "were trained from the float network, on the device and by the code that are here; use those of the "
                "refinement, or refine again"
            )
        return found

    def architectures(self) -> list[Architecture]:
        """Networks of its refined designs."""
        kept = stored_networks(self.networks.folder / "predictions")
        wanted = set(self.table["network"])
        return sorted(
            {s.architecture for s in kept if s.architecture.key()[:12] in wanted}, key=Architecture.key
        )

    def unscaled(self, architecture: Architecture) -> list[ExitPredictions]:
        """What each training of a network says about the validation split with its logits as they are.

        Args:
            architecture: Trained with every seed.
        """
        data = self.context.data
        validation = TestSplit(data.validation_images, data.validation_labels, data.mean, data.std)
        return [
            unseen_predictions(
                self.networks.checkpoint(Training(architecture, seed)), self.context.spec, validation, None,
                self.task.device, self.networks.recipe.threads,
            )
            for seed in range(self.seeds)
        ]  # fmt: skip

    def train(self, architectures: Sequence[Architecture]) -> dict[Architecture, list[TrainedNetwork]]:
        """Networks with every seed; what was trained before is not trained again.

        Raises:
            OfframpError: One diverged.
        """
        trainings = {a: [Training(a, seed) for seed in range(self.seeds)] for a in architectures}
        needed = [training for group in trainings.values() for training in group]
        with StageProgress(Console(stderr=True)).shown() as progress:
            train_all(self.networks, needed, self.task, self.task.config.search.workers, progress)
        found = {a: [self.networks.find(training) for training in group] for a, group in trainings.items()}
        whole = {a: [n for n in group if n is not None] for a, group in found.items()}
        for architecture, group in whole.items():
            if len(group) < self.seeds:
                raise OfframpError(
                    f"expected {self.seeds} trainings of {architecture.key()[:12]}, got {len(group)}; one diverged"
                )
        return whole
