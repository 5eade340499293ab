"""Design, "Nothing is concluded from a backlog": the progress of all inputs, as an operator knows it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from baggage.clock import Clock
from baggage.domain.backlog import QUIET
from baggage.jobs import progress
from baggage.jobs.progress import Progress, ProgressTracker
from baggage.provision.topics import ASSIGNMENT, BAG_LATEST, EVENTS, Topic
from baggage.settings import KafkaSettings
from tests.builders import HOUR, MINUTE, SECOND
from tests.unit.broadcast_state import BroadcastState

NO_KAFKA = KafkaSettings(bootstrap_servers="127.0.0.1:1")
BUSY = 20 * SECOND


class Broker:
    """Where the topics end, by name; and the broadcast state of an operator."""

    def __init__(self) -> None:
        self.ends: dict[str, int] = {}
        self.broadcast = BroadcastState()

    def ends_of(self, _kafka: KafkaSettings, topics: Iterable[Topic]) -> list[tuple[str, int, int | None]]:
        return [(topic.name, 0, self.ends.get(topic.name, 0)) for topic in topics]

    def get_broadcast_state(self, _descriptor: object) -> BroadcastState:
        return self.broadcast


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    made = Broker()
    monkeypatch.setattr(progress, "_ends", made.ends_of)
    return made


def tracker(*topics: Topic, then: tuple[Topic, ...] = ()) -> ProgressTracker:
    return ProgressTracker(Clock(), NO_KAFKA, topics, then)


def read(tracked: ProgressTracker, broker: Any, topic: Topic, partition: int, offset: int, age: Any = None) -> None:
    now = datetime.now(UTC)
    arrived = now - (age or 0 * SECOND)
    came = Progress(topic.name, partition, offset, arrived, int(arrived.timestamp() * 1000))
    tracked.apply(msgspec.json.encode(came).decode(), broker)


def events_are_read(tracked: ProgressTracker, broker: Broker) -> None:
    for partition in range(EVENTS.partitions):
        read(tracked, broker, EVENTS, partition, 7)


def is_read(tracked: ProgressTracker, broker: Any, in_a_while: Any = BUSY) -> bool:
    return tracked.is_backlog_read(datetime.now(UTC) + in_a_while, broker)


def test_events_are_read_up_to_the_present_in_every_partition_and_other_topics_up_to_their_end(broker: Broker) -> None:
    broker.ends[ASSIGNMENT.name] = 3
    tracked = tracker(ASSIGNMENT)
    events_are_read(tracked, broker)
    assert not is_read(tracked, broker)
    read(tracked, broker, ASSIGNMENT, 0, 2, HOUR)
    assert is_read(tracked, broker)


def test_an_event_of_the_past_is_backlog(broker: Broker) -> None:
    tracked = tracker()
    events_are_read(tracked, broker)
    behind = tracker()
    for partition in range(EVENTS.partitions):
        read(behind, broker, EVENTS, partition, 7, HOUR)
    assert is_read(tracked, broker)
    assert not is_read(behind, broker)


def test_what_another_job_made_of_the_events_is_read_up_to_where_it_ends_when_that_has_read_them(
    broker: Broker,
) -> None:
    tracked = tracker(then=(BAG_LATEST,))
    # Its topic ends far behind what it is about to write, and is read up to there at once.
    broker.ends[BAG_LATEST.name] = 5
    read(tracked, broker, BAG_LATEST, 0, 4)
    assert not is_read(tracked, broker)
    events_are_read(tracked, broker)
    broker.ends[BAG_LATEST.name] = 100
    assert not is_read(tracked, broker, SECOND), "it may not be on the topic yet"
    assert not is_read(tracked, broker)
    read(tracked, broker, BAG_LATEST, 0, 98)
    assert not is_read(tracked, broker)
    read(tracked, broker, BAG_LATEST, 0, 99)
    assert is_read(tracked, broker)


def test_what_was_read_of_that_topic_before_counts(broker: Broker) -> None:
    tracked = tracker(then=(BAG_LATEST,))
    broker.ends[BAG_LATEST.name] = 100
    read(tracked, broker, BAG_LATEST, 0, 120)
    events_are_read(tracked, broker)
    assert is_read(tracked, broker)


def test_without_any_events_it_counts_as_read_after_a_while(broker: Broker) -> None:
    tracked = tracker(then=(BAG_LATEST,))
    assert not is_read(tracked, broker, QUIET)
    assert is_read(tracked, broker, QUIET + MINUTE)


def test_freshness_is_known_again_after_a_restart_and_the_backlog_is_another_one(broker: Broker) -> None:
    before = tracker()
    for partition in range(EVENTS.partitions):
        read(before, broker, EVENTS, partition, 7, MINUTE)
    after = tracker()
    assert 60 <= after.freshness_sec(broker) < 70
    assert not is_read(after, broker)
