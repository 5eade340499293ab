"""Each alert rule of section 8.3, evaluated as Grafana does, on seeded rows and on a healthy day."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from baggage.domain.alerts import SEVERITY, Alert, Rule, alert_id, window_start
from baggage.domain.kpis import StageCounts, flight_kpi
from tests.builders import HOUR, INBOUND, MINUTE, ONWARD, SECOND, flight
from tests.dashboards.alerting import NOW, RULES, Instance, evaluate
from tests.dashboards.engine import Tables

CRITICAL, WARN = "baggage-missed-cutoff", "baggage-low-load-rate"
FRESHNESS, DEAD_LETTERS = "baggage-pipeline-freshness", "baggage-dead-letters"


def seed_alert(
    tables: Tables,
    rule: Rule,
    ago: timedelta,
    flight_id: str = INBOUND,
    missing: int = 7,
    cutoff: datetime = NOW - 5 * MINUTE,
) -> None:
    """Write an alert as the job does."""
    now = NOW - ago
    alert = Alert(
        alert_id=alert_id(flight_id, rule, now),
        flight_id=flight_id,
        severity=SEVERITY[rule],
        rule_id=rule,
        window_start=window_start(now),
        now=now,
        expected_bags=100,
        loaded=100 - missing,
        missing=missing,
        cutoff_time=cutoff,
    )
    tables.write("alerts", alert)
    tables.flush()


def seed_kpi(
    tables: Tables, freshness: int = 1, ago: timedelta = SECOND, departs: timedelta = HOUR, flight_id: str = INBOUND
) -> None:
    """Write a KPI row, of so long ago, of a flight that departs in so long."""
    schedule = flight(flight_id, NOW + departs)
    tables.write("flight_kpis", flight_kpi(schedule, StageCounts(loaded=90), freshness, NOW - ago))
    tables.flush()


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

    def test_the_labels_stay_when_the_cutoff_is_moved(self, uid: str, rule: Rule, tables: Tables) -> None:
        seed_alert(tables, rule, 10 * MINUTE, cutoff=NOW - 10 * MINUTE)
        seed_alert(tables, rule, SECOND, cutoff=NOW + 2 * HOUR)
        (found,) = evaluate(tables, uid) or []
        assert found.labels["bank"] == f"LHR {NOW - 10 * MINUTE:%H}h"
        assert found.values["cutoff"] == (NOW + 2 * HOUR).timestamp()

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


class TestSilence:
    """Nothing is written: an outage where flights are active, and none where they are not."""

    @pytest.mark.parametrize(("ago", "fires"), [(119, False), (121, True)])
    def test_two_minutes_without_rows_of_an_active_flight(self, ago: int, fires: bool, tables: Tables) -> None:
        seed_kpi(tables, ago=ago * SECOND)
        found = evaluate(tables, FRESHNESS)
        assert found == ([Instance({}, {"freshness": ago})] if fires else [])

    @pytest.mark.parametrize(("departs", "fires"), [(1, True), (0, False), (-60, False)])
    def test_a_flight_is_active_until_it_departs(self, departs: int, fires: bool, tables: Tables) -> None:
        seed_kpi(tables, ago=3 * MINUTE, departs=departs * SECOND)
        assert bool(evaluate(tables, FRESHNESS)) is fires

    def test_an_hour_without_active_flights_is_no_outage(self, tables: Tables) -> None:
        assert evaluate(tables, FRESHNESS) is None
        seed_kpi(tables, ago=HOUR, departs=-HOUR)
        assert evaluate(tables, FRESHNESS) is None
        assert RULES[FRESHNESS]["noDataState"] == "OK"

    def test_the_newest_departure_time_counts(self, tables: Tables) -> None:
        seed_kpi(tables, ago=10 * MINUTE, departs=HOUR)
        seed_kpi(tables, ago=5 * MINUTE, departs=-SECOND)
        assert evaluate(tables, FRESHNESS) is None
        seed_kpi(tables, ago=4 * MINUTE, departs=HOUR)
        assert evaluate(tables, FRESHNESS)

    @pytest.mark.parametrize(("ago", "fires"), [(6 * HOUR - SECOND, True), (6 * HOUR, False)])
    def test_six_hours_later_no_flight_is_known_any_more(self, ago: timedelta, fires: bool, tables: Tables) -> None:
        seed_kpi(tables, ago=ago, departs=2 * SECOND)
        assert bool(evaluate(tables, FRESHNESS)) is fires

    def test_a_cancelled_flight_is_silent_beside_others(self, tables: Tables) -> None:
        seed_kpi(tables, ago=10 * MINUTE)
        seed_kpi(tables, flight_id=ONWARD)
        assert evaluate(tables, FRESHNESS) == []

    @pytest.mark.parametrize(("before", "fires"), [(119, True), (120, False)])
    def test_a_flight_that_was_silent_before_all_others_was_cancelled(
        self, before: int, fires: bool, tables: Tables
    ) -> None:
        """The other one has departed since then, and nothing is written any more: nothing has to be."""
        seed_kpi(tables, ago=5 * MINUTE + before * SECOND)
        seed_kpi(tables, ago=5 * MINUTE, departs=-5 * MINUTE, flight_id=ONWARD)
        assert bool(evaluate(tables, FRESHNESS)) is fires

    def test_where_the_only_flight_is_cancelled_it_fires_until_the_departure(self, tables: Tables) -> None:
        """A limit: without schedules in ClickHouse that looks like an outage, which must never go unnoticed."""
        seed_kpi(tables, ago=3 * MINUTE, departs=HOUR)
        assert evaluate(tables, FRESHNESS)
        assert evaluate(tables, FRESHNESS, NOW + HOUR - SECOND)
        assert evaluate(tables, FRESHNESS, NOW + HOUR) is None


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
