"""A notification for each change of an itinerary's journey state (specification section 6.3)."""

from __future__ import annotations

from datetime import datetime

from baggage.domain.journey import ItineraryState, JourneyState
from baggage.domain.records import Count, Record, Text, Time, parser


class Notification(Record, frozen=True, kw_only=True):
    """A record of baggage.notifications.v1; `version` counts the changes of one itinerary from 1."""

    created_at: Time
    notification_id: Text
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


def notification(previous: JourneyState, state: ItineraryState, version: int, now: datetime) -> Notification | None:
    """The notification number `version`, or None where the journey state stays as it is.

    The first state of an itinerary is no change, so it makes no notification.
    """
    if state.journey_state is previous:
        return None
    return Notification(
        created_at=now,
        notification_id=f"{state.itinerary_id}|{state.journey_state}|{version}",
        itinerary_id=state.itinerary_id,
        customer_id=state.customer_id,
        previous_state=previous,
        journey_state=state.journey_state,
        version=version,
        bags_total=state.bags_total,
        current_leg_index=state.current_leg_index,
    )


parse_notification = parser(Notification)
