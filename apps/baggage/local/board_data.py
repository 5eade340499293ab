"""What the board shows, read from the current views of ClickHouse."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from clickhouse_connect.driver.client import Client

from baggage.domain.journey import JourneyState
from baggage.domain.kpis import ACTIVE_BEFORE_DEPARTURE, KPI_INTERVAL

_TROUBLE = (
    JourneyState.EXCEPTION.value,
    JourneyState.DELAYED_OR_REROUTED.value,
    JourneyState.AT_RISK_FOR_CONNECTION.value,
)
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Board:
    """One look at the pipeline; rows are dictionaries by column."""

    now: datetime
    flights: Rows
    funnel: dict[str, int]
    itineraries: dict[str, int]
    troubled: Rows
    alerts: Rows
    notifications: Rows
    freshness: int | None
    dead_letters: int
    kpi_rows: int
    bag_rows: int


def read(client: Client, database: str, now: datetime, most: int = 12) -> Board:
    """Read the board at the pipeline's time `now`; at most `most` rows a list."""
    parameters = {
        "now": now.replace(tzinfo=None, microsecond=0),
        "horizon": (now + ACTIVE_BEFORE_DEPARTURE).replace(tzinfo=None, microsecond=0),
        "recent": (now - timedelta(minutes=2)).replace(tzinfo=None, microsecond=0),
        "just_now": (now - 2 * KPI_INTERVAL).replace(tzinfo=None, microsecond=0),
        "trouble": _TROUBLE,
        "most": most,
    }

    def rows(query: str) -> Rows:
        return list(client.query(query.replace("{database}", database), parameters=parameters).named_results())

    flights = rows(
        """
        SELECT flight_id, dep_time, bag_cutoff_time, expected_bags, checked_in, loaded, loaded_pct, missing
        FROM {database}.flight_current
        WHERE dep_time BETWEEN %(now)s AND %(horizon)s
        ORDER BY bag_cutoff_time <= addMinutes(toDateTime(%(now)s, 'UTC'), 20) DESC, missing DESC, loaded_pct
        LIMIT %(most)s"""
    )
    funnel = rows(
        """
        SELECT sum(expected_bags) AS expected, sum(checked_in) AS checked_in, sum(inducted) AS inducted,
               sum(cleared) AS cleared, sum(makeup) AS makeup, sum(loaded) AS loaded
        FROM {database}.flight_current WHERE dep_time BETWEEN %(now)s AND %(horizon)s"""
    )[0]
    states = rows(
        "SELECT journey_state, count() AS itineraries FROM {database}.itinerary_current "
        "WHERE journey_state IN %(trouble)s GROUP BY journey_state"
    )
    troubled = rows(
        """
        SELECT ts, itinerary_id, bags_total, journey_state, current_leg_index FROM {database}.itinerary_current
        WHERE journey_state IN %(trouble)s ORDER BY ts DESC LIMIT %(most)s"""
    )
    alerts = rows(
        """
        SELECT max(created_at) AS last, flight_id, severity, rule_id,
               argMax(JSONExtractUInt(payload_json, 'missing'), created_at) AS missing
        FROM {database}.alert_current WHERE created_at >= %(recent)s
        GROUP BY flight_id, severity, rule_id ORDER BY severity, last DESC, missing DESC LIMIT %(most)s"""
    )
    notifications = rows(
        """
        SELECT created_at, itinerary_id, journey_state FROM {database}.notification_current
        ORDER BY created_at DESC LIMIT %(most)s"""
    )
    health = rows(
        """
        SELECT (SELECT max(freshness_sec) FROM {database}.flight_kpis WHERE ts >= %(just_now)s) AS freshness,
               (SELECT count() FROM {database}.dead_letter_current) AS dead_letters,
               (SELECT count() FROM {database}.flight_kpis) AS kpi_rows,
               (SELECT count() FROM {database}.bag_latest) AS bag_rows"""
    )[0]
    return Board(
        now=now,
        flights=flights,
        funnel={stage: int(count) for stage, count in funnel.items()},
        itineraries={row["journey_state"]: row["itineraries"] for row in states},
        troubled=troubled,
        alerts=alerts,
        notifications=notifications,
        freshness=health["freshness"],
        dead_letters=health["dead_letters"],
        kpi_rows=health["kpi_rows"],
        bag_rows=health["bag_rows"],
    )
