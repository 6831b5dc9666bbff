"""Who may import what: the table of rooms of `docs/architecture.md`."""

from __future__ import annotations

import ast
import importlib.metadata
import subprocess
import sys
import tomllib

import pytest

from tests.python_sources import ROOMS, ROOT, Import, imports, sources

# Our own packages and the heavy ones a room may import. Small helpers (below) are open to all but `hwcost`.
MAY_IMPORT = {
    "hwcost": {"hwcost", "numpy"},
    "models": {
        "models",
        "hwcost",
        "numpy",
        "torch",
        "torchvision",
        "brevitas",
        "safetensors",
        "PIL",
        "sklearn",
    },
    "study": {"study", "models", "hwcost", "numpy", "optuna", "pandas", "pydantic", "rich", "moocore"},
    "dashboards": {
        "dashboards",
        "study",
        "hwcost",
        "numpy",
        "pandas",
        "plotly",
        "optuna",
        "optuna_dashboard",
        "sklearn",
    },
}
HELPERS = {
    "models": {"filelock", "triton"},
    "study": {"filelock", "scipy", "sqlalchemy", "threadpoolctl", "tomli_w"},
    "dashboards": {"rich"},
}
# A single module may import these.
ALONE = {"brevitas": "models/brevitas_adapter.py", "torchvision": "models/torchvision_adapter.py"}
# PyTorch brings these where it has CUDA, each in the version it was built with.
WITH_TORCH = {"triton"}
KERNELS = ("models/cuda_kernels.py", "models/cuda_depthwise_kernels.py", "models/cuda_norm_kernels.py")
# Modules of another room that a room may use, where it is not all of them.
NARROW = {
    ("dashboards", "study"): {
        "study.atomic",
        "study.compare",
        "study.compare_runs",
        "study.front",
        "study.live",
        "study.metrics",
        "study.results",
        "study.tables",
    },
    ("dashboards", "hwcost"): {"hwcost.errors"},
}
# Read by `--help` and by the configuration: they answer before torch is loaded.
LIGHT = (
    "models", "models.architecture", "models.recipe", "models.predictions", "models.splits", "models.seeds",
    "models.augment_spec", "hwcost", "hwcost.evaluate", "hwcost.networks", "study", "study.run", "study.config",
    "study.config_io", "study.genome", "study.sampler", "study.policy", "study.results", "dashboards",
)  # fmt: skip


def of_room(room: str) -> list[Import]:
    return [found for path in sources(room) for found in imports(path)]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_what_its_row_of_the_table_allows(room):
    allowed = MAY_IMPORT[room] | HELPERS.get(room, set()) | set(sys.stdlib_module_names)
    wrong = [
        str(found)
        for found in of_room(room)
        if found.package not in allowed and not is_report_of_run(found)
    ]  # fmt: skip
    assert not wrong


def is_report_of_run(found: Import) -> bool:
    """The one way from study to dashboards."""
    return found.file == "study/run.py" and found.module == "dashboards.report" and found.lazy


def test_run_does_write_its_report():
    assert any(is_report_of_run(found) for found in of_room("study"))


@pytest.mark.parametrize("package", ALONE)
def test_one_module_holds_all_of(package):
    files = {found.file for room in ROOMS for found in of_room(room) if found.package == package}
    assert files == {ALONE[package]}


def test_torchvision_is_imported_when_it_is_used():
    found = [f for f in of_room("models") if f.package == "torchvision"]
    assert found
    assert all(f.lazy or f.typing_only for f in found)


def test_triton_is_in_modules_of_kernels_which_are_imported_when_they_are_used():
    found = of_room("models")
    assert {f.file for f in found if f.package == "triton"} <= set(KERNELS)
    modules = {name.removesuffix(".py").replace("/", ".") for name in KERNELS}
    importing = [f for f in found if f.module in modules]
    assert {f.module for f in importing} == modules
    assert all(f.lazy or f.file in KERNELS for f in importing)


@pytest.mark.parametrize(("room", "other"), NARROW)
def test_a_narrow_door(room, other):
    wrong = [str(f) for f in of_room(room) if f.package == other and f.module not in NARROW[room, other]]
    assert not wrong


@pytest.mark.parametrize("room", ROOMS)
def test_nothing_is_unpickled(room):
    """A pickle runs code when it is read."""
    wrong = [
        str(f) for f in of_room(room) if f.package in ("pickle", "cloudpickle", "dill", "joblib", "shelve")
    ]
    for path in sources(room):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = ast.unparse(node.func)
            where = f"{path.relative_to(ROOT)}:{node.lineno}"
            if name in ("torch.load", "torch.save", "eval", "exec", "pd.read_pickle"):
                wrong.append(f"{where} calls {name}")
            if name in ("np.load", "numpy.load"):
                given = {k.arg: ast.unparse(k.value) for k in node.keywords}
                if given.get("allow_pickle") != "False":
                    wrong.append(f"{where} calls {name} without allow_pickle=False")
    assert not wrong


def test_light_modules_load_no_torch():
    # One process for each would take a second each; one for all says as much, and names the culprit.
    code = f"""
import importlib, sys
for name in {LIGHT!r}:
    importlib.import_module(name)
    heavy = {{"torch", "torchvision", "brevitas", "sklearn"}} & set(sys.modules)
    if heavy:
        sys.exit(f"{{name}} loads {{heavy}}")
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 0, ended.stderr


def test_every_foreign_package_is_a_declared_dependency():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {normal(name_of(d)) for d in project["dependencies"]}
    owner = importlib.metadata.packages_distributions()
    used = {f.package for room in ROOMS for f in of_room(room)} - set(sys.stdlib_module_names) - set(ROOMS)
    used -= WITH_TORCH
    missing = {p for p in used if not declared & {normal(d) for d in owner.get(p, [p])}}
    assert not missing


def name_of(requirement: str) -> str:
    return requirement.split(";")[0].split("[")[0].rstrip("0123456789.,<>=!~ *")


def normal(name: str) -> str:
    return name.lower().replace("_", "-")
