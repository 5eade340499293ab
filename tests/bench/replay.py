"""The records of generated days one after the other, stored in a file so that a paced replay costs next to nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import NamedTuple

import msgspec

from baggage.domain.events import BaggageEvent
from baggage.generator.day import Day
from baggage.provision.topics import ASSIGNMENT, EVENTS, SCHEDULE
from baggage.settings import GeneratorSettings, KafkaSettings
from tests.bench.producer import produce, producer
from tests.bench.progress import Progress

_STEP = timedelta(hours=1)
_BATCH = 1_000
_LENGTH_BYTES = 4
_PACE_SECONDS = 0.01
_LINGER_MS = 5


class Stored(NamedTuple):
    """A record to produce."""

    topic: str
    key: str
    value: bytes


def _days(settings: GeneratorSettings, first: date) -> Iterator[Stored]:
    """Of each day its schedules, then its events, the assignment of each bag before its first event.

    The senders' clocks are all ahead, so that an event arrives when the broker appends it: a job that sees only older
    ones than its start concludes nothing.
    """
    ahead = datetime.combine(first + timedelta(days=2), datetime.min.time(), UTC)
    for number in count():
        day = Day(settings, first + timedelta(days=number))
        for flight in range(len(day.plan.flights)):
            schedule = day.plan.schedule(flight)
            yield Stored(SCHEDULE.name, schedule.key(), schedule.to_json())
        assigned: set[str] = set()
        start, end = day.plan.midnight - timedelta(hours=6), day.plan.midnight + timedelta(days=2)
        while start < end:
            for publication in day.publications(start, start + _STEP):
                event = publication.record
                if not isinstance(event, BaggageEvent):
                    continue
                if event.bag_id not in assigned:
                    assigned.add(event.bag_id)
                    assignment = day.plan.assignment(int(event.bag_id[-6:]))
                    yield Stored(ASSIGNMENT.name, assignment.key(), assignment.to_json())
                event = msgspec.structs.replace(event, ingest_time=ahead)
                yield Stored(EVENTS.name, event.key(), event.to_json())
            start += _STEP


class Recording:
    """A file with records of the days from today on."""

    def __init__(self, settings: GeneratorSettings, file: Path) -> None:
        self._file = file
        self._records = _days(settings, datetime.now(UTC).date())
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(list[Stored]).decode

    def write(self, events: int, progress: Progress) -> None:
        """Store the records with the next so many events, in place of what was stored."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        stored, batch = 0, []
        with self._file.open("wb") as file:
            while stored < events:
                record = next(self._records)
                batch.append(record)
                stored += record.topic == EVENTS.name
                if len(batch) >= _BATCH or stored == events:
                    packed = self._encode(batch)
                    file.write(len(packed).to_bytes(_LENGTH_BYTES) + packed)
                    batch = []
                    progress.at(stored)

    def read(self) -> Iterator[Stored]:
        """The records in order."""
        with self._file.open("rb") as file:
            while head := file.read(_LENGTH_BYTES):
                yield from self._decode(file.read(int.from_bytes(head)))


class Replay:
    """Produces records, at once or in a thread at a rate of events a second.

    `sent` are the events since the start of the thread: fewer than the rate says where the machine is too busy.
    """

    def __init__(self, kafka: KafkaSettings) -> None:
        self.sent = 0
        self._producer = producer(kafka, _LINGER_MS)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, events_per_second: float, records: Iterator[Stored]) -> None:
        """Begin with the records at this rate."""
        self._stop.clear()
        self.sent = 0
        self._thread = threading.Thread(target=self._pace, args=(events_per_second, records), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop, and wait until the broker has all that was produced."""
        self._stop.set()
        if self._thread:
            self._thread.join()
        self._producer.flush()

    def all_at_once(self, records: Iterator[Stored]) -> None:
        """Produce the records as fast as the broker takes them."""
        for number, record in enumerate(records):
            produce(self._producer, *record)
            if number % _BATCH == 0:
                self._producer.poll(0)
        self._producer.flush()

    def _pace(self, rate: float, records: Iterator[Stored]) -> None:
        started = time.monotonic()
        while not self._stop.wait(_PACE_SECONDS):
            due = int((time.monotonic() - started) * rate)
            while self.sent < due:
                record = next(records, None)
                if record is None:
                    return
                produce(self._producer, *record)
                self.sent += record.topic == EVENTS.name
            self._producer.poll(0)
