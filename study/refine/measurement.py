"""The one reading of the test split: after every choice, for everything that is refined, with a mark that it was.

Whoever looks at test results and then chooses again has no test results any more. So the mark is written before the
images are opened, it names the choice that is measured, and another choice is refused from then on. What the networks
said about the test images is kept: the same choice is told again from that, without opening them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwcost.errors import OfframpError
from models.predictions import ExitPredictions
from study.atomic import write_text
from study.environment import commit
from study.memo import training_code_version
from study.refine.choice import Choice
from study.refine.networks import RefinedNetworks, Training
from study.refine.reading import Reading, ReadingTask, read_all

if TYPE_CHECKING:
    from study.progress import StageProgress
    from study.worker import WorkerTask

MARK = "test_split.json"


def read_mark(folder: Path) -> dict[str, Any] | None:
    """What is known of the reading of the test split; None where it was not read.

    Raises:
        OfframpError: The mark is there and cannot be read.
    """
    path = folder / MARK
    try:
        mark: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        _ = mark["choice"], mark["opened"][0]["time"], mark["finished"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise OfframpError(
            f"expected a readable {MARK}, which says that the test split was read, got {error}; restore it"
        ) from None
    return mark


def check_choice(mark: dict[str, Any] | None, key: str) -> None:
    """Whether what is to be measured is what the test split was read for, where it was read.

    Args:
        mark: What is known of the reading.
        key: Of the choice.

    Raises:
        OfframpError: It was read for another choice.
    """
    if mark is not None and mark["choice"] != key:
        raise refuse_other_choice(mark)


def refuse_other_choice(mark: dict[str, Any]) -> OfframpError:
    """The error for whoever wants to measure something else after the test split was read."""
    first = mark["opened"][0]
    code = mark.get("training_code")  # older marks do not say
    if code is not None and code != training_code_version():
        return OfframpError(
            f"expected the training code whose networks the test split was read for at {first['time']} (commit "
            f"{first['commit'] or 'unknown'}), got another one, whose trainings differ in their digits; go back to "
            "that commit to make its tables again, or refine another run"
        )
    return OfframpError(
        f"expected a test split that nobody has read, but it was read at {first['time']} (commit "
        f"{first['commit'] or 'unknown'}) for another choice of networks, or files of these are gone since; its "
        "results are in refined.csv, and nothing chosen later could be measured fairly: refine another run"
    )


def measure(
    networks: RefinedNetworks, choice: Choice, command: str, task: WorkerTask, progress: StageProgress
) -> dict[Training, ExitPredictions]:
    """What every chosen network says about the test images.

    Args:
        networks: All trained.
        choice: What is measured.
        command: The command line, for the record.
        task: What processes are started with.
        progress: Where it shows.

    Raises:
        OfframpError: The test split was read for another choice, or what was recorded of it is lost.
    """
    folder, key = networks.folder, choice.key(networks)
    mark = read_mark(folder)
    check_choice(mark, key)
    needed = choice.trainings()
    found = {training: _recorded(networks, training) for training in needed}
    missing = [training for training, predictions in found.items() if predictions is None]
    if mark is not None and mark["finished"] is not None:
        when = mark["opened"][0]["time"]
        if missing:
            raise OfframpError(
                f"expected the recorded test predictions of {len(needed)} networks, got "
                f"{len(needed) - len(missing)}; the test split was read at {when} and is not read again, restore "
                f"the folder {folder.name}/test"
            )
        progress.log(f"the test split was read at {when}; results are made from what was recorded then")
        return {training: predictions for training, predictions in found.items() if predictions is not None}
    data = networks.context.data
    mark = mark or {
        "split": "test", "data": data.name, "content_sha256": data.content_sha256,
        "networks": len(needed), "choice": key, "training_code": training_code_version(), "opened": [],
        "finished": None,
    }  # fmt: skip
    mark["opened"].append({"time": _now(), "commit": commit(), "command": command})
    _write(folder, mark)
    _read_test_split(networks, missing, task, progress)
    found |= {training: _recorded(networks, training) for training in missing}
    mark["finished"] = _now()
    _write(folder, mark)
    return {training: predictions for training, predictions in found.items() if predictions is not None}


def _read_test_split(
    networks: RefinedNetworks, trainings: Sequence[Training], task: WorkerTask, progress: StageProgress
) -> None:
    """Opens the test split, the only place that does; each network's predictions are kept at once."""
    from models.data import load_dataset
    from models.training_data import open_test_split

    context = networks.context
    config = context.config
    images = load_dataset(config.data.source, config.data.image_size, context.paths.cache)
    test = open_test_split(images, config.splits)
    readings = []
    for training in trainings:
        network = networks.find(training)
        assert network is not None
        temperatures = network.calibration.temperatures
        readings.append(
            Reading(networks.checkpoint(training), temperatures, _path(networks, training), str(training))
        )
    reading = ReadingTask(task, test, networks.recipe.threads, tuple(readings))
    read_all(reading, config.search.workers, progress)


def _recorded(networks: RefinedNetworks, training: Training) -> ExitPredictions | None:
    try:
        return ExitPredictions.load(_path(networks, training))
    except OfframpError:
        return None


def _path(networks: RefinedNetworks, training: Training) -> Path:
    return networks.folder / "test" / f"{networks.key(training)[:32]}.npz"


def _write(folder: Path, mark: dict[str, Any]) -> None:
    write_text(folder / MARK, json.dumps(mark, indent=2) + "\n")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
