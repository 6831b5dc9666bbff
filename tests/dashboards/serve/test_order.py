"""The order of our figures in optuna-dashboard's answers."""

from __future__ import annotations

import json

import pytest

from dashboards.serve.order import in_order, ordered


def study(*names):
    return {
        "trials": [{"params": {"x": "\u2028 é"}}],
        "plotly_graph_objects": [{"id": n, "graph_object": n} for n in names],
    }


def names(content):
    return [figure["id"] for figure in json.loads(content)["plotly_graph_objects"]]


def asked(content, path, status="200 OK", method="GET"):
    told = []

    def application(environ, start):
        start(status, [("Content-Type", "application/json"), ("Content-Length", str(len(content)))])
        return [content[:5], content[5:]]

    environ = {"PATH_INFO": path, "REQUEST_METHOD": method}
    answer = ordered(application, lambda: ("front", "bits"))(environ, lambda *said: told.append(said))
    return told[0], b"".join(answer)


def test_figures_come_in_the_order_given_and_unknown_ones_by_name_after_them():
    content = json.dumps(study("b", "bits", "a", "front")).encode()
    assert names(in_order(content, ["front", "bits"])) == ["front", "bits", "a", "b"]


def test_the_key_inside_of_a_text_is_no_key():
    before = {"note": '"plotly_graph_objects": [{"id": "x"}, {"id": "a"}]', **study("bits", "front")}
    content = in_order(json.dumps(before).encode(), ["front", "bits"])
    assert names(content) == ["front", "bits"]
    assert json.loads(content)["note"] == before["note"]


def test_the_rest_of_the_answer_is_what_it_was():
    before = study("bits", "front")
    after = json.loads(in_order(json.dumps(before).encode(), ["front", "bits"]))
    assert after == before | {"plotly_graph_objects": after["plotly_graph_objects"]}


@pytest.mark.parametrize("content", [b"{", b"[]", b"{}", b'{"plotly_graph_objects": [1, 2]}', b"\xff"])
def test_an_answer_of_another_kind_passes_unchanged(content):
    assert in_order(content, ["front"]) == content


def test_answers_about_a_study_are_ordered_with_their_length():
    (status, headers), content = asked(json.dumps(study("bits", "front")).encode(), "/api/studies/0")
    assert status == "200 OK"
    assert names(content) == ["front", "bits"]
    assert dict(headers)["Content-Length"] == str(len(content))


@pytest.mark.parametrize(
    ("path", "status", "method"),
    [
        ("/api/studies", "200 OK", "GET"),
        ("/api/studies/0/param_importances", "200 OK", "GET"),
        ("/api/studies/0", "404 Not Found", "GET"),
        ("/api/studies/0", "200 OK", "HEAD"),
    ],
)
def test_other_answers_pass_unchanged(path, status, method):
    before = json.dumps(study("bits", "front")).encode()
    (said, headers), content = asked(before, path, status, method)
    assert content == before
    assert said == status
    assert dict(headers)["Content-Length"] == str(len(before))
