"""Runs that share a study or a folder, and what the page and the script say about them."""

from __future__ import annotations

import re
import subprocess
import threading
from pathlib import Path

import pandas as pd
import pytest

from hwcost.errors import OfframpError
from study.proxy import main as proxy_main
from study.run import build_parser
from study.runner import claim_folder
from tests.study.command import run_study

DOCS = Path(__file__).parents[2] / "docs"


def test_a_folder_belongs_to_one_study(tmp_path):
    out = tmp_path / "runs" / "x"
    claim_folder(out, "first")
    claim_folder(out, "first")  # any number of runs of it
    (out / "designs.csv").write_text("first's\n")
    with pytest.raises(OfframpError, match=r"expected the folder of study 'second', got .* of study 'first'"):
        claim_folder(out, "second")
    assert (out / "designs.csv").read_text() == "first's\n"
    with pytest.raises(OfframpError, match="expected a folder to write results to"):
        claim_folder(out / "designs.csv" / "below", "first")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--storage", "journal:///x.log"), "expected a database behind the proxy"),
        (("--storage", "grpc://127.0.0.1:1"), "expected a database behind the proxy"),
        (("--storage", "nonsense"), "expected a storage URL"),
        (("--storage", "sqlite:///x.db", "--port", "0"), "expected a port in 1..65535"),
        (("--storage", "postgresql://me:secret@127.0.0.1:1/x"), "storage that can be reached"),
    ],
)
def test_the_proxy_refuses_in_one_line(tmp_path, monkeypatch, capsys, options, message):
    monkeypatch.chdir(tmp_path)
    assert proxy_main(options) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "secret" not in error
    assert len(error.splitlines()) == 1


def test_the_job_script_is_a_script_and_its_options_exist():
    script = DOCS / "slurm-array.sh"
    subprocess.run(["bash", "-n", str(script)], check=True)
    # Without B: Slurm signals job steps alone, and there are none.
    assert "#SBATCH --signal=B:TERM@120" in script.read_text().splitlines()
    known = set(build_parser()._option_string_actions)
    used = set(re.findall(r"(?<!\w)--[a-z-]+(?= )", script.read_text().partition("exec ")[2]))
    assert used
    assert used <= known


def test_the_pages_lease_is_the_programs():
    from study.config import RunConfig

    assert f"(default {RunConfig().lease_seconds:.0f})" in (DOCS / "many-machines.md").read_text()


@pytest.mark.slow
def test_two_folders_finish_one_study(tmp_path: Path, study_cache: Path) -> None:
    """The same command twice at once, as on two machines with one cache: one study, two whole sets of tables."""
    url = f"journal:///{tmp_path}/study.log"
    done = {}

    def run(name: str) -> None:
        done[name] = run_study(
            tmp_path,
            study_cache,
            "--trials",
            "8",
            "--workers",
            "1",
            "--storage",
            url,
            "--out",
            name,
            timeout=900,
        )

    threads = [threading.Thread(target=run, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tables = {}
    for name, process in done.items():
        assert process.returncode == 0, process.stderr
        tables[name] = pd.read_csv(tmp_path / name / "trials.csv")
        assert (tables[name]["state"] == "COMPLETE").sum() == 8
    pd.testing.assert_frame_equal(tables["one"], tables["two"])
    references = [(tmp_path / name / "static_reference.json").read_text() for name in done]
    assert references[0] == references[1]
