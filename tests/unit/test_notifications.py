"""Specification section 6.3: what a notification says, and what is kept of it."""

from __future__ import annotations

from baggage.domain.journey import JourneyState
from baggage.domain.notifications import Notification, Notified, notification_id, parse_notification
from baggage.domain.records import MAX_COUNT
from tests.builders import CUSTOMER, DEPARTURE

S = JourneyState


def test_the_longest_id_of_an_itinerary_makes_a_notification_that_can_be_read_back() -> None:
    itinerary_id = "\N{AIRPLANE}" * 256
    notice = Notification(
        created_at=DEPARTURE,
        notification_id=notification_id(itinerary_id, S.AT_RISK_FOR_CONNECTION, MAX_COUNT),
        itinerary_id=itinerary_id,
        customer_id=CUSTOMER,
        previous_state=S.CHECKED_IN,
        journey_state=S.AT_RISK_FOR_CONNECTION,
        version=MAX_COUNT,
        bags_total=255,
        current_leg_index=255,
    )
    assert notice.key() == f"{itinerary_id}|AT_RISK_FOR_CONNECTION|{MAX_COUNT}"
    assert parse_notification(notice.key().encode(), notice.to_json()) == notice


def test_of_two_notifications_the_one_of_the_greater_version_is_the_last() -> None:
    assert Notified() == Notified(0, S.CHECKED_IN)
    assert Notified() < Notified(2, S.ON_FLIGHT) < Notified(10, S.CHECKED_IN)
