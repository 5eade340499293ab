"""Specification section 6.2 and design, "Flights" and "Alerts", at the boundaries."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from baggage.domain.alerts import Rule, Severity, evaluate, low_load_rate, missed_cutoff
from baggage.domain.kpis import StageCounts, flight_kpi, freshness, is_active, tick_at_or_after
from baggage.domain.schedule import is_done
from baggage.domain.stages import Stage
from tests.builders import DEPARTURE, INBOUND_FLIGHT, MINUTE, SECOND, flight, kpi

CUTOFF = INBOUND_FLIGHT.bag_cutoff_time


def test_low_load_rate_starts_at_less_than_20_minutes_to_the_cutoff() -> None:
    assert not low_load_rate(kpi(CUTOFF - 20 * MINUTE, 0, 100))
    assert low_load_rate(kpi(CUTOFF - 20 * MINUTE + SECOND, 0, 100))
    assert low_load_rate(kpi(CUTOFF + MINUTE, 94, 100)), "past the cutoff there are less than 20 minutes, too"


@pytest.mark.parametrize(
    ("loaded", "expected", "alert"),
    [(95, 100, False), (94, 100, True), (19, 20, False), (18, 20, True), (209, 220, False), (208, 220, True)],
)
def test_low_load_rate_is_less_than_95_percent(loaded: int, expected: int, alert: bool) -> None:
    assert low_load_rate(kpi(CUTOFF - 10 * MINUTE, loaded, expected)) is alert


def test_missed_cutoff_is_after_the_cutoff_with_a_bag_not_loaded() -> None:
    assert not missed_cutoff(kpi(CUTOFF, 99, 100))
    assert missed_cutoff(kpi(CUTOFF + SECOND, 99, 100))
    assert not missed_cutoff(kpi(CUTOFF + SECOND, 100, 100))


@pytest.mark.parametrize("now", [CUTOFF - MINUTE, CUTOFF + MINUTE])
def test_a_flight_that_expects_no_bags_never_alerts(now: datetime) -> None:
    assert evaluate(kpi(now, 0, 0)) == []


def test_one_condition_makes_one_alert_a_minute() -> None:
    start = CUTOFF + MINUTE
    ticks = [start + n * 10 * SECOND for n in range(12)]
    ids = [alert.alert_id for tick in ticks for alert in evaluate(kpi(tick, 99, 100))]
    assert len(ids) == 12
    assert sorted(set(ids)) == [
        f"{INBOUND_FLIGHT.flight_id}|MISSED_CUTOFF|2026-01-04T09:21:00Z",
        f"{INBOUND_FLIGHT.flight_id}|MISSED_CUTOFF|2026-01-04T09:22:00Z",
    ]


def test_the_alert_says_what_the_specification_lists() -> None:
    low, missed = evaluate(kpi(CUTOFF + SECOND, 90, 100))
    assert (low.rule_id, low.severity) == (Rule.LOW_LOAD_RATE, Severity.WARN)
    assert (missed.rule_id, missed.severity) == (Rule.MISSED_CUTOFF, Severity.CRITICAL)
    assert (missed.expected_bags, missed.loaded, missed.missing) == (100, 90, 10)
    assert (missed.cutoff_time, missed.now) == (CUTOFF, CUTOFF + SECOND)


def test_a_flight_is_active_from_six_hours_before_departure_until_it_departs() -> None:
    six_hours = timedelta(hours=6)
    assert not is_active(INBOUND_FLIGHT, DEPARTURE - six_hours - SECOND)
    assert is_active(INBOUND_FLIGHT, DEPARTURE - six_hours)
    assert is_active(INBOUND_FLIGHT, DEPARTURE - SECOND)
    assert not is_active(INBOUND_FLIGHT, DEPARTURE)


def test_a_flight_is_let_go_48_hours_after_its_arrival() -> None:
    assert not is_done(INBOUND_FLIGHT, INBOUND_FLIGHT.arr_time + timedelta(hours=48) - SECOND)
    assert is_done(INBOUND_FLIGHT, INBOUND_FLIGHT.arr_time + timedelta(hours=48))


def test_counts_are_of_bags_at_a_stage_or_beyond_missing_scans_included() -> None:
    counts = StageCounts()
    counts.move(Stage.EXPECTED, Stage.MAKEUP)
    counts.move(Stage.EXPECTED, Stage.CHECKED_IN)
    counts.move(Stage.CHECKED_IN, Stage.CAROUSEL)
    row = flight_kpi(flight(expected=4), counts, 3, DEPARTURE)
    assert (row.checked_in, row.inducted, row.cleared, row.makeup, row.loaded) == (2, 2, 2, 2, 1)
    assert (row.loaded_pct, row.missing, row.freshness_sec) == (25.0, 3, 3)


def test_more_bags_than_expected_are_not_less_than_none_missing() -> None:
    row = flight_kpi(flight(expected=1), StageCounts([Stage.LOADED] * 2), 0, DEPARTURE)
    assert (row.missing, row.loaded_pct) == (0, 200.0)


def test_ticks_are_at_whole_tens_of_seconds() -> None:
    assert tick_at_or_after(DEPARTURE) == DEPARTURE
    assert tick_at_or_after(DEPARTURE + SECOND) == DEPARTURE + 10 * SECOND
    assert tick_at_or_after(DEPARTURE - SECOND) == DEPARTURE


def test_freshness_is_the_age_of_the_newest_ingest_time_and_never_negative() -> None:
    assert freshness(DEPARTURE, DEPARTURE + 61 * SECOND) == 61
    assert freshness(DEPARTURE + SECOND, DEPARTURE) == 0
