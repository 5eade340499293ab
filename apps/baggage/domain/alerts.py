"""The two alert rules of a flight (specification section 6.2; design: Alerts)."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from baggage.domain.kpis import FlightKpi
from baggage.domain.records import Count, FlightId, Record, Text, Time, parser

LOW_LOAD_BEFORE_CUTOFF = timedelta(minutes=20)
LOW_LOAD_PERCENT = 95


class Severity(StrEnum):
    """How urgent an alert is."""

    WARN = "WARN"
    CRITICAL = "CRITICAL"


class Rule(StrEnum):
    """The rules of section 6.2."""

    LOW_LOAD_RATE = "LOW_LOAD_RATE"
    MISSED_CUTOFF = "MISSED_CUTOFF"


SEVERITY = {Rule.LOW_LOAD_RATE: Severity.WARN, Rule.MISSED_CUTOFF: Severity.CRITICAL}


class Alert(Record, frozen=True, kw_only=True):
    """A record of baggage.alerts.v1 and the payload of a row of alerts."""

    alert_id: Text
    flight_id: FlightId
    severity: Severity
    rule_id: Rule
    window_start: Time
    now: Time
    expected_bags: Count
    loaded: Count
    missing: Count
    cutoff_time: Time

    def key(self) -> str:
        """flight_id|rule_id|window_start: one condition makes one alert a window, however often it is evaluated."""
        return self.alert_id


def low_load_rate(kpi: FlightKpi) -> bool:
    """Less than 20 minutes to the cutoff (or past it), and less than 95 % loaded."""
    return (
        kpi.bag_cutoff_time - kpi.ts < LOW_LOAD_BEFORE_CUTOFF
        and kpi.loaded * 100 < kpi.expected_bags * LOW_LOAD_PERCENT
    )


def missed_cutoff(kpi: FlightKpi) -> bool:
    """Past the cutoff, and not all loaded."""
    return kpi.ts > kpi.bag_cutoff_time and kpi.loaded < kpi.expected_bags


RULES = {Rule.LOW_LOAD_RATE: low_load_rate, Rule.MISSED_CUTOFF: missed_cutoff}


def evaluate(kpi: FlightKpi) -> list[Alert]:
    """The alerts that a KPI row raises, at most one a rule."""
    return [_alert(kpi, rule) for rule, holds in RULES.items() if holds(kpi)]


def alert_id(flight_id: str, rule: Rule, now: datetime) -> str:
    """The id, and Kafka key, of the alert in the one-minute window of `now`."""
    return f"{flight_id}|{rule}|{window_start(now):%Y-%m-%dT%H:%M:%SZ}"


def window_start(now: datetime) -> datetime:
    """The start of the one-minute window of `now`."""
    return now.replace(second=0, microsecond=0)


def _alert(kpi: FlightKpi, rule: Rule) -> Alert:
    return Alert(
        alert_id=alert_id(kpi.flight_id, rule, kpi.ts),
        flight_id=kpi.flight_id,
        severity=SEVERITY[rule],
        rule_id=rule,
        window_start=window_start(kpi.ts),
        now=kpi.ts,
        expected_bags=kpi.expected_bags,
        loaded=kpi.loaded,
        missing=kpi.missing,
        cutoff_time=kpi.bag_cutoff_time,
    )


parse_alert = parser(Alert)
