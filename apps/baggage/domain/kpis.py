"""The counts of a flight's bags by stage, and its KPI row (specification sections 6.2 and 7.2; design: Flights)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from baggage.domain.records import Count, FlightId, Record, Time
from baggage.domain.schedule import FlightSchedule
from baggage.domain.stages import Stage

KPI_INTERVAL = timedelta(seconds=10)
#: A flight is active from this long before its departure until it departs.
ACTIVE_BEFORE_DEPARTURE = timedelta(hours=6)


class StageCounts:
    """How many bags of a flight have reached each stage; kept up to date bag by bag, never recounted."""

    def __init__(self, stages: Iterable[Stage] = ()) -> None:
        self._reached = [0] * len(Stage)
        for stage in stages:
            self.move(Stage.EXPECTED, stage)

    def move(self, before: Stage, after: Stage) -> None:
        """Count a bag that moves forward: it has reached every stage up to `after`, missing scans included."""
        for stage in range(before + 1, after + 1):
            self._reached[stage] += 1

    def reached(self, stage: Stage) -> int:
        """The bags at this stage or beyond."""
        return self._reached[stage]


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
    loaded, expected = counts.reached(Stage.LOADED), flight.expected_bags
    return FlightKpi(
        ts=now,
        flight_id=flight.flight_id,
        dep_time=flight.dep_time,
        bag_cutoff_time=flight.bag_cutoff_time,
        expected_bags=expected,
        checked_in=counts.reached(Stage.CHECKED_IN),
        inducted=counts.reached(Stage.INDUCTED),
        cleared=counts.reached(Stage.CLEARED),
        makeup=counts.reached(Stage.MAKEUP),
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


def freshness(newest_ingest: datetime, now: datetime) -> int:
    """Seconds since the newest ingest time that was processed: how stale the pipeline is."""
    return max(int((now - newest_ingest).total_seconds()), 0)
