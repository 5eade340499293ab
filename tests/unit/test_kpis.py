"""Specification sections 6.2 and 7.2 and design, "Flights" and "freshness_sec"."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from baggage.domain.kpis import StageCounts, flight_kpi, freshness, is_active, tick_at_or_after
from baggage.domain.records import MAX_COUNT
from baggage.domain.stages import Stage
from tests.builders import DEPARTURE, HOUR, INBOUND_FLIGHT, SECOND, flight


def test_counts_are_of_bags_at_a_stage_or_beyond_missing_scans_included() -> None:
    counts = StageCounts.of([Stage.EXPECTED, Stage.MAKEUP, Stage.CAROUSEL])
    assert counts == StageCounts(checked_in=2, inducted=2, cleared=2, makeup=2, loaded=1, bags=3, events=3)
    assert StageCounts.of(iter([])) == StageCounts()


def test_a_row_says_what_is_expected_counted_and_missing() -> None:
    row = flight_kpi(flight(expected=4), StageCounts.of([Stage.MAKEUP, Stage.LOADED]), 3, DEPARTURE)
    assert (row.key(), row.ts) == (INBOUND_FLIGHT.flight_id, DEPARTURE)
    assert (row.checked_in, row.inducted, row.cleared, row.makeup, row.loaded) == (2, 2, 2, 2, 1)
    assert (row.loaded_pct, row.missing, row.freshness_sec) == (25.0, 3, 3)
    assert (row.dep_time, row.bag_cutoff_time) == (INBOUND_FLIGHT.dep_time, INBOUND_FLIGHT.bag_cutoff_time)


def test_more_bags_than_expected_are_not_less_than_none_missing() -> None:
    row = flight_kpi(flight(expected=1), StageCounts.of([Stage.LOADED] * 2), 0, DEPARTURE)
    assert (row.missing, row.loaded_pct) == (0, 200.0)


def test_a_flight_that_expects_no_bags_is_fully_loaded() -> None:
    row = flight_kpi(flight(expected=0), StageCounts(), 0, DEPARTURE)
    assert (row.missing, row.loaded_pct) == (0, 100.0)


def test_a_flight_is_active_from_six_hours_before_departure_until_it_departs() -> None:
    assert not is_active(INBOUND_FLIGHT, DEPARTURE - 6 * HOUR - timedelta.resolution)
    assert is_active(INBOUND_FLIGHT, DEPARTURE - 6 * HOUR)
    assert is_active(INBOUND_FLIGHT, DEPARTURE - timedelta.resolution)
    assert not is_active(INBOUND_FLIGHT, DEPARTURE)


def test_ticks_are_at_whole_tens_of_seconds() -> None:
    assert tick_at_or_after(DEPARTURE) == DEPARTURE
    assert tick_at_or_after(DEPARTURE + timedelta.resolution) == DEPARTURE + 10 * SECOND
    assert tick_at_or_after(DEPARTURE + 10 * SECOND) == DEPARTURE + 10 * SECOND
    assert tick_at_or_after(DEPARTURE - SECOND) == DEPARTURE


def test_freshness_is_the_age_of_the_newest_append_and_never_negative() -> None:
    assert freshness(DEPARTURE, DEPARTURE + 61.9 * SECOND) == 61
    assert freshness(DEPARTURE + SECOND, DEPARTURE) == 0
    assert freshness(datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)) == MAX_COUNT
