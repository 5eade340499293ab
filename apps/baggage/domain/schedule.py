"""Flight schedules and bag assignments (specification sections 4.2 and 4.3)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

import msgspec
from msgspec import Meta

from baggage.domain.records import Airport, Count, FlightId, LegIndex, Record, RecordError, Text, Time, parser

#: What is over is remembered this long: event ids, bags, flights, itineraries (specification section 6.1).
RETENTION = timedelta(hours=48)


class FlightSchedule(Record, frozen=True, kw_only=True):
    """A record of flight.schedule.v1."""

    flight_id: FlightId
    airport_origin: Airport
    airport_dest: Airport
    dep_time: Time
    arr_time: Time
    bag_cutoff_time: Time
    expected_bags: Count

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


def is_done(flight: FlightSchedule, now: datetime) -> bool:
    """Whether nothing more is expected of the flight, so that what is known of it is let go."""
    return now >= flight.arr_time + RETENTION


parse_schedule = parser(FlightSchedule)
parse_assignment = parser(Assignment)
