"""A notification for each change of an itinerary's journey state (specification section 6.3)."""

from __future__ import annotations

import msgspec

from baggage.domain.journey import JourneyState
from baggage.domain.records import Count, Record, Text, Time, parser


class Notification(Record, frozen=True, kw_only=True):
    """A record of baggage.notifications.v1; `version` counts the changes of one itinerary from 1."""

    created_at: Time
    notification_id: str
    itinerary_id: Text
    customer_id: Text
    previous_state: JourneyState
    journey_state: JourneyState
    version: Count
    bags_total: int
    current_leg_index: int

    def key(self) -> str:
        """itinerary_id|type|version: the type is the new journey state."""
        return self.notification_id


class Notified(msgspec.Struct, frozen=True, order=True):
    """What was notified last of an itinerary; before any notification it begins as CHECKED_IN.

    A maximum by `version`, so that reading the topic again changes nothing.
    """

    version: int = 0
    journey_state: JourneyState = JourneyState.CHECKED_IN


def notification_id(itinerary_id: str, state: JourneyState, version: int) -> str:
    """The id, and Kafka key, of a notification."""
    return f"{itinerary_id}|{state}|{version}"


parse_notification = parser(Notification)
