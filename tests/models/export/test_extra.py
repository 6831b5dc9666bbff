import re
import tomllib

import pytest

from hwcost.errors import OfframpError
from models.export.extra import need
from tests.python_sources import ROOT


def test_what_exporting_needs_is_the_extra_export() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "models" / "export").glob("*.py"))
    used = {name.partition(".")[0] for name in re.findall(r'need\("([\w.]+)"\)', text)}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {re.split(r"[<>=]", one)[0] for one in project["optional-dependencies"]["export"]}
    assert used == declared == {"onnx", "onnxruntime", "qonnx"}


def test_a_missing_package_is_named_with_what_to_install() -> None:
    with pytest.raises(OfframpError, match=r"the package no_such_runtime .* pip install -e '\.\[export\]'"):
        need("no_such_runtime.core")
