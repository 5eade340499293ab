"""Records for tests, with everything that a test does not care about filled in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import NAMESPACE_OID, uuid5

from baggage.domain.events import BaggageEvent
from baggage.domain.kpis import FlightKpi, StageCounts, flight_kpi
from baggage.domain.schedule import Assignment, FlightSchedule, Leg
from baggage.domain.stages import EventType, Stage

DEPARTURE = datetime(2026, 1, 4, 10, 0, tzinfo=UTC)
INBOUND = "BR025|2026-01-04|LHR->AMS"
ONWARD = "BR610|2026-01-04|AMS->FRA"
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)


def flight(
    flight_id: str = INBOUND, dep: datetime = DEPARTURE, cutoff_before: timedelta = 40 * MINUTE, expected: int = 220
) -> FlightSchedule:
    origin, dest = flight_id.rpartition("|")[2].split("->")
    return FlightSchedule(
        flight_id=flight_id,
        airport_origin=origin,
        airport_dest=dest,
        dep_time=dep,
        arr_time=dep + 70 * MINUTE,
        bag_cutoff_time=dep - cutoff_before,
        expected_bags=expected,
    )


INBOUND_FLIGHT = flight()
ONWARD_FLIGHT = flight(ONWARD, DEPARTURE + 180 * MINUTE)
LEGS = (
    Leg(leg_index=0, flight_id=INBOUND, origin="LHR", dest="AMS"),
    Leg(leg_index=1, flight_id=ONWARD, origin="AMS", dest="FRA"),
)


def event(
    kind: EventType = EventType.MAKEUP_ARRIVED,
    leg: int = 0,
    at: datetime = DEPARTURE,
    bag_id: str = "BAG000123",
    scan_point: str = "LHR_MAKEUP_12",
    name: str = "",
) -> BaggageEvent:
    return BaggageEvent(
        event_id=uuid5(NAMESPACE_OID, name or f"{bag_id}{kind}{leg}{at}{scan_point}"),
        bag_id=bag_id,
        itinerary_id="ITI000045",
        customer_id="CUST000045",
        flight_id=LEGS[leg].flight_id,
        leg_index=leg,
        airport=LEGS[leg].origin,
        event_type=kind,
        event_time=at,
        ingest_time=at + 2 * SECOND,
        scan_point_id=scan_point,
        reader_type="RFID",
        confidence=0.99,
        attributes={"security_result": "CLEARED"},
    )


def assignment(legs: tuple[Leg, ...] = LEGS, bags: int = 2) -> Assignment:
    return Assignment(
        bag_id="BAG000123",
        itinerary_id="ITI000045",
        customer_id="CUST000045",
        bags_in_itinerary=bags,
        legs=legs,
    )


def kpi(now: datetime, loaded: int, expected: int) -> FlightKpi:
    counts = StageCounts([Stage.LOADED] * loaded)
    return flight_kpi(flight(expected=expected), counts, 0, now)
