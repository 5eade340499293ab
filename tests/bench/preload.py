"""Fills the topic of events before a measurement."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from itertools import islice

from confluent_kafka import KafkaError, KafkaException, Message

from baggage.domain.events import BaggageEvent
from baggage.provision.topics import EVENTS
from baggage.settings import KafkaSettings
from tests.bench.events import Expected
from tests.bench.producer import produce, producer
from tests.bench.progress import Progress

_LINGER_MS = 50


class Preloader:
    """Appends events to their topic as fast as they can be made, and keeps what is to be expected of them."""

    def __init__(self, kafka: KafkaSettings, events: Iterator[BaggageEvent]) -> None:
        self.expected = Expected()
        self._events = events
        self._producer = producer(kafka, _LINGER_MS)

    def extend(self, total: int, progress: Progress) -> None:
        """Append events until there are `total`; return when the broker has them all."""
        for number, event in enumerate(islice(self._events, total - self.expected.events)):
            produce(self._producer, EVENTS.name, event.key(), event.to_json(), partial(self._delivered, event))
            if number % 1000 == 0:
                self._producer.poll(0)
                progress.at(self.expected.events)
        self._producer.flush()

    def _delivered(self, event: BaggageEvent, error: KafkaError | None, message: Message) -> None:
        if error:
            raise KafkaException(error)
        _, appended_ms = message.timestamp()
        self.expected.take(event, datetime.fromtimestamp(appended_ms / 1000, UTC))
