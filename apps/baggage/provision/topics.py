"""The topics, declared once (specification section 3; design: Bad input, Generator)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from baggage.domain.schedule import STATE_RETENTION


class Cleanup(StrEnum):
    """Kafka's cleanup.policy."""

    COMPACT = "compact"
    DELETE = "delete"
    COMPACT_AND_DELETE = "compact,delete"


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic: its key, partitions, and what is kept for how long."""

    name: str
    key: str
    cleanup: Cleanup
    partitions: int
    retention: timedelta | None = None
    max_message_bytes: int | None = None

    def config(self) -> dict[str, str]:
        """The topic's configuration in Kafka's terms."""
        # The broker's time: how far a job has read, and how fresh it is, does not depend on anybody else's clock.
        config = {"cleanup.policy": self.cleanup.value, "message.timestamp.type": "LogAppendTime"}
        if self.cleanup is not Cleanup.DELETE:
            # A deleted flight or bag stays readable as a tombstone for a day; then it is gone for good.
            config |= {"delete.retention.ms": _ms(timedelta(days=1)), "segment.ms": _ms(timedelta(hours=6))}
        if self.retention is not None:
            config["retention.ms"] = _ms(self.retention)
        if self.max_message_bytes is not None:
            config["max.message.bytes"] = str(self.max_message_bytes)
        return config


def _ms(duration: timedelta) -> str:
    return str(int(duration.total_seconds() * 1000))


_WEEK = timedelta(days=7)

SCHEDULE = Topic("flight.schedule.v1", "flight_id", Cleanup.COMPACT, 3)
ASSIGNMENT = Topic("baggage.assignment.v1", "bag_id", Cleanup.COMPACT, 3)
EVENTS = Topic("baggage.events.v1", "bag_id", Cleanup.DELETE, 3, _WEEK)
# Nobody deletes a bag: its last record goes for its age.
BAG_LATEST = Topic("baggage.bag.latest.v1", "bag_id", Cleanup.COMPACT_AND_DELETE, 3, STATE_RETENTION)
ALERTS = Topic("baggage.alerts.v1", "flight_id|rule_id|window_start", Cleanup.DELETE, 3, _WEEK)
NOTIFICATIONS = Topic("baggage.notifications.v1", "itinerary_id|type|version", Cleanup.DELETE, 3, _WEEK)
# A dead letter holds the whole record in base64: room for the largest that a broker takes by default, and more.
DEAD_LETTER = Topic("baggage.dead-letter.v1", "topic|partition|offset", Cleanup.DELETE, 1, 2 * _WEEK, 4 * 1024 * 1024)
TRUTH = Topic("baggage.truth.v1", "injection|subject", Cleanup.DELETE, 1, _WEEK)

TOPICS = (SCHEDULE, ASSIGNMENT, EVENTS, BAG_LATEST, ALERTS, NOTIFICATIONS, DEAD_LETTER, TRUTH)
