"""Records for tests, with everything that a test does not care about filled in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import NAMESPACE_OID, uuid5

from baggage.domain.bags import BagFacts, Loading, Reached, Removal, Sighting
from baggage.domain.events import BaggageEvent
from baggage.domain.kpis import FlightKpi, StageCounts, flight_kpi
from baggage.domain.schedule import Assignment, AssignmentNews, FlightNews, FlightSchedule, FlightStatus, Leg
from baggage.domain.stages import EventType, Stage

DEPARTURE = datetime(2026, 1, 4, 10, 0, tzinfo=UTC)
INBOUND = "BR025|2026-01-04|LHR->AMS"
ONWARD = "BR610|2026-01-04|AMS->FRA"
HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
BAG, ITINERARY, CUSTOMER = "BAG000123", "ITI000045", "CUST000045"


def flight(
    flight_id: str = INBOUND,
    dep: datetime = DEPARTURE,
    cutoff_before: timedelta = 40 * MINUTE,
    expected: int = 220,
    status: FlightStatus = FlightStatus.SCHEDULED,
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
        status=status,
    )


INBOUND_FLIGHT = flight()
ONWARD_FLIGHT = flight(ONWARD, DEPARTURE + 180 * MINUTE)
CANCELLED_INBOUND = flight(status=FlightStatus.CANCELLED)
LEGS = (
    Leg(leg_index=0, flight_id=INBOUND, origin="LHR", dest="AMS"),
    Leg(leg_index=1, flight_id=ONWARD, origin="AMS", dest="FRA"),
)


def event(
    kind: EventType = EventType.MAKEUP_ARRIVED,
    leg: int = 0,
    at: datetime = DEPARTURE,
    bag_id: str = BAG,
    scan_point: str = "LHR_MAKEUP_12",
    name: str = "",
    *,
    flight_id: str = "",
    airport: str = "",
    itinerary_id: str = ITINERARY,
) -> BaggageEvent:
    return BaggageEvent(
        event_id=uuid5(NAMESPACE_OID, name or f"{bag_id}{kind}{leg}{at}{scan_point}"),
        bag_id=bag_id,
        itinerary_id=itinerary_id,
        customer_id=CUSTOMER,
        flight_id=flight_id or LEGS[leg].flight_id,
        leg_index=leg,
        airport=airport or (LEGS[leg].dest if kind is EventType.OFFLOADED else LEGS[leg].origin),
        event_type=kind,
        event_time=at,
        ingest_time=at + 2 * SECOND,
        scan_point_id=scan_point,
        reader_type="RFID",
        confidence=0.99,
        attributes={"security_result": "CLEARED"},
    )


def facts(
    leg: int = 0,
    stage: Stage = Stage.EXPECTED,
    *,
    airport: str = "AMS",
    loaded: Loading | None = None,
    removed: Removal | None = None,
    alarmed: datetime | None = None,
    cleared: datetime | None = None,
) -> BagFacts:
    """What is known of a bag that has come to a stage of a leg."""
    flight_id = LEGS[min(leg, 1)].flight_id
    return BagFacts(
        reached=Reached(leg, stage),
        newest=Sighting(leg, DEPARTURE, flight_id, "AMS_01", airport, ITINERARY, CUSTOMER, BAG),
        loaded=loaded,
        removed=removed,
        alarmed=alarmed,
        cleared=cleared,
    )


def assignment(
    legs: tuple[Leg, ...] = LEGS, bags: int = 2, bag_id: str = BAG, itinerary_id: str = ITINERARY
) -> Assignment:
    return Assignment(bag_id=bag_id, itinerary_id=itinerary_id, customer_id=CUSTOMER, bags_in_itinerary=bags, legs=legs)


def flight_news(schedule: FlightSchedule | None = INBOUND_FLIGHT, offset: int = 0) -> FlightNews:
    return FlightNews(offset, schedule)


def assignment_news(assigned: Assignment | None, offset: int = 0) -> AssignmentNews:
    return AssignmentNews(offset, assigned)


def kpi(now: datetime, loaded: int, expected: int) -> FlightKpi:
    counts = StageCounts.of([Stage.LOADED] * loaded)
    return flight_kpi(flight(expected=expected), counts, 0, now)
