"""From the folder of a run to what is refined: its configuration, its study, its front."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwcost.errors import OfframpError
from models.data_path import find_data
from models.recipe import QatRecipe
from study.config import StudyConfig
from study.config_io import identity, load_file, merge, parse_assignment, resolve
from study.setup import Paths, build_accelerator, build_objectives, own_backbone_fingerprint

if TYPE_CHECKING:
    import optuna

    from models.training_data import TrainingData

_NAMED_DATA = ("digits", "cifar10")
_FULL_BUDGET = 5.0
"""Default budget as a multiple of the longest training of the search."""

_OPEN_SECTIONS = ("qat", "refine", "run")


@dataclass(frozen=True)
class Request:
    """What was asked for.

    Attributes:
        config: Of the study, with the folders of this machine.
        recipe: How networks are trained.
        seeds: Trainings of every network.
        members: `all`, `headline`, the number of networks of the headline front, or designs by their identifiers,
            with commas between.
        derived: Other designs of the refined networks may enter the headline front.
        test: The test split is read.
    """

    config: StudyConfig
    recipe: QatRecipe
    seeds: int
    members: str
    derived: bool = True
    test: bool = True

    def __post_init__(self) -> None:
        if self.members not in ("all", "headline") and not (self.most_networks or self.named_members):
            raise OfframpError(
                "expected --members all, headline, a number from 1 to 999 or identifiers of designs such as "
                f"2fbcec26396c,3d886506, got {self.members!r}; choose one of them"
            )

    @property
    def most_networks(self) -> int:
        """How many networks of the headline front at most; 0 where no number was asked for."""
        return int(self.members) if re.fullmatch(r"[0-9]{1,3}", self.members) else 0

    @property
    def named_members(self) -> tuple[str, ...]:
        """First digits of the identifiers that were asked for."""
        names = self.members.split(",")
        return tuple(names) if all(re.fullmatch(r"[0-9a-f]{4,64}", name) for name in names) else ()


def read_config(
    folder: Path, options: Mapping[str, Mapping[str, Any]], assignments: Sequence[str]
) -> tuple[StudyConfig, QatRecipe]:
    """The configuration of the run, and how its front is trained.

    Args:
        folder: Of the run.
        options: Values of this command by section and key; None where nothing was given.
        assignments: Of `--set`: `qat.KEY`, `refine.KEY` or `run.KEY`, as the rest belongs to the study.

    Raises:
        OfframpError: There is no run, or a value cannot be used.
    """
    if not folder.is_dir():
        raise OfframpError(
            f"expected the folder of a run such as runs/quickstart, got {folder}; run study.run first"
        )
    if not (folder / "config.toml").is_file():
        raise OfframpError(
            f"expected config.toml in {folder}, got none; run study.run again, which writes it before its "
            "first trial"
        )
    assigned: dict[str, Any] = {}
    for text in assignments:
        (section, key), value = parse_assignment(text)
        if section not in _OPEN_SECTIONS or (section, key) == ("qat", "epochs"):
            advice = "give --epochs" if section == "qat" else "everything else belongs to the study"
            raise OfframpError(f"expected --set of qat, refine or run, got {section}.{key}; {advice}")
        assigned = merge(assigned, {section: {key: value}})
    given = {s: {k: v for k, v in keys.items() if v is not None} for s, keys in options.items()}
    base = merge(merge(load_file(folder / "config.toml"), given), {"run": {"out": str(folder)}})
    ours = {section: keys for section, keys in assigned.items() if section != "qat"}
    config = resolve([base, ours])
    trained = resolve([base, ours, assigned])
    longest = config.qat.epochs * config.search.rungs[-1]
    rate = config.refine.learning_rate
    if rate is None or "learning_rate" in assigned.get("qat", {}):
        rate = trained.qat.learning_rate
    epochs = config.refine.epochs or _FULL_BUDGET * longest
    recipe = dataclasses.replace(trained.qat, epochs=epochs, learning_rate=rate)
    _check_files(config)
    return config, recipe


def _check_files(config: StudyConfig) -> None:
    """Configurations keep names of files, not their folders: whoever goes on says where they are."""
    source, weights = config.data.source, config.backbone.weights
    if source not in _NAMED_DATA and find_data(source) is None:
        raise OfframpError(
            f"expected the images of the run, got {source!r}, which does not exist here; name them with --data"
        )
    if weights is not None and not Path(weights).exists():
        raise OfframpError(
            f"expected the float weights of the run, got {weights!r}, which does not exist here; name them with "
            "--weights"
        )


def storage_url(config: StudyConfig, paths: Paths) -> str:
    """Where the study is.

    Raises:
        OfframpError: It should be in the run's folder and is not.
    """
    from study.storage import default_url

    if config.run.storage:
        return config.run.storage
    if not (paths.out / "study.db").is_file():
        raise OfframpError(
            f"expected the study of the run in {paths.out}/study.db, got none; name its storage with --storage"
        )
    return default_url(paths.out)


def open_existing(config: StudyConfig, url: str, data: TrainingData) -> optuna.Study:
    """The study of the run.

    Raises:
        OfframpError: It is not in the storage, or has another configuration or other data.
    """
    import optuna

    from study.storage import StudyIdentity, open_storage, open_study, without_password

    name = str(config.run.name)
    storage = open_storage(url)
    names = optuna.get_all_study_names(storage)
    if name not in names:
        raise OfframpError(
            f"expected the study {name!r} in {without_password(url)}, it holds {', '.join(names) or 'none'}; name it "
            "with --study-name"
        )
    objectives = build_objectives(config, build_accelerator(config)).columns
    backbone = own_backbone_fingerprint(config, data.channels)
    who = StudyIdentity(name, identity(config), data.fingerprint, config.population(), objectives, backbone)
    return open_study(storage, who)


def check_trained(study: optuna.Study) -> None:
    """Refuses a study without a trained network, before anything slow begins.

    Raises:
        OfframpError: No finished trial was trained as long as designs on the front are.
    """
    from study.storage import finished_trials, record_of

    records = [record_of(trial) for trial in finished_trials(study)]
    if not any(record is not None and record.trained and record.longest for record in records):
        raise OfframpError(
            f"expected a run with a front, got {len(records)} finished trials of which none is trained; run more "
            "trials"
        )
