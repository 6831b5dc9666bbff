"""What holds for the project as a whole: packaging, presets, sizes, what documents may say."""

from __future__ import annotations

import re
import resource
import signal
import subprocess
import sys
import tomllib
from importlib import resources
from pathlib import Path

import pytest

from hwcost.networks import load_backbone
from models.architecture import ALLOWED_BITS
from study.config_io import load_preset, preset_names, resolve
from study.run import main
from tests.python_sources import ROOMS, ROOT, sources
from tests.test_import_directions import name_of, normal

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def locked() -> dict[str, str]:
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    entries = [line.split("#")[0].strip() for line in lines]
    found = [re.fullmatch(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.!+]+)", line) for line in entries if line]
    assert all(found), "expected name==version on every line of requirements.lock"
    return {normal(m.group(1)): m.group(2) for m in found if m}


def test_lock_has_exact_versions_without_local_suffix():
    versions = locked()
    assert "+" not in (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert versions["torch"] == "2.13.0"
    assert versions["torchvision"] == "0.28.0"
    assert int(versions["setuptools"].split(".")[0]) < 81  # brevitas


def test_lock_holds_every_dependency_in_its_range():
    from packaging.requirements import Requirement

    versions = locked()
    wanted = [*PYPROJECT["project"]["dependencies"], *PYPROJECT["project"]["optional-dependencies"]["dev"]]
    assert len(wanted) > 15
    for text in wanted:
        requirement = Requirement(text)
        assert normal(requirement.name) == normal(name_of(text))
        assert normal(requirement.name) in versions, f"{requirement.name} is not in requirements.lock"
        assert requirement.specifier.contains(versions[normal(requirement.name)]), text


def test_torch_is_a_range_that_holds():
    from packaging.requirements import Requirement

    ranges = {Requirement(d).name: Requirement(d).specifier for d in PYPROJECT["project"]["dependencies"]}
    assert ranges["torch"].contains("2.10.0")
    assert ranges["torch"].contains("2.13.0")


def test_data_files_are_packaged():
    """Presets are found through the import system, as they will be in an installed wheel."""
    patterns = PYPROJECT["tool"]["setuptools"]["package-data"]
    for room in ROOMS:
        data = {
            p.relative_to(ROOT / room)
            for p in (ROOT / room).rglob("*")
            if p.is_file() and p.suffix not in (".py", ".pyc", ".typed")
        }
        packaged = {f for f in data for pattern in patterns.get(room, []) if f.match(pattern)}
        assert data == packaged, f"{room}: {data - packaged} would not be in the wheel"
    assert (resources.files("study") / "presets" / "quickstart.toml").is_file()


@pytest.mark.parametrize("name", preset_names())
def test_presets_resolve_to_parts_that_exist(name):
    config = resolve([load_preset(name)])
    spec = load_backbone(config.backbone.name).scaled(config.backbone.width)
    assert len(spec.mounting_points) == 10
    from hwcost.chip.accelerator_file import load_accelerator
    from study.setup import build_space

    accelerator = load_accelerator(config.hardware.accelerator)
    space = build_space(config, spec, accelerator)
    assert space.log10_size() > 1
    assert set(config.space.weight_bits) <= set(ALLOWED_BITS)
    assert config.data.source in ("digits", "cifar10")


HELP = """
import runpy, sys
sys.argv = ["study.run", "--help"]
try:
    runpy.run_module("study.run", run_name="__main__")
except SystemExit as ended:
    assert not ended.code, ended.code
heavy = {"torch", "torchvision", "brevitas", "optuna", "pandas", "sklearn", "plotly", "pydantic"}
assert not heavy & set(sys.modules), f"--help loads {heavy & set(sys.modules)}"
"""


def test_help_answers_at_once_and_without_torch():
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ended = subprocess.run(
        [sys.executable, "-c", HELP], capture_output=True, text=True, timeout=60, check=False
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert ended.returncode == 0, ended.stderr
    # Processor time, which other load on the machine does not change.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.0
    for option in (
        "--preset", "--config", "--set", "--data", "--accelerator", "--trials", "--workers", "--storage",
        "--study-name", "--out", "--seed", "--device", "--dry-run", "--json",
    ):  # fmt: skip
        assert option in ended.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--preset", "quick"], "cifar10, cifar10-cpu, cifar10-small, paper, quickstart, got 'quick'"),
        (["--bogus"], "unrecognized arguments: --bogus"),
        (["--trials", "0"], "search.trials: expected greater than or equal to 1, got 0"),
        (["--trials", "x"], "invalid int value: 'x'"),
        (["--workers", "-1"], "search.workers"),
        (["--set", "search.trails=3"], "known key, got search.trails"),
        (["--set", "space.weight_bits=[1]"], "2, 3, 4, 6, 8, got [1]"),
        (["--data", "/no/such/folder"], "got '/no/such/folder'"),
        (["--config", "/no/such.toml"], "readable TOML"),
        (["--accelerator", "no_such_chip"], "no_such_chip"),
        (["--set", "backbone.name=resnet"], "'resnet'"),
        (["--set", "hardware.pe_budget=1"], "PE budget of at least"),
        (["--device", "tpu"], "invalid choice: 'tpu'"),
        (["--storage", "nonsense"], "expected a storage URL"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(options, message, tmp_path, capsys):
    before = signal.getsignal(signal.SIGTERM)
    try:
        code = main(["--out", str(tmp_path / "out"), *options])
    except SystemExit as ended:  # argparse
        code = ended.code
    finally:
        signal.signal(signal.SIGTERM, before)
    assert code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message in line


def test_the_process_ends_with_that_code(tmp_path):
    command = [sys.executable, "-m", "study.run", "--out", str(tmp_path / "out"), "--preset", "quick"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stdout, len(ended.stderr.splitlines())) == (2, "", 1)


@pytest.mark.parametrize(
    "path", sources(*ROOMS, "tests", "benchmarks"), ids=lambda p: p.relative_to(ROOT).as_posix()
)
def test_no_file_is_longer_than_400_lines(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def documents() -> list[Path]:
    found = [*ROOT.glob("*.md"), *ROOT.glob("*.cff"), *ROOT.glob("Makefile"), *sources(*ROOMS, "benchmarks")]
    for pattern in ("docs/**/*", "study/presets/*", "hwcost/**/*.toml", ".ci/*"):
        found += [path for path in ROOT.glob(pattern) if path.is_file()]
    return [
        p
        for p in found
        if p.suffix not in (".png", ".pyc", ".db", ".npz", ".safetensors") and "__pycache__" not in p.parts
    ]


@pytest.mark.parametrize("path", documents(), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_nothing_points_into_the_machine_it_was_written_on(path):
    text = path.read_text(encoding="utf-8")
    place = re.search(r"(?<![\w.])/(?:home/\w+|Users/\w+|root|work|tmp|mnt|data)/[\w.-]+", text)
    assert place is None, f"{path.name} names {place.group() if place else ''}"


@pytest.mark.parametrize(
    "path", [p for p in documents() if p.suffix == ".md"], ids=lambda p: p.relative_to(ROOT).as_posix()
)
def test_links_between_documents_lead_somewhere(path):
    for target in re.findall(r"\]\((?!https?://|mailto:|#)([^)#\s]+)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_the_published_float_network_is_what_its_preset_goes_on_from(cifar10_archive: Path, tmp_path: Path):
    """It has all weights and heads that the preset trains, and the accuracy that is told of it."""
    from models.float_weights import load_float_weights
    from models.loop import collect_logits
    from models.network import EarlyExitNetwork, all_mounts
    from study.setup import build_backbone, load_data, pretrained_kinds

    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (named,) = re.findall(r"reproduce-cifar10-cpu: .*--weights (\S+)", makefile)
    config = resolve([load_preset("cifar10-cpu"), {"data": {"source": str(cifar10_archive)}}])
    data = load_data(config, tmp_path)
    spec = build_backbone(config, data.channels)
    network = EarlyExitNetwork(
        spec, all_mounts(spec, pretrained_kinds(config)), data.classes, data.image_size
    )
    weights = load_float_weights(ROOT / named, spec)
    own = {n for n in network.state_dict() if not n.endswith("num_batches_tracked")}
    assert {*weights.state, *weights.heads} == own
    weights.put_into(network)
    logits = collect_logits(network, data.validation_images[:400], data)
    right = (logits[:, -1].argmax(1) == data.validation_labels[:400]).float().mean()
    assert float(right) == pytest.approx(0.9, abs=0.04)  # of all of them exactly; these take seconds
