"""The counts of a flight's bags by stage, and its KPI row (specification sections 6.2 and 7.2; design: Flights)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import msgspec

from baggage.domain.records import MAX_COUNT, Count, FlightId, Record, Time
from baggage.domain.schedule import FlightSchedule
from baggage.domain.stages import Stage

KPI_INTERVAL = timedelta(seconds=10)
#: A flight is active from this long before its departure until it departs.
ACTIVE_BEFORE_DEPARTURE = timedelta(hours=6)


class StageCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How many bags of a flight have reached each stage, missing scans included; all its bags, and their events."""

    checked_in: int = 0
    inducted: int = 0
    cleared: int = 0
    makeup: int = 0
    loaded: int = 0
    bags: int = 0
    events: int = 0

    @classmethod
    def of(cls, stages: Iterable[Stage]) -> StageCounts:
        """The counts of bags by the stage of each on the flight, one event each."""
        reached = list(stages)

        def count(stage: Stage) -> int:
            return sum(other >= stage for other in reached)

        return cls(
            checked_in=count(Stage.CHECKED_IN),
            inducted=count(Stage.INDUCTED),
            cleared=count(Stage.CLEARED),
            makeup=count(Stage.MAKEUP),
            loaded=count(Stage.LOADED),
            bags=len(reached),
            events=len(reached),
        )

    def by_stage(self) -> StageCounts:
        """The counts that a KPI row shows."""
        return msgspec.structs.replace(self, bags=0, events=0)


class FlightKpi(Record, frozen=True, kw_only=True):
    """A row of flight_kpis; `loaded_pct` is 0 to 100, `freshness_sec` see `freshness`."""

    ts: Time
    flight_id: FlightId
    dep_time: Time
    bag_cutoff_time: Time
    expected_bags: Count
    checked_in: Count
    inducted: Count
    cleared: Count
    makeup: Count
    loaded: Count
    loaded_pct: float
    missing: Count
    freshness_sec: Count

    def key(self) -> str:
        """The flight."""
        return self.flight_id


def flight_kpi(flight: FlightSchedule, counts: StageCounts, freshness_sec: int, now: datetime) -> FlightKpi:
    """The KPI row of a flight at `now`. A flight that expects no bags is fully loaded."""
    loaded, expected = counts.loaded, flight.expected_bags
    return FlightKpi(
        ts=now,
        flight_id=flight.flight_id,
        dep_time=flight.dep_time,
        bag_cutoff_time=flight.bag_cutoff_time,
        expected_bags=expected,
        checked_in=counts.checked_in,
        inducted=counts.inducted,
        cleared=counts.cleared,
        makeup=counts.makeup,
        loaded=loaded,
        loaded_pct=100 * loaded / expected if expected else 100.0,
        missing=max(expected - loaded, 0),
        freshness_sec=freshness_sec,
    )


def is_active(flight: FlightSchedule, now: datetime) -> bool:
    """Whether the flight gets a KPI row and is watched by the alert rules at `now`."""
    return flight.dep_time - ACTIVE_BEFORE_DEPARTURE <= now < flight.dep_time


def tick_at_or_after(when: datetime) -> datetime:
    """The first KPI tick (a multiple of the interval) that is not before `when`."""
    epoch = datetime.fromtimestamp(0, UTC)
    return epoch - ((epoch - when) // KPI_INTERVAL) * KPI_INTERVAL


def freshness(newest: datetime, now: datetime) -> int:
    """Seconds since the newest time at which the broker appended an event that was processed."""
    return min(max(int((now - newest).total_seconds()), 0), MAX_COUNT)
