"""Flight schedules and bag assignments (specification sections 4.2 and 4.3)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from baggage.domain.records import (
    FIRST_YEAR,
    LAST_YEAR,
    Airport,
    Count,
    FlightId,
    LegIndex,
    Record,
    RecordError,
    Text,
    Time,
    parser,
)

#: What is over is kept this long: flights, bags, itineraries (specification section 6.1).
RETENTION = timedelta(hours=48)
#: Whatever may come again is kept this long after its last news: the joins and counts of Flink, the topic of bags, and
#: what was notified of an expired itinerary. Longer than the topics keep events and notifications, and than any outage.
STATE_RETENTION = timedelta(days=14)
#: A schedule is kept longer: airlines publish them a year ahead.
SCHEDULE_RETENTION = timedelta(days=400)


class FlightStatus(StrEnum):
    """Whether a flight is to take place."""

    SCHEDULED = "SCHEDULED"
    CANCELLED = "CANCELLED"


class FlightSchedule(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A record of flight.schedule.v1."""

    flight_id: FlightId
    airport_origin: Airport
    airport_dest: Airport
    dep_time: Time
    arr_time: Time
    bag_cutoff_time: Time
    expected_bags: Count
    status: FlightStatus = FlightStatus.SCHEDULED

    def key(self) -> str:
        """The flight."""
        return self.flight_id

    def check(self) -> None:
        """Cutoff, departure and arrival follow each other."""
        if not self.bag_cutoff_time <= self.dep_time:
            raise RecordError("bag_cutoff_time", "is after dep_time")
        if not self.dep_time <= self.arr_time:
            raise RecordError("arr_time", "is before dep_time")


class Leg(msgspec.Struct, frozen=True, kw_only=True):
    """One flight of a bag's journey."""

    leg_index: LegIndex
    flight_id: FlightId
    origin: Airport
    dest: Airport


class Assignment(Record, frozen=True, kw_only=True):
    """A record of baggage.assignment.v1: whose bag it is, and the flights it should take."""

    bag_id: Text
    itinerary_id: Text
    customer_id: Text
    bags_in_itinerary: Annotated[int, Meta(ge=1, le=255)]
    legs: Annotated[tuple[Leg, ...], Meta(min_length=1)]

    def key(self) -> str:
        """The bag."""
        return self.bag_id

    def check(self) -> None:
        """Legs count from 0, and each starts where the one before ends."""
        if [leg.leg_index for leg in self.legs] != list(range(len(self.legs))):
            raise RecordError("legs", "leg_index must count 0, 1, 2, ...")
        if any(a.dest != b.origin for a, b in zip(self.legs, self.legs[1:], strict=False)):
            raise RecordError("legs", "a leg does not start where the leg before it ends")


class FlightNews(msgspec.Struct, frozen=True):
    """What flight.schedule.v1 says of a flight: the newest record of its key, by offset; no schedule: a tombstone.

    A later record replaces an earlier one, so the greater offset is the join.
    """

    offset: int
    schedule: FlightSchedule | None

    @property
    def is_cancelled(self) -> bool:
        """Whether the flight will not take place: a tombstone, or its status."""
        return self.schedule is None or self.schedule.status is FlightStatus.CANCELLED


class AssignmentNews(msgspec.Struct, frozen=True):
    """What baggage.assignment.v1 says of a bag: the newest record of its key, by offset; None: a tombstone."""

    offset: int
    assignment: Assignment | None


def latest_arrival(flight_id: str) -> datetime | None:
    """By when a flight without a schedule has arrived, by the date in its id; None where that is no date."""
    try:
        departure = datetime.fromisoformat(flight_id.split("|")[1]).replace(tzinfo=UTC)
    except ValueError:
        return None
    # Of the local day at the origin, and the longest flights take less than a day.
    return departure + timedelta(days=3) if FIRST_YEAR <= departure.year < LAST_YEAR else None


parse_schedule = parser(FlightSchedule)
parse_assignment = parser(Assignment)
