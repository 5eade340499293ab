"""A baggage event: one scan of one bag (specification section 4.1)."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import Meta

from baggage.domain.records import Airport, FlightId, LegIndex, Record, Text, Time, parser
from baggage.domain.stages import EventType


class BaggageEvent(Record, frozen=True, kw_only=True):
    """A record of baggage.events.v1. `airport` need not be on the flight: bags of a diverted aircraft are elsewhere."""

    event_id: UUID
    bag_id: Text
    itinerary_id: Text
    customer_id: Text
    flight_id: FlightId
    leg_index: LegIndex
    airport: Airport
    event_type: EventType
    event_time: Time
    ingest_time: Time
    scan_point_id: Text
    reader_type: Text
    confidence: Annotated[float, Meta(ge=0, le=1)]
    attributes: dict[str, str]

    def key(self) -> str:
        """The bag, so that its events stay in order."""
        return self.bag_id


parse_event = parser(BaggageEvent)
