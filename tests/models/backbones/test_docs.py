"""The example of docs/backbones.md is a backbone that works."""

import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from models.backbones.open import open_backbone
from models.float_weights import load_float_weights
from models.network import EarlyExitNetwork, Mount

PAGE = Path(__file__).parents[3] / "docs" / "backbones.md"


def test_the_example_opens_and_computes_what_its_model_computes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = re.search(r"```python\n# mypackage/mynet.py\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert code is not None
    (tmp_path / "example_of_docs.py").write_text(code.group(1))
    monkeypatch.syspath_prepend(tmp_path)
    backbone = open_backbone("example_of_docs:factory", 0.5, 1, 16)
    assert [block.out_channels for block in backbone.blocks] == [16, 16, 32]
    import example_of_docs  # type: ignore[import-not-found]

    model = example_of_docs.MyNet(0.5, 1).eval()
    save_file(model.state_dict(), tmp_path / "mynet.safetensors")
    network = EarlyExitNetwork(backbone, (Mount(2, "gap"),), 10, 16).eval()
    load_float_weights(tmp_path / "mynet.safetensors", backbone).put_into(network)
    x = torch.randn(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = network.stem(x)
        for block in network.blocks:
            found = block(found)
        torch.testing.assert_close(found, model.body(model.first(x)), rtol=1e-5, atol=1e-5)


def test_every_option_of_the_page_is_one_of_the_code() -> None:
    text = PAGE.read_text()
    for word in re.findall(r"`(models/[a-z_/0-9]+\.py|hwcost/[a-z_/0-9]+\.toml)`", text):
        assert (PAGE.parents[1] / word).is_file(), word
