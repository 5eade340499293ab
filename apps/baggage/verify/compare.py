"""Compares ClickHouse with the oracle, row by row."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from clickhouse_connect.driver.client import Client

from baggage.domain.alerts import LOW_LOAD_BEFORE_CUTOFF, Alert, evaluate
from baggage.domain.bags import bag_latest
from baggage.domain.journey import BagJourney
from baggage.domain.kpis import KPI_INTERVAL, FlightKpi, flight_kpi, is_active
from baggage.domain.notifications import Notification
from baggage.domain.stages import Stage
from baggage.verify.oracle import Oracle

_Row = tuple[Any, ...]
Query = Callable[[str], list[_Row]]


@dataclass(frozen=True)
class Difference:
    """A row that is not what the oracle says; None where there is none."""

    table: str
    key: str
    expected: object
    found: object

    def __str__(self) -> str:
        return f"{self.table} {self.key}: expected {self.expected}, found {self.found}"


@dataclass
class Comparison:
    """One look at all tables: the rows that were compared, by table, and what differs."""

    compared: dict[str, int] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)

    def table(self, name: str, expected: Mapping[str, object], found: Mapping[str, object]) -> None:
        """Compare two tables by key."""
        keys = expected.keys() | found.keys()
        self.compared[name] = len(keys)
        self.differences += [
            Difference(name, key, expected.get(key), found.get(key))
            for key in sorted(keys)
            if expected.get(key) != found.get(key)
        ]


@dataclass(frozen=True)
class Outputs:
    """What the jobs wrote to Kafka."""

    alerts: dict[str, Alert]
    notifications: dict[str, Notification]
    dead_letters: dict[str, str]


def querying(client: Client, database: str) -> Query:
    """A query function for the tables of a database, with times in UTC."""

    def query(text: str) -> list[_Row]:
        rows = client.query(text.replace("{database}", database)).result_rows
        return [tuple(_utc(value) for value in row) for row in rows]

    return query


def _utc(value: object) -> object:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value


def compare(query: Query, oracle: Oracle, outputs: Outputs, now: datetime) -> Comparison:
    """Compare everything at the pipeline's time `now`."""
    comparison = Comparison()
    _bags(comparison, query, oracle)
    _flights(comparison, query, oracle, now)
    _itineraries(comparison, query, oracle, now)
    _alerts(comparison, query, outputs)
    _notifications(comparison, query, outputs)
    _dead_letters(comparison, query, oracle, outputs)
    return comparison


_BAG = ("itinerary_id", "customer_id", "flight_id", "leg_index", "stage", "last_scan_point", "last_event_time")


def _bags(comparison: Comparison, query: Query, oracle: Oracle) -> None:
    """The final state of each bag."""
    expected = {}
    for bag_id, state in oracle.bags.items():
        record = bag_latest(bag_id, state, state.last_seen[0])
        expected[bag_id] = tuple(_whole_seconds(getattr(record, name)) for name in _BAG)
    rows = query(f"SELECT bag_id, {', '.join(_BAG)} FROM {{database}}.bag_current")
    comparison.table("bag_current", expected, {row[0]: row[1:] for row in rows})


_FLIGHT = (
    *("dep_time", "bag_cutoff_time", "expected_bags", "checked_in", "inducted", "cleared", "makeup", "loaded"),
    *("loaded_pct", "missing"),
)


def _flights(comparison: Comparison, query: Query, oracle: Oracle, now: datetime) -> None:
    """The KPI counts of each flight; a flight that departed before anything ran has no row."""
    rows = query(f"SELECT flight_id, {', '.join(_FLIGHT)} FROM {{database}}.flight_current")
    found = {row[0]: row[1:] for row in rows if row[0] in oracle.schedules}
    expected = {}
    for flight_id, schedule in oracle.schedules.items():
        counts = oracle.counts(flight_id)
        seen = any(counts.reached(stage) for stage in Stage)
        ticks = is_active(schedule, now) or (seen and now >= schedule.dep_time)
        if ticks or flight_id in found:
            kpi = flight_kpi(schedule, counts, 0, now)
            expected[flight_id] = tuple(_as_float32(_whole_seconds(getattr(kpi, name))) for name in _FLIGHT)
    comparison.table("flight_current", expected, found)


