"""Specification section 6.2 and design, "Alerts", at the boundaries."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from baggage.domain.alerts import Rule, Severity, evaluate, low_load_rate, missed_cutoff, parse_alert
from tests.builders import INBOUND_FLIGHT, MINUTE, SECOND, kpi

CUTOFF = INBOUND_FLIGHT.bag_cutoff_time


def test_low_load_rate_starts_at_less_than_20_minutes_to_the_cutoff() -> None:
    assert not low_load_rate(kpi(CUTOFF - 20 * MINUTE, 0, 100))
    assert low_load_rate(kpi(CUTOFF - 20 * MINUTE + timedelta.resolution, 0, 100))
    assert low_load_rate(kpi(CUTOFF + MINUTE, 94, 100)), "past the cutoff there are less than 20 minutes, too"


@pytest.mark.parametrize(
    ("loaded", "expected", "alert"),
    [
        (95, 100, False),
        (94, 100, True),
        (19, 20, False),
        (18, 20, True),
        (209, 220, False),
        (208, 220, True),
        (0, 1, True),
        (1, 1, False),
        (2, 1, False),
    ],
)
def test_low_load_rate_is_less_than_95_percent(loaded: int, expected: int, alert: bool) -> None:
    assert low_load_rate(kpi(CUTOFF - 10 * MINUTE, loaded, expected)) is alert


def test_missed_cutoff_is_after_the_cutoff_with_a_bag_not_loaded() -> None:
    assert not missed_cutoff(kpi(CUTOFF, 99, 100))
    assert missed_cutoff(kpi(CUTOFF + timedelta.resolution, 99, 100))
    assert not missed_cutoff(kpi(CUTOFF + SECOND, 100, 100))


@pytest.mark.parametrize("now", [CUTOFF - MINUTE, CUTOFF + MINUTE])
def test_a_flight_that_expects_no_bags_never_alerts(now: datetime) -> None:
    assert evaluate(kpi(now, 0, 0)) == evaluate(kpi(now, 1, 0)) == []


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
    now = CUTOFF + 10 * SECOND
    low, missed = evaluate(kpi(now, 90, 100))
    assert (low.rule_id, low.severity) == (Rule.LOW_LOAD_RATE, Severity.WARN)
    assert (missed.rule_id, missed.severity) == (Rule.MISSED_CUTOFF, Severity.CRITICAL)
    assert (missed.expected_bags, missed.loaded, missed.missing) == (100, 90, 10)
    assert (missed.cutoff_time, missed.now, missed.window_start) == (CUTOFF, now, CUTOFF)
    assert missed.key() == missed.alert_id
    assert parse_alert(missed.key().encode(), missed.to_json()) == missed
