"""`python -m study.refine` as a user runs it: bad input, and a run that is killed and goes on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pandas as pd
import pytest

from study.refine.__main__ import main
from study.storage import default_url
from tests.python_sources import ROOT
from tests.study.refine.runs import OPTIONS, refine_here


def command(folder: Path, cache: Path, *options: str) -> list[str]:
    """The real command on a run."""
    budget = [*OPTIONS, "--workers", "1", "--set", f"run.cache={cache}"]
    return [sys.executable, "-m", "study.refine", str(folder), *budget, *options]


def environment() -> dict[str, str]:
    """The factory of the tiny backbone is a module of the tests."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200", "OMP_NUM_THREADS": "1"}


def kept(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Trainings that are done: when their predictions were written, and what they are."""
    files = sorted((folder / "refined" / "predictions").glob("*.validation.npz"))
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def test_a_run_that_is_killed_goes_on_and_ends_as_if_nothing_had_happened(
    tmp_path: Path, finished: Path, trained: Path, cache: Path
) -> None:
    folder = Path(shutil.copytree(finished, tmp_path / "tiny"))
    process = subprocess.Popen(
        command(folder, cache), env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 240
    while len(kept(folder)) < 3:  # two kinds of heads from the first joint training, and one more
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "no training finished in four minutes"
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = kept(folder)
    assert not (folder / "refined" / "test_split.json").exists()

    again = subprocess.run(
        command(folder, cache, "--json", str(tmp_path / "figures.json")),
        env=environment(), capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
    assert "Traceback" not in again.stderr
    after = kept(folder)
    # What was being written when the process died may be written again; what was whole stays.
    assert sum(after[name] == entry for name, entry in before.items()) >= len(before) - 1

    # One that nobody interrupted, in another process, ends the same.
    other = Path(shutil.copytree(trained, tmp_path / "other"))
    refine_here(other, cache)
    for name in ("refined", "refined_exits", "refined_validation"):
        one, two = (
            pd.read_csv(f / f"{name}.csv").drop(columns="seconds", errors="ignore") for f in (folder, other)
        )
        pd.testing.assert_frame_equal(one, two, obj=name)
    figures = json.loads((tmp_path / "figures.json").read_text())
    table = pd.read_csv(folder / "refined.csv")
    assert [row["accuracy"] for row in figures["refined"]] == pytest.approx(table["accuracy"].tolist())
    for text in ("static*", "on the headline front", "at most 0.2 points below", "refined.csv", "test split"):
        assert text in again.stdout
    assert all(row["design"][:8] in again.stdout for row in figures["refined"][2:])
    mark = json.loads((folder / "refined" / "test_split.json").read_text())
    assert mark["opened"][0]["command"].startswith("python -m study.refine tiny --seeds 2")
    assert str(tmp_path) not in json.dumps(mark)


HELP = """
import runpy, sys
sys.argv = ["study.refine", "--help"]
try:
    runpy.run_module("study.refine", run_name="__main__")
except SystemExit as ended:
    assert not ended.code, ended.code
heavy = {"torch", "torchvision", "brevitas", "optuna", "pandas", "sklearn", "plotly", "pydantic"}
assert not heavy & set(sys.modules), f"--help loads {heavy & set(sys.modules)}"
"""


def test_help_answers_without_torch_and_names_every_documented_option() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", HELP], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr
    documented = (ROOT / "docs" / "refine.md").read_text(encoding="utf-8")
    for option in (
        "--storage", "--study-name", "--seeds", "--members", "--epochs", "--no-derived", "--no-test", "--workers",
        "--data", "--weights", "--accelerator", "--device", "--set", "--json",
    ):  # fmt: skip
        assert option in ended.stdout
        assert option in documented


def refused(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    """The one line of a refusal."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        code = main(options)
    except SystemExit as ended:  # argparse
        code = int(str(ended.code))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    return line


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seeds", "0"], "refine.seeds: expected greater than or equal to 1, got 0"),
        (["--seeds", "two"], "invalid int value: 'two'"),
        (["--epochs", "0"], "refine.epochs: expected greater than 0, got 0"),
        (["--epochs", "inf"], "expected epochs above 0, got inf"),
        (["--members", "some"], "2fbcec26396c,3d886506, got 'some'"),
        (["--members", "0"], "expected --members all, headline, a number from 1 to 999 or identifiers"),
        (["--members", "1000000,"], "got '1000000,'"),
        (["--workers", "0"], "search.workers: expected greater than or equal to 1, got 0"),
        (["--set", "space.weight_bits=[8]"], "expected --set of qat, refine or run, got space.weight_bits"),
        (["--set", "qat.epochs=3"], "got qat.epochs; give --epochs"),
        (["--set", "qat.learning_rat=3"], "expected a known key, got qat.learning_rat"),
        (["--data", "no/such/images"], "got 'no/such/images', which does not exist here; name them with --data"),
        (["--weights", "no.safetensors"], "expected the float weights of the run, got 'no.safetensors'"),
        (["--accelerator", "no_such_chip"], "no_such_chip"),
        (["--device", "tpu"], "invalid choice: 'tpu'"),
        (["--fast"], "unrecognized arguments: --fast"),
        (["--storage", "nonsense"], "expected a storage URL"),
        (["--storage", "sqlite:///{}/none.db", "--study-name", "other"], "expected the study 'other' in sqlite:"),
        (["--study-name", "other"], "study.db, it holds tiny; name it with --study-name"),
        (["--json", "{}"], "expected a file for --json, got the folder"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_exit_code_2(options, message, tmp_path, finished, cache, capsys) -> None:
    folder = Path(shutil.copytree(finished, tmp_path / "tiny"))
    given = [option.format(tmp_path) for option in options]
    line = refused(capsys, str(folder), "--set", f"run.cache={cache}", *given)
    assert message in line
    assert not (folder / "refined").exists()


def test_what_is_no_run_is_refused(tmp_path, finished, cache, capsys) -> None:
    assert "expected the folder of a run" in refused(capsys, str(tmp_path / "none"))
    assert "expected config.toml in" in refused(capsys, str(tmp_path))
    folder = Path(shutil.copytree(finished, tmp_path / "tiny"))
    (folder / "study.db").unlink()
    assert "name its storage with --storage" in refused(capsys, str(folder))
    assert not (folder / "study.db").exists()
    assert "the following arguments are required: RUN" in refused(capsys)


def test_a_run_without_a_front_is_refused(tmp_path, finished, cache, capsys) -> None:
    """A study whose trials are infeasible by what hardware tells, and so untrained, made from the finished one."""
    folder = Path(shutil.copytree(finished, tmp_path / "tiny"))
    source = optuna.load_study(study_name="tiny", storage=default_url(finished))
    optuna.delete_study(study_name="tiny", storage=default_url(folder))
    copy = optuna.create_study(study_name="tiny", storage=default_url(folder), directions=source.directions)
    for name, value in source.user_attrs.items():
        copy.set_user_attr(name, value)
    line = refused(capsys, str(folder), "--set", f"run.cache={cache}")
    assert "expected a run with a front, got 0 finished trials" in line
    for trial in source.trials:
        result = {**trial.user_attrs["result"], "feasible": False, "exit_ratios": []}
        copy.add_trial(
            optuna.trial.create_trial(
                values=trial.values, params=trial.params, distributions=trial.distributions,
                user_attrs={**trial.user_attrs, "result": result},
            )
        )  # fmt: skip
    assert f"got {len(source.trials)} finished trials" in refused(
        capsys, str(folder), "--set", f"run.cache={cache}"
    )


def test_a_run_of_other_data_or_another_configuration_is_refused(tmp_path, finished, cache, capsys) -> None:
    folder = Path(shutil.copytree(finished, tmp_path / "tiny"))
    config = folder / "config.toml"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("\nseed = 0\n", "\nseed = 1\n", 1), encoding="utf-8")
    line = refused(capsys, str(folder), "--set", f"run.cache={cache}")
    assert "expected the configuration study 'tiny' was created with" in line
    config.write_text(text, encoding="utf-8")
    study = optuna.load_study(study_name="tiny", storage=default_url(folder))
    study.set_user_attr("data_fingerprint", "0" * 64)
    assert "got other images" in refused(capsys, str(folder), "--set", f"run.cache={cache}")


def test_a_lost_cache_is_made_again_and_a_change_in_it_is_said(tmp_path, finished) -> None:
    """The float network is trained again; here it comes out the same, so nothing needs to be said."""
    folder = Path(shutil.copytree(finished, tmp_path / "tiny"))
    from tests.study.refine.runs import networks_of, train_here

    cache = tmp_path / "new cache"
    train_here(folder, cache, "--seeds", "1", "--members", "1", "--epochs", "0.2")
    networks, _, _ = networks_of(folder, cache)
    _, said = refine_here(folder, cache, "--seeds", "1", "--members", "1", "--epochs", "0.2", "--no-test")
    assert "float network was trained again" not in said
    record = json.loads((folder / "environment.json").read_text())
    assert record["pretraining"]["warm_start"] == networks.context.warm.checksum
    record["pretraining"]["warm_start"] = "of another machine"
    (folder / "environment.json").write_text(json.dumps(record))
    _, said = refine_here(folder, cache, "--seeds", "1", "--members", "1", "--epochs", "0.2", "--no-test")
    assert "the float network was trained again and differs" in said
    ours = json.loads((folder / "refined" / "environment.json").read_text())["refine"]
    assert ours["warm_start_of_study"] == "of another machine"
