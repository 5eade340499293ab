"""Compares ClickHouse, and what the jobs wrote to Kafka, with the oracle, row by row."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import msgspec
from clickhouse_connect.driver.client import Client

from baggage.clock import Clock
from baggage.domain.alerts import LOW_LOAD_BEFORE_CUTOFF, Alert, evaluate
from baggage.domain.bags import bag_latest
from baggage.domain.dead_letters import INTERNAL
from baggage.domain.itineraries import ItineraryState
from baggage.domain.journey import BagJourney, JourneyState
from baggage.domain.kpis import KPI_INTERVAL, FlightKpi, flight_kpi, is_active
from baggage.domain.notifications import Notification, Notified
from baggage.domain.schedule import RETENTION
from baggage.verify.oracle import Oracle
from baggage.verify.outputs import Outputs
from baggage.verify.timeline import PROCESSING, Feed, Tick, Ticks, feed

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
    itineraries = oracle.itineraries(now)
    _bags(comparison, query, oracle)
    came = cache(lambda: feed(oracle, ticks(query, oracle.clock)))
    _flights(comparison, query, oracle, now, came)
    _unscheduled(comparison, query, oracle, now)
    _itineraries(comparison, query, oracle, itineraries)
    _alerts(comparison, query, outputs, came)
    _notifications(comparison, query, outputs, itineraries)
    _dead_letters(comparison, query, outputs)
    return comparison


_BAG = ("itinerary_id", "customer_id", "flight_id", "leg_index", "stage", "last_scan_point", "last_event_time")


def _bags(comparison: Comparison, query: Query, oracle: Oracle) -> None:
    """The final state of each bag."""
    expected = {}
    for bag_id, facts in oracle.facts.items():
        time = facts.newest.last_event_time
        record = bag_latest(facts, time, time)
        expected[bag_id] = tuple(_whole_seconds(getattr(record, name)) for name in _BAG)
    rows = query(f"SELECT bag_id, {', '.join(_BAG)} FROM {{database}}.bag_current")
    comparison.table("bag_current", expected, {row[0]: row[1:] for row in rows})


_FLIGHT = (
    *("dep_time", "bag_cutoff_time", "expected_bags", "checked_in", "inducted", "cleared", "makeup", "loaded"),
    *("loaded_pct", "missing"),
)


def _flights(comparison: Comparison, query: Query, oracle: Oracle, now: datetime, came: Callable[[], Feed]) -> None:
    """The KPI row of each flight that is active, or has departed; of a cancelled one, that there is no more."""
    rows = query(f"SELECT flight_id, ts, {', '.join(_FLIGHT)} FROM {{database}}.flight_current")
    found = {row[0]: row[2:] for row in rows}
    expected = {}
    for flight_id, schedule in oracle.schedules().items():
        counts = oracle.counts(flight_id)
        has_departed = schedule.dep_time <= now < schedule.arr_time + RETENTION
        # One that departed before anything ran, and has no bags, has no row.
        if is_active(schedule, now) or (has_departed and (counts.bags or flight_id in found)):
            kpi = flight_kpi(schedule, counts, 0, now)
            expected[flight_id] = tuple(_as_float32(_whole_seconds(getattr(kpi, name))) for name in _FLIGHT)
    comparison.table("flight_current", expected, {key: row for key, row in found.items() if key in expected})
    _cancelled(comparison, oracle, {row[0]: row[1] for row in rows}, came)


def _cancelled(
    comparison: Comparison, oracle: Oracle, newest: Mapping[str, datetime], came: Callable[[], Feed]
) -> None:
    """A cancelled flight gets no more rows, once the job has read so: while it is down it cannot."""
    none = "no row after it was cancelled"
    slack = PROCESSING * oracle.clock.speed
    cancelled = oracle.cancelled()
    suspects = {key: since for key, since in cancelled.items() if key in newest and newest[key] > since + slack}
    found = dict.fromkeys(cancelled, none)
    for flight_id, since in suspects.items():
        if came().ran(since, newest[flight_id]):
            found[flight_id] = f"a row of {newest[flight_id]}, cancelled at {since}"
    comparison.table("flight_kpis (cancelled)", dict.fromkeys(cancelled, none), found)


def _unscheduled(comparison: Comparison, query: Query, oracle: Oracle, now: datetime) -> None:
    """The flights of the last two days that bags name and no schedule."""
    unscheduled = oracle.unscheduled()
    expected = {
        flight_id: ((counts := oracle.counts(flight_id)).bags, counts.events)
        for flight_id, newest in unscheduled.items()
        if now < newest + RETENTION
    }
    gone = unscheduled.keys() - expected.keys()
    rows = query("SELECT flight_id, bags, events FROM {database}.unscheduled_flight_current")
    comparison.table("unscheduled_flights", expected, {row[0]: row[1:] for row in rows if row[0] not in gone})


def _itineraries(
    comparison: Comparison, query: Query, oracle: Oracle, itineraries: Mapping[str, ItineraryState]
) -> None:
    """The journey state of each itinerary that has not expired, and that one without bags has none any more."""
    expected = {
        key: (s.customer_id, s.bags_total, s.journey_state.value, s.current_leg_index, int(s.risk_flag), s.bags)
        for key, s in itineraries.items()
    }
    rows = query(
        "SELECT itinerary_id, customer_id, bags_total, journey_state, current_leg_index, risk_flag, details_json "
        "FROM {database}.itinerary_current"
    )
    found = {row[0]: (*row[1:6], _details(row[6])) for row in rows if row[0] in expected}
    comparison.table("itinerary_current", expected, found)
    left = oracle.left()
    without = {row[0]: (row[2], row[5], _details(row[6])) for row in rows if row[0] in left}
    comparison.table("itinerary_current (left)", dict.fromkeys(without, (0, 0, {})), without)


def _details(details_json: str) -> object:
    return {bag_id: BagJourney(**bag) for bag_id, bag in msgspec.json.decode(details_json).items()}


def _alerts(comparison: Comparison, query: Query, outputs: Outputs, came: Callable[[], Feed]) -> None:
    """An alert is on the topic if it follows from a KPI row, and only then; and the table has those of the topic.

    A job that dies may have raised an alert and lost the row, which it then makes up for with what it knows by then, or
    not at all after a long outage. `timeline` judges such an alert.
    """
    columns = ", ".join(FlightKpi.__struct_fields__)
    rows = query(
        f"SELECT DISTINCT {columns} FROM {{database}}.flight_kpis "
        f"WHERE ts >= subtractSeconds(bag_cutoff_time, {int(2 * LOW_LOAD_BEFORE_CUTOFF.total_seconds())})"
    )
    withheld = {row[0] for row in query("SELECT DISTINCT alert_id FROM {database}.withheld_alerts")}
    kpis = [FlightKpi(**dict(zip(FlightKpi.__struct_fields__, row, strict=True))) for row in rows]
    on_topic = {alert.alert_id: _flight_and_rule(alert) for alert in outputs.alerts}
    comparison.table(
        "alerts (topic)",
        *alerts_that_follow(kpis, withheld, outputs.alerts, lambda tick: came().is_disturbed(tick)),
    )
    rows = query("SELECT alert_id, flight_id, rule_id FROM {database}.alert_current")
    comparison.table("alerts", on_topic, {row[0]: row[1:] for row in rows})


def alerts_that_follow(
    kpis: Iterable[FlightKpi], withheld: set[str], raised: Iterable[Alert], is_disturbed: Callable[[datetime], bool]
) -> tuple[dict[str, object], dict[str, object]]:
    """By alert id: what must be on the topic, and what is; an alert without a KPI row that raises it says so."""
    possible: set[Alert] = set()
    by_row: dict[tuple[str, datetime], set[Alert]] = {}
    for kpi in kpis:
        # The table has whole seconds: at that of the departure the flight may be active or not.
        if kpi.ts <= kpi.dep_time:
            following = set(evaluate(kpi))
            possible |= following
            if kpi.ts < kpi.dep_time:
                # A row that was made twice must have raised what both say.
                twice = by_row.get((kpi.flight_id, kpi.ts))
                by_row[kpi.flight_id, kpi.ts] = following if twice is None else _with_ids_of(following, twice)
    expected: dict[str, object] = {
        alert.alert_id: _flight_and_rule(alert) for following in by_row.values() for alert in following
    }
    found: dict[str, object] = {}
    for alert in raised:
        found.setdefault(alert.alert_id, _flight_and_rule(alert))
        as_in_table = msgspec.structs.replace(alert, cutoff_time=alert.cutoff_time.replace(microsecond=0))
        if as_in_table not in possible and not is_disturbed(alert.now):
            found[alert.alert_id] = f"{alert.loaded} loaded at {alert.now}, which no KPI row says"
            expected.setdefault(alert.alert_id, None)
        else:
            expected.setdefault(alert.alert_id, _flight_and_rule(alert))
    for alert_id in withheld - found.keys():
        expected.pop(alert_id, None)
    return expected, found


def _with_ids_of(alerts: set[Alert], others: set[Alert]) -> set[Alert]:
    ids = {other.alert_id for other in others}
    return {alert for alert in alerts if alert.alert_id in ids}


def _flight_and_rule(alert: Alert) -> tuple[str, str]:
    return alert.flight_id, alert.rule_id.value


def _notifications(
    comparison: Comparison, query: Query, outputs: Outputs, itineraries: Mapping[str, ItineraryState]
) -> None:
    """The table has those of the topic; they are a chain of changes, and the last one says the present state."""
    on_topic = {
        one.notification_id: (one.itinerary_id, one.journey_state.value)
        for chain in outputs.notifications.values()
        for one in chain
    }
    rows = query("SELECT notification_id, itinerary_id, journey_state FROM {database}.notification_current")
    comparison.table("notifications", on_topic, {row[0]: row[1:] for row in rows})
    found: dict[str, object] = {}
    for itinerary_id, chain in outputs.notifications.items():
        found[itinerary_id] = chain_error(chain) or "a chain of changes"
    comparison.table("notifications (chain)", dict.fromkeys(found, "a chain of changes"), found)
    last = {key: max(chain, key=lambda one: one.version) for key, chain in outputs.notifications.items()}
    begin = Notified().journey_state.value
    comparison.table(
        "notifications (state)",
        {key: state.journey_state.value for key, state in itineraries.items()},
        {key: last[key].journey_state.value if key in last else begin for key in itineraries},
    )


def chain_error(notifications: Iterable[Notification]) -> str | None:
    """What is wrong with the notifications of one itinerary; the same one may be there several times."""
    states: dict[int, JourneyState] = {0: Notified().journey_state}
    for one in sorted(notifications, key=lambda one: one.version):
        name = f"version {one.version} ({one.journey_state})"
        known = states.get(one.version)
        if known not in (None, one.journey_state) or one.version == 0:
            return f"{name} is also {known}"
        previous = states.get(one.version - 1)
        if previous is None:
            return f"{name} has none before it"
        if one.previous_state is not previous:
            return f"{name} follows {one.previous_state}, and not {previous}"
        if one.journey_state is previous:
            return f"{name} is no change"
        states[one.version] = one.journey_state
    return None


def _dead_letters(comparison: Comparison, query: Query, outputs: Outputs) -> None:
    """Every record that is not valid is a dead letter, with its reason, and no other is."""
    rows = query(
        "SELECT concat(source_topic, '|', toString(source_partition), '|', toString(source_offset)), reason "
        "FROM {database}.dead_letter_current"
    )
    for name, found in (
        ("dead letters (topic)", outputs.dead_letters),
        ("dead_letters", {row[0]: row[1] for row in rows}),
    ):
        comparison.table(name, *letters_that_follow(outputs, found))


def letters_that_follow(outputs: Outputs, found: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """By id the reasons of the dead letters that must be there, and of those that are.

    A record that is not on its topic any more cannot be judged. That our own code has failed is never expected.
    """
    reasons = outputs.rejections.reasons
    expected = {key: reason for key, reason in reasons.items() if not reason.startswith(INTERNAL)}
    internal = {key: reason for key, reason in reasons.items() if reason.startswith(INTERNAL)}
    judged = {
        key: reason
        for key, reason in found.items()
        if key in reasons or reason.startswith(INTERNAL) or not outputs.rejections.is_gone(key)
    }
    return expected, internal | judged


def ticks(query: Query, clock: Clock) -> Ticks:
    """The ticks that have KPI rows, in the time of the clock."""
    rows = query(
        "SELECT ts, min(freshness_sec), max(freshness_sec), max(inserted_at) FROM {database}.flight_kpis GROUP BY ts"
    )
    return {ts: Tick(freshest, stalest, clock.at(inserted)) for ts, freshest, stalest, inserted in rows}


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
