import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hwcost.errors import OfframpError
from models.exit_policy import ExitPolicy
from models.export.compare import Format
from models.export.cost import Placement
from models.export.export import ExportRequest, export_checkpoint
from models.inference import exits_taken
from tests.models.export.small_export import POLICY, folded_logits, images, save
from tests.models.small import MIXED, SPEC, digits


def request(tmp_path: Path, kind: Format = "qcdq", **changes: object) -> ExportRequest:
    made = ExportRequest(
        checkpoint=save(tmp_path / "network.safetensors"),
        kind=kind,
        out=tmp_path / "out",
        cache=tmp_path / "cache",
        images=300,
        chain_images=30,
        backbone=SPEC,
    )
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["qcdq", "qonnx", "torch"])
def test_an_export_agrees_with_the_trained_network_on_real_images(tmp_path: Path, kind: Format) -> None:
    report = export_checkpoint(request(tmp_path, kind))
    assert report.found.agreement.images == 300
    assert (
        report.found.agreement.same_exit
        == report.found.agreement.same_class
        == report.found.chain.same_exit
        == 1.0
    )
    assert report.found.agreement.close_images >= 0.99
    assert report.found.folding.same_exit >= 0.99
    assert report.found.folding.close_images >= 0.95
    assert report.found.exact_folding.close_images == 1.0
    assert report.found.exact_folding.largest_logit_difference < 1e-9
    assert report.found.baseline.close_images >= 0.95
    assert (
        report.found.chain.samples[0]
        == 30
        > report.found.chain.samples[1]
        > report.found.chain.samples[2]
        > 0
    )
    assert (report.found.executor is not None) == (kind == "qonnx")
    assert sorted(path.name for path in report.folder.iterdir()) == sorted(report.files)
    values = json.loads((report.folder / "export.json").read_text(encoding="utf-8"))
    assert values == report.values
    assert values["agreement"]["same_exit"] == report.found.agreement.same_exit
    # The split of the training was found again: 200 images of validation, then calibration.
    assert values["measured"]["n_images"] == 200
    assert values["measured"]["description"] == (
        "digits: 200 images of the validation split and 100 of its calibration split"
    )
    assert abs(values["measured"]["accuracy"] - values["measured"]["trained_accuracy"]) <= 0.01
    assert not list(tmp_path.glob(".out*"))


def test_the_card_can_be_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = export_checkpoint(request(tmp_path))
    card = (report.folder / "README.md").read_text(encoding="utf-8")
    for text in (
        "| `exit0` | fc_hidden | 0.6 | 1.2 |", "| `final` | fc | takes the rest | 1 |", "`max_softmax`",
        "weight bits per block: 8 4 3", "edge_tpu_quad", "of the checkpoint", "commit of the training",
        f"`{digits().fingerprint}`",
    ):  # fmt: skip
        assert text in card, text
    monkeypatch.chdir(report.folder)
    image = images()[:1]
    names: dict[str, Any] = {"image": image}
    for snippet in card.split("```python\n")[1:]:
        exec(compile(snippet.split("```")[0], "card", "exec"), names)  # the card's own programs
    expected = folded_logits(images()[:60], MIXED)
    np.testing.assert_array_equal(np.stack(names["logits_of_exits"], axis=1), expected[:1])
    taken = exits_taken(expected, POLICY)
    for index, exit_ in enumerate(taken):
        found = names["classify"](images()[index : index + 1])
        assert found == (expected[index, exit_].argmax(), exit_)
    assert len(set(taken)) == 3


def test_a_policy_of_the_request_goes_before_that_of_the_file(tmp_path: Path) -> None:
    everybody_stays = ExitPolicy.never_early(3)
    report = export_checkpoint(request(tmp_path, policy=everybody_stays))
    assert report.values["policy"]["origin"] == "given when it was exported"
    assert report.values["measured"]["exit_ratios"] == [0.0, 0.0, 1.0]
    assert report.found.chain.samples == (30, 30, 30)
    without = save(tmp_path / "without.safetensors", policy=None)
    report = export_checkpoint(request(tmp_path, checkpoint=without))
    assert report.values["policy"]["thresholds"] == [0.9, 0.9]
    assert "assumed" in report.values["policy"]["origin"]


def test_an_earlier_export_is_replaced_and_other_folders_are_not(tmp_path: Path) -> None:
    asked = request(tmp_path)
    export_checkpoint(asked)
    (asked.out / "network.onnx").write_bytes(b"old")
    export_checkpoint(asked)
    assert (asked.out / "network.onnx").stat().st_size > 1000
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("mine", encoding="utf-8")
    with pytest.raises(OfframpError, match="expected an empty folder or an earlier export, got other"):
        export_checkpoint(dataclasses.replace(asked, out=other))
    assert [path.name for path in other.iterdir()] == ["thesis.tex"]


def test_a_failed_export_leaves_the_old_one(tmp_path: Path) -> None:
    asked = request(tmp_path)
    export_checkpoint(asked)
    before = {path.name: path.read_bytes() for path in asked.out.iterdir()}
    with pytest.raises(OfframpError, match="no_such_chip"):
        export_checkpoint(dataclasses.replace(asked, placement=Placement("no_such_chip")))
    assert {path.name: path.read_bytes() for path in asked.out.iterdir()} == before


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"split_seed": 5}, "by --split-seed 5; give the seed of its study"),
        ({"images": 0}, "at least one image"),
        ({"policy": ExitPolicy.never_early(2)}, "expected 2 thresholds, one per early exit"),
        ({"data": "/no/such/images.tar"}, "does not exist"),
    ],
)
def test_bad_requests_are_refused(tmp_path: Path, changes: dict[str, object], text: str) -> None:
    with pytest.raises(OfframpError, match=text):
        export_checkpoint(request(tmp_path, **changes))
    assert not (tmp_path / "out").exists()


def test_a_fault_in_folding_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folded network is compared with the network as it was trained."""
    from models import fold

    honest = fold._folded

    def wrong(*arguments: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        integers, scale, bias = honest(*arguments)  # type: ignore[arg-type]
        return integers, scale * 1.2, bias

    monkeypatch.setattr(fold, "_folded", wrong)
    report = export_checkpoint(request(tmp_path))
    assert not report.good
    assert not report.found.folding.good
    assert report.found.folding.largest_logit_difference > 0.1


def test_the_policy_has_a_place_for_every_exit(tmp_path: Path) -> None:
    """In the checkpoint and in what is exported of it: a threshold an early exit, a temperature an exit."""
    with pytest.raises(
        OfframpError, match="expected a policy for the 3 exits of this network, got one for 2"
    ):
        save(tmp_path / "short.safetensors", ExitPolicy.never_early(2))
    report = export_checkpoint(request(tmp_path, "torch", images=30, chain_images=10))
    policy = json.loads((report.folder / "export.json").read_text(encoding="utf-8"))["policy"]
    early = len(MIXED.exits)
    assert (len(policy["thresholds"]), len(policy["temperatures"])) == (early, early + 1)
    restored = ExitPolicy.from_dict({key: value for key, value in policy.items() if key != "origin"})
    np.testing.assert_array_equal(restored.thresholds, POLICY.thresholds)
    np.testing.assert_array_equal(restored.temperatures, POLICY.temperatures)
    assert len(report.values["measured"]["exit_ratios"]) == early + 1
