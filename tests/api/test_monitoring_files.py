"""Dashboard and alert rules ask for what /metrics serves, and count nothing twice."""

import json
from pathlib import Path

import promql_parser
import pytest
import yaml
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from app.main import create_app
from app.observing.gauges import GAUGES
from app.settings import Settings
from tests.conftest import RecordingDispatcher

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "prometheus" / "alerts.yml"
DASHBOARD = DEPLOY / "grafana" / "sfumato.json"
# Prometheus' own, of every target.
OF_TARGETS = {"instance", "job"}
PARTS = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "info": ("_info",)}


def rules() -> list[dict]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    assert len({group["name"] for group in groups}) == len(groups)
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict]:
    return [one for one in json.loads(DASHBOARD.read_text())["panels"] if one["type"] != "row"]


def expressions() -> list[str]:
    asked = [target["expr"] for panel in panels() for target in panel["targets"]]
    return [*(rule["expr"] for rule in rules()), *asked]


@pytest.fixture(scope="module")
def served(sqlite_template) -> dict[str, set[str]]:
    """By name of a series its labels, as a server shows them that has answered once."""
    from app.store import Database

    database = Database(f"sqlite:///{sqlite_template}")
    app = create_app(Settings(metrics_open=True), database, RecordingDispatcher())
    client = TestClient(app)
    client.get("/health/live")
    found = {"up": OF_TARGETS}
    for family in text_string_to_metric_families(client.get("/metrics").text):
        for part in PARTS.get(family.type, ("",)):
            found[family.name + part] = set(OF_TARGETS)
        for sample in family.samples:
            found.setdefault(sample.name, set(OF_TARGETS)).update(sample.labels)
    for gauge in GAUGES:
        found[gauge.name].update(gauge.labels)
    database.dispose()
    return found


def asked_of(expression: str) -> list[tuple[str, set[str], list[str]]]:
    """Each series of an expression: its name, the labels that are asked of it, and the
    aggregations around it, outermost first.
    """
    found, around = [], []

    def enter(node) -> None:
        if isinstance(node, promql_parser.AggregateExpr):
            around.append(node)
        # Those within ranges come too.
        if isinstance(node, promql_parser.VectorSelector):
            labels = {one.name for one in node.matchers.matchers}
            for aggregation in around:
                if aggregation.modifier is not None:
                    labels.update(aggregation.modifier.labels)
            found.append((node.name, labels, [str(one.op) for one in around]))

    def leave(node) -> None:
        if isinstance(node, promql_parser.AggregateExpr):
            around.pop()

    promql_parser.walk(promql_parser.parse(expression), enter, leave)
    return found


def test_what_an_expression_asks_for_is_found_wherever_it_stands():
    asked = asked_of('sum by (le) (rate(a_bucket{x="1"}[5m])) / on (q) max(max by (q) (b))')
    assert asked == [("a_bucket", {"x", "le"}, ["sum"]), ("b", {"q"}, ["max", "max"])]


@pytest.mark.parametrize("expression", expressions())
def test_every_series_is_served_with_its_labels_and_none_is_counted_twice(served, expression):
    asked = asked_of(expression)
    assert asked
    of_installation = {gauge.name for gauge in GAUGES}
    for name, labels, around in asked:
        assert name in served
        assert labels <= served[name], name
        # Every process shows these: the innermost thing to do with them is to take one.
        assert name not in of_installation or around[-1] == "max", name


def test_every_gauge_and_request_metric_is_looked_at_by_somebody(served):
    asked = {name for expression in expressions() for name, *_ in asked_of(expression)}
    ours = {name for name in served if name.startswith("sfumato_")}
    unseen = ours - asked
    histogram = {f"sfumato_http_request_seconds{part}" for part in PARTS["histogram"]}
    assert {name for name in unseen if not name.endswith("_created")} <= histogram | {
        "sfumato_build_info"
    }


def test_rules_are_whole():
    found = rules()
    assert len({rule["alert"] for rule in found}) == len(found)
    for rule in found:
        assert rule.keys() - {"for"} == {"alert", "expr", "labels", "annotations"}
        assert rule["alert"].startswith("Sfumato")
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert set(rule["annotations"]) == {"summary", "description"}
        if "for" in rule:
            promql_parser.parse_duration(rule["for"])


def test_panels_are_whole_and_lie_beside_each_other():
    document = json.loads(DASHBOARD.read_text())
    assert document["uid"] == "sfumato"
    ids = [panel["id"] for panel in document["panels"]]
    assert len(set(ids)) == len(ids)
    taken = set()
    for panel in document["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
