"""The server as a client meets it: what it gives, and whom and what it refuses."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys

import pytest

from dashboards.serve.__main__ import main, prepare
from dashboards.serve.server import check_host
from hwcost.errors import OfframpError
from study.storage import keep_reference, kept_reference, store_result
from tests.dashboards.serve.conftest import ENVIRONMENT
from tests.study.bench import bench_context, run_trials, static_reference


def ask(serving, path, method="GET", host=None, body=None):
    address, port = serving.server.server_address[:2]
    connection = http.client.HTTPConnection(str(address), port, timeout=60)
    headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
    connection.request(method, path, body=body, headers=headers | ({"Host": host} if host else {}))
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer, content


@pytest.fixture(scope="module")
def detail(serving):
    answer, content = ask(serving, "/api/studies/0")
    assert answer.status == 200
    return json.loads(content)


def test_shows_every_trial_with_constraints_and_metric_names(detail, bench):
    assert len(detail["trials"]) == 7
    assert detail["objective_names"] == ["error", "mean_latency_cycles", "mean_energy_pj"]
    for trial in detail["trials"]:
        attributes = {a["key"]: a["value"] for a in trial["user_attrs"]}
        assert (max(trial["constraints"]) <= 0) == (attributes["feasible"] == "True")


def test_saves_figures_notes_and_attributes(detail):
    figures = {entry["id"]: json.loads(entry["graph_object"]) for entry in detail["plotly_graph_objects"]}
    assert {
        "front-edp",
        "exit-ratios-all",
        "bits-weights",
        "memory-energy-mean",
        "hypervolume-trials",
    } <= set(figures)
    assert {"hypervolume-time"} <= set(figures)
    # A set of eleven names is in this order by chance once in a million starts.
    assert [name.rpartition("-")[0] for name in figures] == (
        ["front"] * 3
        + ["exit-ratios"]
        + ["bits"] * 2
        + ["memory-energy"] * 2
        + ["hypervolume"] * 2
        + ["parallel"]
    )
    assert next(iter(figures)) == "front-edp"
    names = [trace.get("name") for trace in figures["front-edp"]["data"]]
    assert "static reference" in names
    assert "front" in names
    assert all("bdata" not in json.dumps(figure) for figure in figures.values())
    assert "copy of the study" in detail["note"]["body"]
    assert {"accelerator", "backbone", "data", "seed"} <= {a["key"] for a in detail["user_attrs"]}


def test_notes_have_the_place_of_their_trial_on_the_front(detail):
    """The front of the objectives, or of accuracy and product, by a loop over the trials."""
    results = {}
    for trial in detail["trials"]:
        told = {a["key"]: a["value"] for a in trial["user_attrs"]}
        if told["feasible"] == "True":
            product = -float(told["accuracy"]), float(told["mean_edp_pj_cycles"])
            results[trial["number"]] = [float(value) for value in trial["values"]], product

    def leads(number, kind):
        mine = results[number][kind]
        others = (result[kind] for other, result in results.items() if other != number)
        return not any(
            all(a <= b for a, b in zip(o, mine, strict=True)) and tuple(o) != tuple(mine) for o in others
        )

    front = [number for number in results if leads(number, 0) or leads(number, 1)]
    places = {number: i + 1 for i, number in enumerate(sorted(front, key=lambda n: results[n][0][0]))}
    noted = {trial["number"]: trial["note"]["body"] for trial in detail["trials"] if trial["note"]["body"]}
    assert noted
    assert len(noted) < len(detail["trials"])
    for number, note in noted.items():
        also = ", on the front of accuracy and product" if leads(number, 1) else ""
        assert note.startswith(f"### Front member {places[number]}{also}\n")


def test_gives_the_files_of_each_trained_design(detail, serving, bench):
    trained = [trial for trial in detail["trials"] if trial["artifacts"]]
    assert trained
    offered = {a["filename"]: a for a in trained[0]["artifacts"]}
    assert set(offered) == {"network.svg", "model_card.md", "layers.csv", "checkpoint.safetensors"}
    place = f"/artifacts/0/{trained[0]['trial_id']}/"
    content = {name: ask(serving, place + a["artifact_id"])[1] for name, a in offered.items()}
    assert content["network.svg"].startswith(b"<svg")
    assert content["checkpoint.safetensors"] == b"weights"
    assert content["layers.csv"].startswith(b"design,trial,layer")
    assert b"exit after block" in content["model_card.md"]
    number = next(a["value"] for a in trained[0]["user_attrs"] if a["key"] == "trial")
    assert content["model_card.md"].startswith(f"### Trial {number}\n".encode())


@pytest.mark.parametrize(
    "path",
    ["../../../study.db", "..%2f..%2fstudy.db", "%2fetc%2fpasswd", "00000000-0000-0000-0000-000000000000"],
)
def test_paths_that_are_no_files_on_offer_are_not_found(serving, path):
    answer, content = ask(serving, f"/artifacts/0/0/{path}")
    assert answer.status == 404
    assert b"SQLite" not in content


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_changes_are_refused(serving, method):
    answer, content = ask(serving, "/api/studies/0", method, body="{}")
    assert answer.status == 403
    assert b"copy of the study" in content
    assert ask(serving, "/api/studies/0")[0].status == 200


@pytest.mark.parametrize("host", ["example.org", "example.org:80", "127.0.0.1.example.org", ""])
def test_requests_for_another_name_are_refused(serving, host):
    assert ask(serving, "/api/studies", host=host or "x")[0].status == 403


@pytest.mark.parametrize("host", ["localhost:9", "127.0.0.1", "127.0.0.2:8080", "LOCALHOST"])
def test_requests_for_this_machine_are_answered(serving, host):
    answer, _ = ask(serving, "/api/studies", host=host)
    assert answer.status == 200
    assert answer.getheader("X-Content-Type-Options") == "nosniff"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.org", ""])
def test_addresses_that_others_reach_are_refused(host):
    with pytest.raises(OfframpError, match="allow-remote"):
        check_host(host, allow_remote=False)
    check_host(host, allow_remote=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.2"])
def test_addresses_of_this_machine_are_taken(host):
    check_host(host, allow_remote=False)


def test_an_address_that_it_cannot_listen_to_is_refused():
    with pytest.raises(OfframpError, match="cannot listen"):
        check_host("::1", allow_remote=False)


def test_the_storage_of_the_study_is_left_alone(serving, bench):
    before = (bench.folder / "study.db").stat().st_mtime_ns
    serving.view.update()
    assert (bench.folder / "study.db").stat().st_mtime_ns == before


def test_follows_a_study_that_runs(tmp_path, bench):
    context = bench_context(tmp_path / "run")
    study = run_trials(context, 1)
    ready = prepare(f"sqlite:///{tmp_path / 'run' / 'study.db'}", "bench", None, None, "127.0.0.1", 0, 1000)
    assert kept_reference(study) is None
    assert not ready.view._saved  # the static reference is still being trained
    study.set_user_attr("environment", ENVIRONMENT)
    keep_reference(study, static_reference(context))
    trial = study.ask(context.space.distributions())
    assert ready.view.update() == 1
    genome = context.space.decode(trial.params)
    record = context.evaluator.evaluate(genome)
    store_result(trial, record)
    values = context.evaluator.objectives.values(record)
    study.tell(trial, values)
    assert ready.view.update() == 1
    assert ready.view.copy.study.trials[1].values == list(values)
    assert "front-edp" in ready.view._saved
    ready.server.server_close()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--storage", "sqlite:////nowhere/study.db"], "which is not there"),
        (["--run", "/nowhere"], "which is not there"),
        (["--host", "0.0.0.0"], "--allow-remote"),
        (["--storage", "BENCH", "--study-name", "other"], "out of 'bench'"),
        (["--storage", "nonsense"], "storage URL"),
        (["--storage", "BENCH", "--port", "TAKEN"], "free port"),
        (["--storage", "BENCH", "--port", "70000"], "0 to 65535"),
    ],
)
def test_bad_input_is_one_line_and_status_two(options, said, bench, serving, capsys):
    taken = str(serving.server.server_address[1])
    filled = [{"BENCH": bench.url, "TAKEN": taken}.get(option, option) for option in options]
    assert main(filled) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_help_loads_neither_optuna_nor_plotly():
    code = (
        "import runpy, sys\nsys.argv = ['dashboards.serve', '--help']\n"
        "try:\n    runpy.run_module('dashboards.serve', run_name='__main__')\n"
        "except SystemExit as ended:\n    assert not ended.code\n"
        "assert not {'optuna', 'plotly', 'pandas', 'torch'} & set(sys.modules)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr
