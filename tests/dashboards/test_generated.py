"""What is generated is current, and is what Grafana accepts and people can use."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml

from baggage.dashboards import render
from baggage.domain.journey import JourneyState
from baggage.domain.stages import Stage
from tests.dashboards.grafana import Json, alerting, dashboards, other_queries, panel_queries, rules, variables
from tests.manifests.manifests import REPOSITORY, build, find

every_dashboard = pytest.mark.parametrize("name", dashboards())
# A wall screen of 1920 x 1080 shows so many rows of Grafana's grid.
_WALL_SCREEN = 26
_EXPECTED = {
    "flight-ops-overview",
    "flight-drilldown",
    "itinerary-view",
    "bag-journey",
    "service-quality",
    "pipeline-health",
    "runbooks",
}


def dashboard(name: str) -> Json:
    """A generated dashboard."""
    return dashboards()[name]


def test_the_generated_files_are_current() -> None:
    assert render.stale() == [], "run `make dashboards` and commit what it writes"


@pytest.mark.parametrize("changed", ["grafonnet/lib/theme.libsonnet", "base/grafana/dashboards/bag-journey.json"])
def test_a_stale_file_is_noticed_without_grafonnet(
    changed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(REPOSITORY / "grafonnet", tmp_path / "grafonnet", ignore=shutil.ignore_patterns("vendor"))
    shutil.copytree(REPOSITORY / "base/grafana", tmp_path / "base/grafana")
    for name in ("REPOSITORY", "SOURCES", "VENDOR", "OUTPUT", "RECORD"):
        monkeypatch.setattr(render, name, tmp_path / getattr(render, name).relative_to(REPOSITORY))
    assert render.stale() == []
    with (tmp_path / changed).open("a") as file:
        file.write("\n")
    assert render.stale() == ["grafonnet/rendered.sha256"]
    with pytest.raises(render.RenderError, match="jb install"):
        render.render()


def test_all_dashboards_are_there_and_their_uids_are_unique() -> None:
    assert dashboards().keys() == _EXPECTED
    uids = [each["uid"] for each in dashboards().values()]
    assert len(uids) == len(set(uids))
    titles = [each["title"] for each in dashboards().values()]
    assert len(titles) == len(set(titles))


@every_dashboard
def test_every_panel_says_what_it_shows_in_which_unit_and_what_no_data_means(name: str) -> None:
    for panel in dashboard(name)["panels"]:
        assert len(panel["description"]) > 20, panel["title"]
        if panel["type"] == "text":
            continue
        defaults = panel["fieldConfig"]["defaults"]
        assert defaults["unit"], panel["title"]
        assert defaults["noValue"], panel["title"]
        for override in panel["fieldConfig"]["overrides"]:
            assert {"displayName", "unit"} <= {each["id"] for each in override["properties"]}, panel["title"]


@every_dashboard
def test_panels_fill_the_grid_without_overlap(name: str) -> None:
    positions = [panel["gridPos"] for panel in dashboard(name)["panels"]]
    cells = [
        (x, y) for at in positions for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(cells) == len(set(cells))
    assert all(x < 24 for x, _ in cells)
    height = max(y for _, y in cells) + 1
    assert len(cells) == 24 * height, "no gap"
    assert height <= _WALL_SCREEN or name == "runbooks", "runbooks are read at a desk"


@every_dashboard
def test_queries_go_to_the_provisioned_datasource(name: str) -> None:
    (source,) = yaml.safe_load((render.OUTPUT / "datasources.yaml").read_text())["datasources"]
    known = {"type": source["type"], "uid": source["uid"]}
    for panel in dashboard(name)["panels"]:
        if panel["type"] == "text":
            continue
        assert panel["datasource"] == known
        assert all(target["datasource"] == known for target in panel["targets"])
    for variable in variables(dashboard(name)):
        assert variable["type"] != "query" or variable["datasource"] == known
    for annotation in dashboard(name).get("annotations", {}).get("list", []):
        assert annotation["datasource"] == known


@every_dashboard
def test_every_variable_that_is_used_is_declared_and_the_other_way_round(name: str) -> None:
    of = dashboard(name)
    declared = {variable["name"] for variable in variables(of)}
    texts = [query.sql for query in [*panel_queries(name, of), *other_queries(name, of)]]
    texts += [panel["title"] for panel in of["panels"]]
    used = {
        variable for text in texts for variable in re.findall(r"\$\{?([a-z]\w*)", text) if not variable.startswith("__")
    }
    assert used == declared


def test_links_lead_to_dashboards_with_the_variables_that_they_set() -> None:
    by_uid = {each["uid"]: each for each in dashboards().values()}
    text = json.dumps(dashboards()) + json.dumps(rules())
    links = re.findall(r"/?d/(baggage-[a-z]+)([^\"'\s]*)", text)
    assert {uid for uid, _ in links} == by_uid.keys() - {"baggage-flights", "baggage-quality"}
    for uid, parameters in links:
        declared = {variable["name"] for variable in variables(by_uid[uid])}
        assert set(re.findall(r"var-(\w+)=", parameters)) <= declared
    for each in dashboards().values():
        (menu,) = each["links"]
        assert menu["includeVars"]
        assert menu["keepTime"]
        assert set(menu["tags"]) <= set(each["tags"])


def test_each_dashboard_is_small_and_has_a_config_map_of_its_own_where_grafana_reads_it() -> None:
    manifests = build("base/grafana")
    pod = find(manifests, "StatefulSet", "grafana")["spec"]["template"]["spec"]
    mounts = {each["name"]: each["mountPath"] for each in pod["containers"][0]["volumeMounts"]}
    volumes = {each["name"]: each for each in pod["volumes"]}
    provider = yaml.safe_load((render.OUTPUT / "dashboard-provider.yaml").read_text())["providers"][0]
    assert mounts["dashboards"] == provider["options"]["path"]
    held = []
    for source in volumes["dashboards"]["projected"]["sources"]:
        (file,) = find(manifests, "ConfigMap", source["configMap"]["name"])["data"]
        held.append(file)
    assert sorted(held) == [f"{name}.json" for name in sorted(dashboards())]
    assert all(len(path.read_bytes()) < 200_000 for path in render.OUTPUT.glob("dashboards/*.json"))
    for volume, folder in (("dashboard-provider", "dashboards"), ("alerting", "alerting"), ("datasources",) * 2):
        assert mounts[volume] == f"/etc/grafana/provisioning/{folder}"
    alerts = find(manifests, "ConfigMap", volumes["alerting"]["configMap"]["name"])["data"]
    assert alerts.keys() == {path.name for path in render.OUTPUT.glob("alerting/*.yaml")}


def test_rules_are_what_grafana_accepts() -> None:
    assert len({rule["uid"] for rule in rules()}) == len(rules()) == 12
    for rule in rules():
        assert len(rule["uid"]) <= 40
        ids = [query["refId"] for query in rule["data"]]
        assert len(ids) == len(set(ids))
        assert rule["condition"] in ids
        # Grafana's provisioning replaces variables of the environment in labels.
        assert not any("$" in label for label in rule["labels"].values())


def test_every_text_of_an_alert_uses_only_what_its_queries_return() -> None:
    for rule in rules():
        ids = {query["refId"] for query in rule["data"]}
        text = json.dumps(rule["annotations"])
        assert set(re.findall(r"\$values\.(\w+)", text)) <= ids
        for query in rule["data"][:-1]:
            sql = query["model"]["rawSql"]
            assert all(re.search(rf"(AS|SELECT) {label}\b", sql) for label in re.findall(r"\$labels\.(\w+)", text)), (
                rule["uid"]
            )
        assert {"summary", "description", "dashboard", "runbook_url"} <= rule["annotations"].keys()


def test_every_rule_has_a_runbook() -> None:
    written = {panel["title"]: panel["options"]["content"] for panel in dashboard("runbooks")["panels"]}
    shared = written["Servers and jobs"]
    titles = {rule["title"] for rule in rules()}
    assert written.keys() - {"Servers and jobs"} <= titles
    for title in titles - written.keys():
        assert shared.count(f"| **{title}** |") == 2, "what to check, and what to do"
    for panel in dashboard("runbooks")["panels"]:
        headings = re.findall(r"^### (.+)$", panel["options"]["content"], re.MULTILINE)
        assert headings == ["What it means", "What to check", "What to do"]


def test_alerts_go_to_contact_points_and_a_bank_of_flights_is_one_message() -> None:
    notifications = alerting("notifications")
    points = {point["name"]: point for point in notifications["contactPoints"]}
    (policy,) = notifications["policies"]
    (route,) = policy["routes"]
    assert {policy["receiver"], route["receiver"]} == points.keys()
    assert {rule["labels"]["team"] for rule in rules()} == points.keys()
    assert route["object_matchers"] == [["team", "=", route["receiver"]]]
    assert route["group_by"] == ["bank"]
    grafana = find(build("base/grafana"), "StatefulSet", "grafana")["spec"]["template"]["spec"]["containers"][0]
    given = {each["name"] for each in grafana["env"]}
    for point in points.values():
        for receiver in point["receivers"]:
            assert receiver["settings"]["addresses"].removeprefix("$") in given


@pytest.mark.parametrize(
    ("name", "column", "known"),
    [("flight-drilldown", "stage", Stage.__members__), ("itinerary-view", "journey_state", JourneyState)],
)
def test_every_stage_and_state_has_a_colour(name: str, column: str, known: Iterable[str]) -> None:
    mappings = [
        each["value"][0]["options"]
        for panel in dashboard(name)["panels"]
        for override in panel["fieldConfig"]["overrides"]
        for each in override["properties"]
        if each["id"] == "mappings" and override["matcher"]["options"] == column
    ]
    assert mappings
    assert all(set(mapping) == set(known) for mapping in mappings)