def _itineraries(comparison: Comparison, query: Query, oracle: Oracle, now: datetime) -> None:
    """The journey state of each itinerary that is not over."""
    expected = {
        key: (s.customer_id, s.bags_total, s.journey_state.value, s.current_leg_index, int(s.risk_flag), s.bags)
        for key, s in oracle.itineraries(now).items()
    }
    rows = query(
        "SELECT itinerary_id, customer_id, bags_total, journey_state, current_leg_index, risk_flag, details_json "
        "FROM {database}.itinerary_current"
    )
    found = {row[0]: (*row[1:6], _details(row[6])) for row in rows if row[0] in expected}
    comparison.table("itinerary_current", expected, found)


def _details(details_json: str) -> object:
    return {bag_id: BagJourney(**bag) for bag_id, bag in msgspec.json.decode(details_json).items()}


def _alerts(comparison: Comparison, query: Query, outputs: Outputs) -> None:
    """The alerts that follow from the KPI rows are those on the topic and those in the table."""
    columns = ", ".join(FlightKpi.__struct_fields__)
    rows = query(
        f"SELECT DISTINCT {columns} FROM {{database}}.flight_kpis "
        f"WHERE ts >= subtractSeconds(bag_cutoff_time, {int(2 * LOW_LOAD_BEFORE_CUTOFF.total_seconds())})"
    )
    expected: dict[str, object] = {}
    for row in rows:
        kpi = FlightKpi(**dict(zip(FlightKpi.__struct_fields__, row, strict=True)))
        if kpi.ts < kpi.dep_time:
            expected |= {alert.alert_id: (alert.flight_id, alert.rule_id.value) for alert in evaluate(kpi)}
    on_topic = {key: (alert.flight_id, alert.rule_id.value) for key, alert in outputs.alerts.items()}
    comparison.table("alerts (topic)", expected, on_topic)
    rows = query("SELECT alert_id, flight_id, rule_id FROM {database}.alert_current")
    comparison.table("alerts", expected, {row[0]: row[1:] for row in rows})


def _notifications(comparison: Comparison, query: Query, outputs: Outputs) -> None:
    """The table holds the notifications of the topic, and each says a change."""
    expected = {
        key: (n.itinerary_id, n.journey_state.value, n.previous_state != n.journey_state)
        for key, n in outputs.notifications.items()
    }
    rows = query(
        "SELECT notification_id, itinerary_id, journey_state, "
        "JSONExtractString(payload_json, 'previous_state') != journey_state FROM {database}.notification_current"
    )
    comparison.table("notifications", expected, {row[0]: (*row[1:3], bool(row[3])) for row in rows})


def _dead_letters(comparison: Comparison, query: Query, oracle: Oracle, outputs: Outputs) -> None:
    """Every record that is not valid is a dead letter, with its reason, and no other is."""
    comparison.table("dead letters (topic)", oracle.refused, outputs.dead_letters)
    rows = query(
        "SELECT concat(source_topic, '|', toString(source_partition), '|', toString(source_offset)), reason "
        "FROM {database}.dead_letter_current"
    )
    comparison.table("dead_letters", oracle.refused, {row[0]: row[1] for row in rows})


def missed_ticks(query: Query) -> int:
    """How many KPI ticks are missing between the first and the last row of each active flight."""
    seconds = int(KPI_INTERVAL / timedelta(seconds=1))
    rows = query(
        f"SELECT sum(intDiv(dateDiff('second', first, last), {seconds}) + 1 - ticks) FROM ("
        "SELECT flight_id, min(ts) AS first, max(ts) AS last, uniqExact(ts) AS ticks "
        "FROM {database}.flight_kpis WHERE ts < dep_time GROUP BY flight_id)"
    )
    return int(rows[0][0] or 0)


def _whole_seconds(value: object) -> object:
    return value.replace(microsecond=0) if isinstance(value, datetime) else value


def _as_float32(value: object) -> object:
    """A Python float as ClickHouse stores it in a Float32."""
    return struct.unpack("f", struct.pack("f", value))[0] if isinstance(value, float) else value


def persistent(looks: Iterator[Comparison]) -> Iterator[tuple[Comparison, list[Difference]]]:
    """After each look, the differences that were there in every look so far: the others were on their way."""
    lasting: set[tuple[str, str]] | None = None
    for look in looks:
        keys = {(difference.table, difference.key) for difference in look.differences}
        lasting = keys if lasting is None else lasting & keys
        yield look, [d for d in look.differences if (d.table, d.key) in lasting]
