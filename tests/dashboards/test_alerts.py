"""Each alert rule of section 8.3, evaluated as Grafana does, on seeded rows and on a healthy day."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from baggage.domain.alerts import SEVERITY as SEVERITY
from baggage.domain.alerts import Alert, Rule, alert_id, window_start
from tests.builders import INBOUND, MINUTE, ONWARD, SECOND, kpi
from tests.dashboards.engine import Tables
from tests.dashboards.grafana import expand_macros, rules

#: Of today, and fixed while the tests run: the tables forget by the wall clock.
NOW = datetime.now(UTC).replace(microsecond=0)
RULES = {rule["uid"]: rule for rule in rules()}
CRITICAL, WARN = "baggage-missed-cutoff", "baggage-low-load-rate"
FRESHNESS, DEAD_LETTERS = "baggage-pipeline-freshness", "baggage-dead-letters"


@dataclass(frozen=True)
class Instance:
    """One firing alert: its labels and the numbers that its text can use."""

    labels: dict[str, str]
    values: dict[str, float]


def evaluate(tables: Tables, uid: str, at: datetime = NOW) -> list[Instance] | None:
    """The instances of a rule that fire at a time, or None where its query answers nothing.

    A row is a number and its labels, the text columns; the rows of the other queries with the same labels give the
    other numbers.
    """
    rule = RULES[uid]
    found: dict[str, dict[frozenset[tuple[str, str]], float]] = {}
    for query in rule["data"][:-1]:
        window = query["relativeTimeRange"]
        start, end = (at - timedelta(seconds=window[side]) for side in ("from", "to"))
        answer = tables.ask(expand_macros(query["model"]["rawSql"], start, end))
        if not answer.rows:
            return None
        numbers = [n for n, kind in enumerate(answer.types) if kind == "Float64"]
        assert len(numbers) == 1, "Grafana takes one number a row"
        assert all(kind == "String" for n, kind in enumerate(answer.types) if n not in numbers)
        found[query["refId"]] = {
            frozenset((answer.columns[n], cell) for n, cell in enumerate(row) if n not in numbers): row[numbers[0]]
            for row in answer.rows
        }
        assert len(found[query["refId"]]) == len(answer.rows), "labels tell the instances apart"
    threshold = rule["data"][-1]["model"]
    assert threshold["refId"] == rule["condition"]
    (condition,) = threshold["conditions"]
    assert condition["evaluator"]["type"] == "gt"
    (limit,) = condition["evaluator"]["params"]
    return [
        Instance(dict(labels), {name: values[labels] for name, values in found.items()})
        for labels, value in found[threshold["expression"]].items()
        if value > limit
    ]


@pytest.fixture
def tables(database: Callable[[str], Tables]) -> Tables:
    """Empty tables."""
    empty = database("seeded")
    for table in ("alerts", "flight_kpis", "dead_letters"):
        empty.command(f"TRUNCATE TABLE {table}")
    return empty


def seed_alert(tables: Tables, rule: Rule, ago: timedelta, flight: str = INBOUND, missing: int = 7) -> None:
    """Write an alert as the job does."""
    now = NOW - ago
    alert = Alert(
        alert_id=alert_id(flight, rule, now),
        flight_id=flight,
        severity=SEVERITY[rule],
        rule_id=rule,
        window_start=window_start(now),
        now=now,
        expected_bags=100,
        loaded=100 - missing,
        missing=missing,
        cutoff_time=NOW - 5 * MINUTE,
    )
    payload = alert.to_json().decode()
    tables.command(
        f"INSERT INTO alerts VALUES ('{now:%F %T}', '{alert.alert_id}', '{flight}', '{alert.severity}', '{rule}', "
        f"'{payload}')"
    )


def seed_kpi(tables: Tables, freshness: int, ago: timedelta = SECOND) -> None:
    """Write a KPI row with a freshness."""
    row = kpi(NOW - ago, 90, 100)
    tables.command(
        "INSERT INTO flight_kpis (ts, flight_id, dep_time, bag_cutoff_time, expected_bags, loaded, freshness_sec) "
        f"VALUES ('{row.ts:%F %T}', '{row.flight_id}', '{row.dep_time:%F %T}', '{row.bag_cutoff_time:%F %T}', 100, 90, "
        f"{freshness})"
    )


@pytest.mark.parametrize(("uid", "rule"), [(CRITICAL, Rule.MISSED_CUTOFF), (WARN, Rule.LOW_LOAD_RATE)])
class TestOfFlights:
    """CRITICAL and WARN: alerts of the severity within the last 2 minutes."""

    @pytest.mark.parametrize(("ago", "fires"), [(0, True), (119, True), (121, False), (3600, False)])
    def test_the_last_two_minutes_count(self, uid: str, rule: Rule, ago: int, fires: bool, tables: Tables) -> None:
        seed_alert(tables, rule, ago * SECOND)
        found = evaluate(tables, uid)
        bank = f"LHR {NOW - 5 * MINUTE:%H}h"
        labels = {"flight": INBOUND, "rule": rule.value, "bank": bank}
        assert [instance.labels for instance in found or ()] == ([labels] if fires else [])

    def test_no_alert_is_normal(self, uid: str, rule: Rule, tables: Tables) -> None:
        assert evaluate(tables, uid) is None
        assert RULES[uid]["noDataState"] == "OK"
        assert rule in SEVERITY

    def test_the_other_severity_does_not_fire(self, uid: str, rule: Rule, tables: Tables) -> None:
        (other,) = {Rule.MISSED_CUTOFF, Rule.LOW_LOAD_RATE} - {rule}
        seed_alert(tables, other, SECOND)
        assert evaluate(tables, uid) is None

    def test_each_flight_is_an_instance_with_its_newest_numbers(self, uid: str, rule: Rule, tables: Tables) -> None:
        seed_alert(tables, rule, 90 * SECOND, missing=9)
        seed_alert(tables, rule, 20 * SECOND, missing=4)
        seed_alert(tables, rule, 20 * SECOND, missing=4)
        seed_alert(tables, rule, 20 * SECOND, ONWARD, missing=2)
        found = evaluate(tables, uid)
        assert found
        by_flight = {instance.labels["flight"]: instance.values for instance in found}
        assert by_flight.keys() == {INBOUND, ONWARD}
        assert len(found) == 2
        assert (by_flight[INBOUND]["missing"], by_flight[INBOUND]["expected"]) == (4, 100)
        assert by_flight[ONWARD]["missing"] == 2
        assert by_flight[INBOUND]["cutoff"] == (NOW - 5 * MINUTE).timestamp()


@pytest.mark.parametrize(("freshness", "fires"), [(0, False), (60, False), (61, True), (600, True)])
def test_a_pipeline_of_more_than_60_seconds_is_stale(freshness: int, fires: bool, tables: Tables) -> None:
    seed_kpi(tables, 0)
    seed_kpi(tables, freshness)
    found = evaluate(tables, FRESHNESS)
    assert found is not None
    assert bool(found) is fires


@pytest.mark.parametrize(("ago", "fires"), [(119, True), (121, False)])
def test_only_the_last_two_minutes_of_freshness_count(ago: int, fires: bool, tables: Tables) -> None:
    seed_kpi(tables, 61, ago * SECOND)
    seed_kpi(tables, 1)
    assert bool(evaluate(tables, FRESHNESS)) is fires


def test_a_pipeline_that_writes_nothing_is_an_alarm_too(tables: Tables) -> None:
    seed_kpi(tables, 1, 121 * SECOND)
    assert evaluate(tables, FRESHNESS) is None
    assert RULES[FRESHNESS]["noDataState"] == "Alerting"


@pytest.mark.parametrize(("ago", "fires"), [(299, True), (301, False)])
def test_dead_letters_of_five_minutes_fire_by_topic(ago: int, fires: bool, tables: Tables) -> None:
    row = f"('{NOW - ago * SECOND:%F %T}', 'baggage.events.v1', 0, 17, 'leg_index', 'Expected `int`')"
    tables.command(f"INSERT INTO dead_letters VALUES {row}, {row}")
    found = evaluate(tables, DEAD_LETTERS)
    assert found == ([Instance({"topic": "baggage.events.v1"}, {"records": 1})] if fires else None)
    assert RULES[DEAD_LETTERS]["noDataState"] == "OK"


def test_a_healthy_day_raises_no_alert_of_the_pipeline(day: Tables, midnight: datetime) -> None:
    for minute in range(2, 24 * 60, 2):
        at = midnight + minute * MINUTE
        assert evaluate(day, FRESHNESS, at) == [], f"at {at:%H:%M}"


def test_a_healthy_day_has_alerts_of_flights_with_missing_bags_only(day: Tables, now: datetime) -> None:
    found = evaluate(day, CRITICAL, now)
    assert found
    for instance in found:
        assert 0 < instance.values["missing"] < instance.values["expected"]
        assert instance.values["cutoff"] < now.timestamp()
    # A bank is less messages than flights.
    everything = [*found, *(evaluate(day, WARN, now) or ())]
    assert len({instance.labels["bank"] for instance in everything}) < len(everything)
