from __future__ import annotations

import pytest

from hwcost.errors import OfframpError
from study.run import recorded_command
from study.storage import open_storage


@pytest.mark.parametrize(
    ("words", "recorded"),
    [
        (["--data", "/home/me/images.tar.xz"], "--data images.tar.xz"),
        (["--out=/home/me/run"], "--out=run"),
        (["--set", "data.source=/home/me/images.zip"], "--set data.source=images.zip"),
        (["--set=data.source=/home/me/images.zip"], "--set=data.source=images.zip"),
        (["--storage", "postgresql://me:secret@host/db?a=b"], "--storage postgresql:///..."),
        (["--storage=mysql://me:secret@host"], "--storage=mysql:///..."),
        (["--set", "run.storage=sqlite:////home/me/a.db"], "--set run.storage=sqlite:///..."),
        (["--storage", "://x"], "--storage :///..."),
        (["--set", "space.weight_bits=[8]"], "--set 'space.weight_bits=[8]'"),
        (["--trials", "48"], "--trials 48"),
    ],
)
def test_the_recorded_command_names_no_folder_and_no_password(words, recorded):
    assert recorded_command(words) == f"python -m study.run {recorded}"


@pytest.mark.parametrize("url", ["://x", "postgresql://host:port/db", ""])
def test_what_is_no_url_is_refused(url):
    with pytest.raises(OfframpError, match="expected a storage URL"):
        open_storage(url)
