"""Fills the topic of events before a measurement, and looks at the topic of bags after it."""

from __future__ import annotations

import time
from collections.abc import Iterator

from confluent_kafka import Consumer, TopicPartition

from baggage.domain.bags import BagLatest, BagState, parse_bag_latest
from baggage.domain.events import BaggageEvent
from baggage.domain.stages import Stage
from baggage.provision.topics import BAG_LATEST, EVENTS, Topic
from baggage.settings import KafkaSettings
from tests.bench.events import Expected
from tests.bench.producer import produce, producer
from tests.bench.progress import Progress

_READ_TIMEOUT = 120
_BATCH = 10_000
_LINGER_MS = 50


class Preloader:
    """Appends events to their topic as fast as they can be made, and keeps what is to be expected of them."""

    def __init__(self, kafka: KafkaSettings, events: Iterator[BaggageEvent]) -> None:
        self.expected = Expected()
        self._events = events
        self._producer = producer(kafka, _LINGER_MS)

    def extend(self, total: int, progress: Progress) -> None:
        """Append events until there are `total`; return when the broker has them all."""
        for event in self._events if self.expected.events < total else ():
            produce(self._producer, EVENTS.name, event.key(), event.to_json())
            self.expected.take(event)
            if self.expected.events % 1000 == 0:
                self._producer.poll(0)
                progress.at(self.expected.events)
            if self.expected.events == total:
                break
        self._producer.flush()


class TopicEnd:
    """The end of a topic: how many records were ever appended to it."""

    def __init__(self, topic: Topic, kafka: KafkaSettings) -> None:
        self._consumer = Consumer(
            {"bootstrap.servers": kafka.bootstrap_servers, "group.id": "bench", "enable.auto.commit": False}
        )
        self._partitions = [TopicPartition(topic.name, number) for number in range(topic.partitions)]

    def offsets(self) -> list[int]:
        """By partition."""
        return [self._consumer.get_watermark_offsets(p, timeout=30)[1] for p in self._partitions]

    def records(self) -> int:
        """Over all partitions."""
        return sum(self.offsets())

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()


def latest_states(kafka: KafkaSettings, start: list[int], end: list[int]) -> dict[str, BagState]:
    """The last record of each bag on baggage.bag.latest.v1 between two lists of offsets (by partition), as states."""
    consumer = Consumer(
        {"bootstrap.servers": kafka.bootstrap_servers, "group.id": "bench", "enable.auto.commit": False}
    )
    consumer.assign([TopicPartition(BAG_LATEST.name, number, offset) for number, offset in enumerate(start)])
    left, last = sum(end) - sum(start), {}
    deadline = time.monotonic() + _READ_TIMEOUT
    while left > 0:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{left} records of {BAG_LATEST.name} did not come within {_READ_TIMEOUT} s")
        for message in consumer.consume(_BATCH, timeout=1):
            if message.error():
                raise RuntimeError(f"cannot read {BAG_LATEST.name}: {message.error()}")
            last[message.key()] = message.value()
            left -= 1
    consumer.close()
    return {(latest := parse_bag_latest(key, value)).bag_id: _state(latest) for key, value in last.items()}


def _state(latest: BagLatest) -> BagState:
    return BagState(
        (latest.leg_index, Stage[latest.stage], latest.flight_id),
        (latest.last_event_time, latest.last_scan_point),
        (latest.itinerary_id, latest.customer_id),
        latest.alarm,
    )
