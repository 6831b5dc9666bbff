from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from models.architecture import Architecture
from study.doctor import main
from study.leases import OWNER_KEY, Owner
from study.storage import default_url, open_storage, tell_result
from study.storage.studies import _VALUES_KEY
from tests.study.bench import bench_context, predictions, run_trials
from tests.study.spaces import record
from tests.study.synthetic import objectives


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A study of three trials with predictions, nothing wrong."""
    run_trials(bench_context(tmp_path), 3)
    (tmp_path / ".study").write_text("bench\n")
    return tmp_path


def doctor(capsys: pytest.CaptureFixture[str], *options: object) -> tuple[int, str]:
    code = main([str(option) for option in options])
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return code, out + err


def contents(folder: Path) -> dict[str, bytes]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {
        str(f.relative_to(folder)): f.read_bytes() for f in files if not f.name.endswith(("-wal", "-shm"))
    }


def study_of(folder: Path) -> optuna.Study:
    return optuna.load_study(storage=open_storage(default_url(folder)), study_name="bench")


def test_a_sound_study_is_called_sound_and_left_as_it_is(folder, capsys):
    before = contents(folder)
    code, out = doctor(capsys, "--out", folder, "--json", folder.parent / "findings.json")
    assert code == 0, out
    assert out.splitlines()[-1] == "sound"
    assert contents(folder) == before
    values = json.loads((folder.parent / "findings.json").read_text())
    assert (values["study"], values["sound"], values["backup"]) == ("bench", True, None)
    assert "3 COMPLETE" in out
    assert doctor(capsys, "--out", folder, "--repair")[0] == 0
    assert contents(folder) == before  # nothing to mend


def test_trials_of_the_dead_are_put_aside_only_when_asked(folder, capsys):
    study = study_of(folder)
    dead = replace(Owner.this_process("r", 0), process=2**22 + 1)
    for owner in (dead, dead, Owner.this_process("r", 0)):
        trial = study.ask()
        study._storage.set_trial_system_attr(trial._trial_id, OWNER_KEY, owner.attribute())
    study._storage.set_trial_system_attr(study.trials[4]._trial_id, _VALUES_KEY, [0.1, 1.0, 2.0])
    study._storage.set_trial_user_attr(study.trials[4]._trial_id, "result", record(0.9, 1.0, 2.0).to_json())
    code, out = doctor(capsys, "--out", folder)
    assert code == 1
    assert "trial(s) 3 4 of workers that are gone; 1 of them have their results" in out
    assert "--repair" in out
    assert [t.state for t in study_of(folder).trials[3:]] == [TrialState.RUNNING] * 3
    code, out = doctor(capsys, "--out", folder, "--repair")
    assert code == 0, out
    states = [t.state for t in study_of(folder).trials[3:]]
    assert states == [TrialState.FAIL, TrialState.COMPLETE, TrialState.RUNNING]  # the last one is alive
    kept = json.loads((folder / "doctor-1" / "trials.json").read_text())
    assert [trial["number"] for trial in kept] == [3, 4]
    assert doctor(capsys, "--out", folder)[0] == 0


def test_a_torn_journal_is_mended_with_a_copy(tmp_path, capsys):
    path = tmp_path / "study.log"
    url = f"journal:///{path}"
    run_trials(bench_context(tmp_path / "run"), 1)
    optuna.copy_study(
        from_study_name="bench", from_storage=default_url(tmp_path / "run"), to_storage=open_storage(url)
    )
    whole = path.read_bytes().splitlines(keepends=True)
    torn = b"".join([*whole[:3], whole[3][:15] + whole[3], *whole[4:], whole[0][:9]])
    path.write_bytes(torn)
    options = ("--storage", url, "--study-name", "bench", "--out", tmp_path / "run")
    code, out = doctor(capsys, *options)
    assert code == 1
    assert "1 line(s) cannot be read, the first is line 4" in out
    assert "half a line of 9 bytes" in out
    assert path.read_bytes() == torn
    code, out = doctor(capsys, *options, "--repair")
    assert code == 0, out
    assert path.read_bytes() == b"".join(whole)
    assert (tmp_path / "run" / "doctor-1" / "study.log").read_bytes() == torn
    assert len(optuna.load_study(storage=open_storage(url), study_name="bench").trials) == 1


def test_what_can_be_read_of_a_damaged_database_is_saved(folder, capsys):
    study = study_of(folder)
    for _ in range(40):  # several pages of trials
        tell_result(study, study.ask(), record(), objectives(record()))
    path = folder / "study.db"
    with sqlite3.connect(path) as base:
        base.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    del study
    page = int.from_bytes(path.read_bytes()[16:18], "big")
    with sqlite3.connect(path) as base:
        root = base.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'trial_user_attributes'"
        ).fetchone()[0]
    content = bytearray(path.read_bytes())
    # Leaves of the largest table lie behind its root; one of them is lost.
    leaf = next(n for n in range(root, len(content) // page) if content[n * page] == 0x0D and n > root + 3)
    content[leaf * page : leaf * page + 200] = b"\xff" * 200
    path.write_bytes(content)
    damaged = path.read_bytes()
    code, out = doctor(capsys, "--out", folder)
    assert code == 1
    assert "study.db is damaged" in out
    code, out = doctor(capsys, "--out", folder, "--repair")
    assert "were saved into a new database" in out
    assert (folder / "doctor-1" / "study.db").read_bytes() == damaged
    assert len(study_of(folder).trials) > 20
    with sqlite3.connect(path) as base:
        assert base.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_database_without_its_first_page_is_said_to_be_lost(folder, capsys):
    path = folder / "study.db"
    with sqlite3.connect(path) as base:
        base.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(path.read_bytes())
    content[100:4096] = b"\xff" * 3996
    path.write_bytes(content)
    code, out = doctor(capsys, "--out", folder, "--repair")
    assert code == 1
    assert "nothing could be read from it" in out
    assert path.read_bytes() == content
    assert not path.with_name("study.db.rebuilt").exists()


def test_a_damaged_storage_is_not_mended_while_others_work_on_it(folder, capsys):
    path = folder / "study.db"
    with sqlite3.connect(path) as base:
        base.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(path.read_bytes())
    content[4096 * 2 : 4096 * 2 + 300] = b"\xff" * 300
    path.write_bytes(content)
    code = "import sys, time; f = open(sys.argv[1], 'rb'); print('open', flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout.readline() == "open\n"
        status, out = doctor(capsys, "--out", folder, "--repair")
        worker.kill()
    assert status == 1
    assert f"not mended, as 1 process(es) have it open ({worker.pid})" in out
    assert path.read_bytes() == content
    assert not (folder / "doctor-1").exists()


def test_networks_of_no_finished_trial_are_named_and_go_only_when_asked(folder, capsys):
    context = bench_context(folder)
    n = context.spec.n_blocks
    orphan = Architecture((3,), ("fc", "fc"), (4,) * n, (4,) * n, 4, 4)
    memo = context.evaluator.memo
    memo.store(orphan, predictions(orphan))
    memo.store(Architecture.static(n), predictions(Architecture.static(n)))  # the reference's
    files = sorted(file.name for file in (folder / "predictions").glob(f"{memo.key(orphan)[:32]}*.npz"))
    assert len(files) == 2
    for options in ((), ("--repair",)):
        code, out = doctor(capsys, "--out", folder, *options)
        assert code == 0
        assert "orphans: 2 file(s) of networks of no finished trial, kept" in out
        assert all((folder / "predictions" / name).exists() for name in files)
    code, out = doctor(capsys, "--out", folder, "--repair", "--orphans")
    assert code == 0
    assert sorted(file.name for file in (folder / "doctor-1").rglob("*.npz")) == files
    assert memo.find(orphan) is None
    assert memo.find(Architecture.static(n)) is not None
    assert "orphans: no files" in doctor(capsys, "--out", folder)[1]


def test_a_calibration_half_alone_and_young_leftovers_are_left(folder, capsys):
    half = next((folder / "predictions").glob("*.validation.npz"))
    half.unlink()
    young, old = folder / ".a.csv.12.tmp", folder / ".b.csv.13.tmp"
    young.write_text("half")
    old.write_text("half")
    os.utime(old, (0, 0))
    code, out = doctor(capsys, "--out", folder, "--repair")
    assert code == 0
    assert "leftovers: 1 half-written file(s)" in out
    assert young.exists()
    assert not old.exists()
    assert list((folder / "predictions").glob("*.calibration.npz"))


def test_damaged_files_are_taken_away_and_others_stay(folder, capsys):
    predictions = sorted((folder / "predictions").glob("*.npz"))
    assert len(predictions) >= 4
    predictions[0].write_bytes(predictions[0].read_bytes()[:100])
    (folder / "derived").mkdir(exist_ok=True)
    (folder / "derived" / "x-y.jsonl").write_text("{half")
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "z.safetensors").write_bytes(b"\x00" * 50)
    code, out = doctor(capsys, "--out", folder)
    assert code == 1
    for words in ("predictions: 1 file(s) cannot be read", "derived: 1 file(s)", "checkpoints: 1 file(s)"):
        assert words in out
    assert doctor(capsys, "--out", folder, "--repair")[0] == 0
    assert (folder / "doctor-1" / "derived" / "x-y.jsonl").read_text() == "{half"
    assert all(file.exists() for file in predictions[2:])
    assert not predictions[0].exists()
    assert doctor(capsys, "--out", folder)[0] == 0


def test_a_changed_description_is_a_fault(folder, capsys):
    study_of(folder).set_user_attr("identity", json.dumps({"search": {"seed": 5}}))
    code, out = doctor(capsys, "--out", folder)
    assert code == 1
    assert "does not have the stored fingerprint" in out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--out", "nowhere"), "expected the folder of a run"),
        (("--out", "."), "no study.db there"),
        (("--storage", "journal:///nothing.log"), "no such file"),
        (("--storage", "nonsense"), "expected a storage URL"),
    ],
)
def test_bad_input_is_one_line(tmp_path, monkeypatch, capsys, options, message):
    monkeypatch.chdir(tmp_path)
    code, out = doctor(capsys, *options)
    assert code == 2
    assert message in out
    assert len(out.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_another_studys_name_is_told(folder, capsys):
    code, out = doctor(capsys, "--out", folder, "--study-name", "other")
    assert code == 2
    assert "got 'bench'" in out


def test_a_file_that_is_no_database_is_a_fault_that_nobody_can_mend(tmp_path, capsys):
    (tmp_path / "study.db").write_text("my notes, not a database")
    code, out = doctor(capsys, "--out", tmp_path, "--repair")
    assert code == 1
    assert "no sqlite database" in out
    assert (tmp_path / "study.db").read_text().startswith("my notes")
