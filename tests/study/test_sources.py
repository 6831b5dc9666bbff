from pathlib import Path

import pytest

from hwcost.errors import OfframpError
from study.config_io import load_preset, resolve
from study.sources import check_sources


def test_data_in_a_home_folder_are_found_before_anything_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "set.zip").touch()

    def check(source: str) -> None:
        check_sources(resolve([load_preset("quickstart"), {"data": {"source": source}}]))

    check("~/set.zip")
    for source, text in (("~/other.zip", "an existing folder"), ("~nosuchuser/x.zip", "looked up")):
        with pytest.raises(OfframpError, match=text):
            check(source)


def test_nothing_to_train_and_nothing_to_start_from() -> None:
    with pytest.raises(
        OfframpError, match=r"expected --weights FILE\.safetensors where pretrain\.epochs is 0"
    ):
        check_sources(resolve([load_preset("quickstart"), {"pretrain": {"epochs": 0}}]))
    check_sources(
        resolve(
            [
                load_preset("quickstart"),
                {"pretrain": {"epochs": 0}, "backbone": {"weights": "warm.safetensors"}},
            ]
        )
    )
