"""The command and the program of a member's model card, run as they stand there.

The study is one the defaults of `models.export` do not fit: images in a folder with a space in its name, three
channels, a backbone of the tests, another split seed, arrays and levels that are searched.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from models.augment import normalize_batch
from models.checkpoint import read_checkpoint
from models.data import load_dataset
from models.export.cost import Placement
from tests.python_sources import ROOT
from tests.study.refine.runs import configuration, make_run, refine_here, train_here

DATA = "images of mine"


def write_images(folder: Path) -> None:
    """Digits in three colours: 40 of each class to train on, 10 to test on."""
    digits = load_digits()
    tints = np.array([[1.0, 0.6, 0.3], [0.3, 1.0, 0.6], [0.6, 0.3, 1.0]])
    for label in range(10):
        for index, image in enumerate(digits.images[digits.target == label][:50]):
            part = folder / ("train" if index < 40 else "test") / str(label)
            part.mkdir(parents=True, exist_ok=True)
            pixels = np.kron(image / 16 * 255, np.ones((2, 2)))[..., None] * tints[index % 3]
            Image.fromarray(pixels.astype(np.uint8)).save(part / f"{index}.png")


@dataclass(frozen=True)
class Member:
    """A design of the refined headline front with its card."""

    place: Path
    cache: Path
    name: str
    row: dict[str, Any]
    exits: pd.DataFrame
    card: str

    def block(self, language: str) -> str:
        """The only code of this language in the card."""
        (text,) = (piece.split("```")[0] for piece in self.card.split(f"```{language}\n")[1:])
        return text


@pytest.fixture(scope="module")
def member(tmp_path_factory: pytest.TempPathFactory) -> Member:
    place = tmp_path_factory.mktemp("work")
    cache = place / "cache"
    write_images(place / DATA)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        config = configuration(
            cache,
            data={"source": DATA, "image_size": 16},
            splits={"seed": 3, "calibration": 80, "validation": 80},
            space={"levels": ["low", "high"]},  # the nominal one is the default of the command
        )
        make_run(Path("tiny"), config)
        options = ("--seeds", "1", "--members", "headline")
        train_here(Path("tiny"), cache, *options)
        refine_here(Path("tiny"), cache, *options)
    run = place / "tiny"
    text = {"exits": str, "design": str}
    table = pd.read_csv(run / "refined.csv", dtype=text, keep_default_na=False)
    leading = table[2:][table["headline"][2:].astype(bool)]
    # A design that stops early, elsewhere than on the default arrays.
    wanted = leading[(leading["pe_arrays"] != table.iloc[0]["pe_arrays"]) & (leading["exits"] != "")]
    row = {str(key): value for key, value in wanted.to_dict("records")[0].items()}
    exits = pd.read_csv(run / "refined_exits.csv", dtype={"design": str})
    exits = exits[exits["design"] == row["design"]]
    card = (run / "refined" / "members" / row["design"] / "README.md").read_text(encoding="utf-8")
    return Member(place, cache, row["design"], row, exits, card)


def test_the_command_exports_the_member_with_its_own_cost(member: Member) -> None:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),  # where the backbone's module is, as a user's is in the folder
        "OFFRAMP_CACHE": str(member.cache),
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        ["sh", "-c", member.block("sh")], cwd=member.place, env=environment, capture_output=True, text=True,
        timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    assert str(member.place) not in member.card
    figures = json.loads((member.place / "seed0-qcdq" / "export.json").read_text(encoding="utf-8"))
    assert figures["measured"]["n_images"] == 80
    assert figures["measured"]["description"].startswith(f"{DATA}: 80 images of the validation split")
    assert figures["policy"]["origin"] == "of the checkpoint"
    np.testing.assert_allclose(figures["cost"]["latency_cycles"], member.exits["latency_cycles"])
    np.testing.assert_allclose(figures["cost"]["energy_pj"], member.exits["energy_pj"])
    exported = (member.place / "seed0-qcdq" / "README.md").read_text(encoding="utf-8")
    assert f"with the PE arrays {member.row['pe_arrays']} at the level `{member.row['level']}`" in exported
    assert f"{member.row['pe_arrays']} at the level `{member.row['level']}`" in member.card
    assert figures["cost"]["level"] == member.row["level"] != Placement().level


def test_the_program_gives_the_exits_that_were_measured(
    member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(member.place)
    found = read_checkpoint(
        next((member.place / "tiny" / "refined" / "members" / member.name).glob("seed0*"))
    )
    assert found.notes is not None
    data = load_dataset(DATA, 16, member.cache)
    images = normalize_batch(data.test_images, found.notes.mean, found.notes.std)
    names: dict[str, Any] = {"images": images}
    exec(compile(member.block("python"), "card", "exec"), names)
    result = names["result"]
    assert result.exit_ratios.tolist() == member.exits["ratio"].tolist()
    right = (result.predicted == data.test_labels.numpy()).mean()
    assert right == pytest.approx(member.row["accuracy"])
    # Exits and classes above may be the same before folding; what was measured has no BatchNorm any more.
    statistics = [
        {name for name, _ in names[network].named_buffers() if name.endswith("running_mean")}
        for network in ("network", "deployed")
    ]
    assert statistics[0]
    assert not statistics[1]
