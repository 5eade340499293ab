"""What the jobs wrote to Kafka, and the truth that the generator wrote."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from baggage.domain.alerts import Alert, parse_alert
from baggage.domain.dead_letters import parse_dead_letter
from baggage.domain.notifications import Notification, parse_notification
from baggage.domain.truth import Truth, parse_truth
from baggage.provision.topics import ALERTS, DEAD_LETTER, NOTIFICATIONS, TRUTH, Topic
from baggage.verify.rejections import Rejections
from baggage.verify.topics import RawRecord


@dataclass
class Outputs:
    """What is on the topics: each alert once, notifications by itinerary, the reasons of dead letters by their id."""

    rejections: Rejections = field(default_factory=Rejections)
    alerts: set[Alert] = field(default_factory=set)
    notifications: dict[str, list[Notification]] = field(default_factory=dict)
    dead_letters: dict[str, str] = field(default_factory=dict)
    truths: dict[str, Truth] = field(default_factory=dict)

    def apply(self, topic: Topic, records: Iterable[RawRecord]) -> None:
        """Add records of one of the topics."""
        valid = self.rejections.valid
        if topic is ALERTS:
            self.alerts.update(alert for _, alert in valid(topic, records, lambda r: parse_alert(r.key, r.value)))
        elif topic is NOTIFICATIONS:
            for _, one in valid(topic, records, lambda r: parse_notification(r.key, r.value)):
                self.notifications.setdefault(one.itinerary_id, []).append(one)
        elif topic is DEAD_LETTER:
            for _, letter in valid(topic, records, lambda r: parse_dead_letter(r.key, r.value)):
                self.dead_letters[letter.key()] = letter.reason
        elif topic is TRUTH:
            for _, truth in valid(topic, records, lambda r: parse_truth(r.key, r.value)):
                self.truths[truth.key()] = truth
        else:
            raise ValueError(f"{topic.name} is no output")
