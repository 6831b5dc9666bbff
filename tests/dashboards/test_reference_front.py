from __future__ import annotations

import pytest

from dashboards.figures import front, front3d
from dashboards.members import linked_members, report_data
from dashboards.reference_front import load_reference_front
from hwcost.errors import OfframpError
from tests.dashboards.test_report import HOSTILE


def table(tmp_path, text, name="given.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_columns_of_this_projects_tables(tmp_path):
    text = "design,accuracy,edp_relative,mean_latency_cycles,mean_energy_pj\na,0.8,0.5,1000,2e6\nb,0.7,0.4,900,1e6\n"
    given = load_reference_front(table(tmp_path, text))
    assert given.name == "given"
    assert given.points["name"].tolist() == ["a", "b"]
    assert given.points["edp_relative"].tolist() == [0.5, 0.4]


def test_percent_millijoule_and_reduction_factors(tmp_path):
    text = "exit_blocks,top1_percent,mean_energy_mj,et_reduction_factor\n0-4-11,88.04,0.54,1.87\n"
    row = load_reference_front(table(tmp_path, text)).points.iloc[0]
    assert row["accuracy"] == pytest.approx(0.8804)
    assert row["mean_energy_pj"] == pytest.approx(0.54e9)
    assert row["edp_relative"] == pytest.approx(1 / 1.87)
    assert row["name"] == "0-4-11"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n", "a column accuracy"),
        ("accuracy\n0.5\n", "one of edp_relative"),
        ("accuracy,edp_relative\n88,0.5\n", "accuracies of 0 to 1"),
        ("accuracy,edp_relative\n0.8,x\n", "got 'x' in row 1"),
        ("accuracy,edp_relative\n0.8,-1\n", "at least 0"),
        ("accuracy,edp_relative\n", "accuracies of 0 to 1"),
        ("", "CSV table"),
    ],
)
def test_what_is_no_front_is_refused(tmp_path, text, said):
    with pytest.raises(OfframpError, match="expected") as caught:
        load_reference_front(table(tmp_path, text))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_is_drawn_where_its_costs_are_known(data, tmp_path):
    name = "".join(c for c in HOSTILE if c not in "/") + ".csv"
    text = "accuracy,edp_relative,mean_latency_cycles\n0.95,0.5,20000\n0.9,0.4,10000\n"
    given = load_reference_front(table(tmp_path, text, name))
    drawn = report_data(data.results, given)
    members = linked_members(drawn.members, 9)
    figures = front.view(drawn, members).figures
    traces = {
        key: [t for t in figure["data"] if t["name"].startswith("&lt;")] for key, figure in figures.items()
    }
    assert {key: len(found) for key, found in traces.items()} == {"edp": 1, "latency": 1, "energy": 0}
    assert traces["edp"][0]["x"] == [0.4, 0.5]  # by rising cost, as a staircase needs
    low, high = figures["edp"]["layout"]["yaxis"]["range"]
    assert low < 90 < 95 < high
    assert len(front3d.view(drawn, members).figures["all"]["data"]) == 5  # energy is not given: not drawn
