"""Every query of every panel, variable and annotation, on the ClickHouse engine with a generated day."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from tests.dashboards.engine import Answer, Tables
from tests.dashboards.grafana import (
    Query,
    Variables,
    dashboards,
    interpolate,
    other_queries,
    panel_queries,
    panel_query,
    time_range,
    variables,
)

PANELS = [
    (name, panel, query)
    for name, dashboard in dashboards().items()
    for panel in dashboard["panels"]
    for query in panel_queries(name, {"panels": [panel]})
]
OTHERS = [(name, query) for name, dashboard in dashboards().items() for query in other_queries(name, dashboard)]
# They show how much is written, so writing more is to be seen.
_ABOUT_WRITING = ("Rows per second", "From scan to row")


def run(day: Tables, name: str, query: Query, now: datetime, values: Variables) -> Answer:
    """Run a query as its dashboard does when it is opened at `now`."""
    return day.ask(interpolate(query.sql, *time_range(dashboards()[name], now), values))


@pytest.mark.parametrize(("name", "panel", "query"), PANELS, ids=[str(query) for _, _, query in PANELS])
def test_a_panel_gets_the_columns_that_it_needs(
    name: str, panel: dict[str, Any], query: Query, day: Tables, now: datetime, values: Variables
) -> None:
    answer = run(day, name, query, now, values)
    assert answer.rows, "the day has data for it"
    for override in panel["fieldConfig"]["overrides"]:
        assert override["matcher"] == {"id": "byName", "options": override["matcher"]["options"]}
        assert override["matcher"]["options"] in answer.columns
    if query.format == 0:
        assert answer.columns[0] == "time"
        assert answer.types[0].startswith("DateTime")
        times = [row[0] for row in answer.rows]
        assert times == sorted(times)
        numbers = [kind for kind in answer.types[1:] if re.match(r"(Nullable\()?(U?Int|Float)", kind)]
        texts = [kind for kind in answer.types[1:] if kind == "String"]
        assert numbers
        assert len(numbers) + len(texts) == len(answer.columns) - 1
        label = re.search(r"labels\.(\w+)", panel["fieldConfig"]["defaults"].get("displayName", ""))
        assert (label is not None) == bool(texts)
        if label:
            assert label[1] in answer.columns
    else:
        named = {override["matcher"]["options"] for override in panel["fieldConfig"]["overrides"]}
        assert set(answer.columns) == named, "every column has a name for people"


@pytest.mark.parametrize(("name", "query"), OTHERS, ids=[str(query) for _, query in OTHERS])
def test_a_variable_has_options_and_an_annotation_marks(
    name: str, query: Query, day: Tables, now: datetime, values: Variables
) -> None:
    answer = run(day, name, query, now, values)
    assert answer.rows
    if "annotation" in query.where:
        assert answer.columns[:2] == ["time", "text"]
    else:
        assert len(answer.columns) <= 2
        assert len({row[0] for row in answer.rows}) == len(answer.rows)


def test_the_flights_are_in_the_order_of_the_specification(day: Tables, now: datetime, values: Variables) -> None:
    answer = run(day, "flight-ops-overview", panel_query("flight-ops-overview", "Flights"), now, values)
    missing, loaded, departs = (answer.columns.index(column) for column in ("missing", "loaded_pct", "dep_time"))
    order = [(-row[missing], row[loaded]) for row in answer.rows]
    assert order == sorted(order)
    assert len(answer.rows) > 30
    ahead = [row[departs].replace(tzinfo=now.tzinfo) - now for row in answer.rows]
    assert all(timedelta() < wait <= timedelta(hours=6) for wait in ahead)


def test_one_airport_and_fewer_hours_show_fewer_flights(day: Tables, now: datetime, values: Variables) -> None:
    query = panel_query("flight-ops-overview", "Flights")
    everything = run(day, "flight-ops-overview", query, now, values).rows
    at_hub = run(day, "flight-ops-overview", query, now, values | {"airport": ["AMS"]}).rows
    soon = run(day, "flight-ops-overview", query, now, values | {"hours": "1"}).rows
    assert 0 < len(at_hub) < len(everything)
    assert all("|AMS->" in row[0] for row in at_hub)
    assert 0 < len(soon) < len(everything)


def test_the_list_of_missing_bags_is_as_long_as_the_number_says(day: Tables, now: datetime, values: Variables) -> None:
    answer = run(day, "flight-ops-overview", panel_query("flight-ops-overview", "Flights"), now, values)
    flights = {row[0]: row[answer.columns.index("missing")] for row in answer.rows}
    assert sum(missing > 0 for missing in flights.values()) > 30
    query = panel_query("flight-drilldown", "Missing bags")
    for flight, missing in flights.items():
        bags = run(day, "flight-drilldown", query, now, values | {"flight": [flight]}).rows
        assert len({bag[0] for bag in bags}) == len(bags) == missing, flight


def test_a_flight_without_missing_bags_has_an_empty_list(day: Tables, now: datetime, values: Variables) -> None:
    full = day.ask(f"SELECT any(flight_id) FROM flight_kpis WHERE ts = '{now:%F %T}' AND missing = 0").rows[0][0]
    assert full
    query = panel_query("flight-drilldown", "Missing bags")
    assert run(day, "flight-drilldown", query, now, values | {"flight": [full]}).rows == []


def test_a_quiet_hour_shows_no_error(day: Tables, midnight: datetime, values: Variables) -> None:
    """Before anything was written every query still answers."""
    for name, _, query in PANELS:
        run(day, name, query, midnight - timedelta(days=3), values)


def test_an_unknown_id_shows_no_error(day: Tables, now: datetime, values: Variables) -> None:
    nobody = values | {"flight": ["O'Hare"], "bag": ["x"], "itinerary": ["x"]}
    for name, _, query in PANELS:
        run(day, name, query, now, nobody)


def test_the_mishandled_bags_are_those_that_the_generator_mishandled(
    day: Tables, now: datetime, values: Variables
) -> None:
    query = panel_query("service-quality", "Mishandled per 1,000 bags")
    answer = run(day, "service-quality", query, now, values)
    (row,) = answer.rows
    causes = dict(zip(answer.columns, row, strict=True))
    assert causes["total"] == pytest.approx(
        causes["missed_connection"] + causes["not_loaded"] + causes["rerouted"] + causes["screening_exception"]
    )
    # 2 in 100 of the transfer bags, which are 3 in 10, and 2 in 1,000 alarms; rush and late loads come on top.
    assert 3 < causes["missed_connection"] < 9
    assert 1 < causes["screening_exception"] < 4
    assert 0 < causes["not_loaded"] < 4


def test_the_compliance_is_one_minus_the_missing_scans(day: Tables, now: datetime, values: Variables) -> None:
    query = panel_query("service-quality", "IATA Resolution 753, by airport")
    answer = run(day, "service-quality", query, now, values)
    points = {row[0]: dict(zip(answer.columns, row, strict=True)) for row in answer.rows}
    assert 96 < points["LHR"]["acceptance"] <= 100
    assert 98 < points["LHR"]["load"] <= 100
    assert 90 < points["AMS"]["transfer"] <= 100
    assert all(point["delivery"] is None or point["delivery"] > 90 for point in points.values())
    assert points["LHR"]["transfer"] is None


def test_the_gaps_of_a_bag_are_the_times_between_its_changes(day: Tables, now: datetime, values: Variables) -> None:
    answer = run(day, "bag-journey", panel_query("bag-journey", "Every change"), now, values)
    times = [row[0] for row in reversed(answer.rows)]
    gaps = [row[answer.columns.index("gap")] for row in reversed(answer.rows)]
    assert gaps[0] is None
    assert gaps[1:] == [int((b - a).total_seconds()) for a, b in pairwise(times)]


def test_what_is_written_again_after_a_failure_changes_nothing(day: Tables, now: datetime, values: Variables) -> None:
    def answers() -> dict[str, list[tuple[Any, ...]]]:
        return {
            str(query): run(day, name, query, now, values).rows
            for name, panel, query in PANELS
            if not panel["title"].startswith(_ABOUT_WRITING)
        }

    before = answers()
    for table, time in (
        ("flight_kpis", "ts"),
        ("bag_latest", "ts"),
        ("itinerary_status", "ts"),
        ("alerts", "created_at"),
        ("notifications", "created_at"),
        ("dead_letters", "ts"),
        ("unscheduled_flights", "ts"),
        ("withheld_alerts", "created_at"),
    ):
        last = f"{time} > toDateTime({int(now.timestamp())}) - INTERVAL 1 HOUR AND {time} <= {int(now.timestamp())}"
        day.command(f"INSERT INTO {table} SELECT * FROM {table} WHERE {last}")
    after = answers()
    for where, rows in before.items():
        assert sorted(map(str, after[where])) == sorted(map(str, rows)), where


def test_every_variable_has_a_label_and_says_what_it_is() -> None:
    for dashboard in dashboards().values():
        for variable in variables(dashboard):
            assert variable["label"]
            assert variable["description"]
