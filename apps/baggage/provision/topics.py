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
    """A topic: its key, partitions, and what is kept for how long, and on which share of a broker's disk at most.

    A topic that is only compacted is bounded by its keys.
    """

    name: str
    key: str
    cleanup: Cleanup
    partitions: int
    retention: timedelta | None = None
    disk_share: float | None = None
    max_message_bytes: int | None = None

    def config(self, disk_bytes: int) -> dict[str, str]:
        """The topic's configuration in Kafka's terms, for brokers with disks of this size that hold all of it."""
        # The broker's time: how far a job has read, and how fresh it is, does not depend on anybody else's clock.
        config = {"cleanup.policy": self.cleanup.value, "message.timestamp.type": "LogAppendTime"}
        if self.cleanup is not Cleanup.DELETE:
            # A deleted flight or bag stays readable as a tombstone for a day; then it is gone for good.
            config |= {"delete.retention.ms": _ms(timedelta(days=1)), "segment.ms": _ms(timedelta(hours=6))}
        if self.retention is not None:
            config["retention.ms"] = _ms(self.retention)
        if self.disk_share is not None:
            bound = int(self.disk_share * disk_bytes / self.partitions)
            # Kafka deletes whole segments, and never the one that it writes: it is on top of what is retained.
            segment = max(min(bound // 8, _LARGEST_SEGMENT), _SMALLEST_SEGMENT)
            config |= {"segment.bytes": str(segment), "retention.bytes": str(max(bound - segment, segment))}
        if self.max_message_bytes is not None:
            config["max.message.bytes"] = str(self.max_message_bytes)
        return config


def _ms(duration: timedelta) -> str:
    return str(int(duration.total_seconds() * 1000))


_WEEK = timedelta(days=7)
# A segment has room for the largest record.
_SMALLEST_SEGMENT, _LARGEST_SEGMENT = 2**22, 2**27

SCHEDULE = Topic("flight.schedule.v1", "flight_id", Cleanup.COMPACT, 3)
ASSIGNMENT = Topic("baggage.assignment.v1", "bag_id", Cleanup.COMPACT, 3)
EVENTS = Topic("baggage.events.v1", "bag_id", Cleanup.DELETE, 3, _WEEK, 0.4)
# Nobody deletes a bag: its last record goes for its age.
BAG_LATEST = Topic("baggage.bag.latest.v1", "bag_id", Cleanup.COMPACT_AND_DELETE, 3, STATE_RETENTION)
ALERTS = Topic("baggage.alerts.v1", "flight_id|rule_id|window_start", Cleanup.DELETE, 3, _WEEK, 0.05)
NOTIFICATIONS = Topic("baggage.notifications.v1", "itinerary_id|type|version", Cleanup.DELETE, 3, _WEEK, 0.05)
# A dead letter holds the whole record in base64: room for the largest that a broker takes by default, and more.
DEAD_LETTER = Topic(
    "baggage.dead-letter.v1", "topic|partition|offset", Cleanup.DELETE, 1, 2 * _WEEK, 0.1, 4 * 1024 * 1024
)
TRUTH = Topic("baggage.truth.v1", "injection|subject", Cleanup.DELETE, 1, _WEEK, 0.05)

#: What an airport's own feeds write.
FEEDS = (SCHEDULE, ASSIGNMENT, EVENTS)
TOPICS = (SCHEDULE, ASSIGNMENT, EVENTS, BAG_LATEST, ALERTS, NOTIFICATIONS, DEAD_LETTER, TRUTH)
