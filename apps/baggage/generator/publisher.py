"""Paced publishing to Kafka: backfill, live, over midnight, and on after a restart (design: Generator)."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from baggage.clock import Clock
from baggage.domain.events import parse_event
from baggage.domain.records import RecordError
from baggage.generator.day import Publication
from baggage.generator.publications import Calendar, midnight_before
from baggage.provision.topics import EVENTS, TOPICS
from baggage.settings import KafkaSettings, Settings

#: A restart repeats this much, since events are not in order; what comes twice has the same id.
OVERLAP = timedelta(minutes=10)

_PROGRESS_SECONDS = 10
_LONGEST_SLEEP = 0.2
_LOOK_BACK = 50
_TIMEOUT = 15
_TRIES = 20

logger = structlog.get_logger()


class PublishError(RuntimeError):
    """Kafka cannot take the records, and why."""


class Publisher:
    """Publishes the calendar at the pace of the pipeline's clock until it is told to stop."""

    def __init__(self, settings: Settings) -> None:
        self._clock: Clock = settings.clock.clock()
        self._settings = settings
        self._calendar = Calendar(settings.generator)
        self._stop = threading.Event()
        self._failure: str | None = None
        self._published = 0

    def stop(self) -> None:
        """Ask `run` to flush and return."""
        self._stop.set()

    def run(self) -> None:
        """Publish until `stop`. Raises PublishError where Kafka refuses for good."""
        kafka = self._settings.kafka
        wait_for_topics(kafka, self._stop)
        if self._stop.is_set():
            return
        newest = self._newest_ingest_time()
        if self._stop.is_set():
            return
        start = first_publication(self._clock.now(), newest)
        logger.info("publishing", first_time=newest is None, since=start.isoformat(), speed=self._clock.speed)
        producer = Producer(
            {
                "bootstrap.servers": kafka.bootstrap_servers,
                "enable.idempotence": True,
                "compression.type": "lz4",
                "linger.ms": 20,
                # An unreachable broker is waited for; nothing is given up.
                "message.timeout.ms": 0,
                "queue.buffering.max.messages": 200_000,
                "error_cb": self._on_error,
            }
        )
        self._publish(producer, start, first_time=newest is None)
        producer.flush()

    def _newest_ingest_time(self) -> datetime | None:
        """As `newest_ingest_time`; a broker that has just started may refuse for a moment. Raises PublishError."""
        for _ in range(_TRIES):
            try:
                return newest_ingest_time(self._settings.kafka)
            except PublishError as error:
                logger.warning("waiting", reason=str(error))
                self._stop.wait(1)
        return newest_ingest_time(self._settings.kafka)

    def _publish(self, producer: Producer, start: datetime, *, first_time: bool) -> None:
        reported, count = time.monotonic(), 0
        for publication in self._due(producer, start, first_time=first_time):
            if self._stop.is_set():
                return
            if self._failure:
                raise PublishError(self._failure)
            self._produce(producer, publication)
            passed = time.monotonic() - reported
            if passed > _PROGRESS_SECONDS:
                rate = round((self._published - count) / passed)
                logger.info("published", total=self._published, per_second=rate, at=publication.when.isoformat())
                reported, count = time.monotonic(), self._published

    def _due(self, producer: Producer, start: datetime, *, first_time: bool) -> Iterator[Publication]:
        """The publications, each when its time has come.

        Schedules come first, then the events so far, then the assignments: an assignment whose events are still to
        come looks like a bag that was never seen.
        """
        now = self._clock.now()
        yield from self._calendar.schedules(start)
        producer.flush()
        if first_time:
            yield from self._calendar.history(start)
        yield from self._calendar.publications(start, now)
        yield from self._calendar.assignments(start)
        for publication in self._calendar.publications(now):
            while publication.when > now and not self._stop.is_set():
                producer.poll(0)
                real = (self._clock.real(publication.when) - self._clock.real(now)).total_seconds()
                self._stop.wait(min(max(real, 0), _LONGEST_SLEEP))
                now = self._clock.now()
            yield publication

    def _produce(self, producer: Producer, publication: Publication) -> None:
        value = publication.record.to_json() if publication.record else None
        while True:
            try:
                producer.produce(publication.topic.name, value, publication.key)
            except BufferError:
                producer.poll(0.1)
            else:
                break
        self._published += 1
        if self._published % 1000 == 0:
            producer.poll(0)

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._failure = f"Kafka refuses for good: {error.str()}"
        else:
            logger.warning("kafka", error=error.str())


def first_publication(now: datetime, newest: datetime | None) -> datetime:
    """Where to begin: midnight of the day for an empty topic, else a little before the newest event; at most a day ago.

    Nothing can be newer than now, unless the clock was set back; then it goes on from now.
    """
    if newest is None:
        return midnight_before(now)
    return max(min(newest, now) - OVERLAP, now - timedelta(days=1))


def wait_for_topics(kafka: KafkaSettings, stop: threading.Event) -> None:
    """Wait for the broker and the topics, saying so once for each; the topics may come after this process."""
    client = Producer({"bootstrap.servers": kafka.bootstrap_servers, "log_level": 0})
    said = ""
    while not stop.is_set():
        try:
            there = set(client.list_topics(timeout=2).topics)
        except KafkaException:
            problem = f"no Kafka at {kafka.bootstrap_servers} (BAGGAGE_KAFKA__BOOTSTRAP_SERVERS)"
        else:
            missing = [topic.name for topic in TOPICS if topic.name not in there]
            if not missing:
                return
            problem = f"topics are missing, create them with python -m baggage.provision: {', '.join(missing)}"
        if problem != said:
            logger.warning("waiting", reason=problem)
            said = problem
        stop.wait(0.5)


def newest_ingest_time(kafka: KafkaSettings) -> datetime | None:
    """The newest ingest time among the last events of each partition, None where there are none.

    Raises PublishError if the broker does not answer in time.
    """
    consumer = Consumer(
        {"bootstrap.servers": kafka.bootstrap_servers, "group.id": "generator-resume", "enable.auto.commit": False}
    )
    try:
        newest: datetime | None = None
        for partition in consumer.list_topics(EVENTS.name, timeout=_TIMEOUT).topics[EVENTS.name].partitions:
            low, high = consumer.get_watermark_offsets(TopicPartition(EVENTS.name, partition), timeout=_TIMEOUT)
            if high > low:
                times = _ingest_times(consumer, partition, max(low, high - _LOOK_BACK), high)
                newest = max([*times, *([newest] if newest else [])], default=None)
        return newest
    except KafkaException as error:
        raise PublishError(f"cannot read the newest events: {error}") from error
    finally:
        consumer.close()


def _ingest_times(consumer: Consumer, partition: int, start: int, end: int) -> Iterator[datetime]:
    consumer.assign([TopicPartition(EVENTS.name, partition, start)])
    deadline = time.monotonic() + _TIMEOUT
    while time.monotonic() < deadline:
        message: Message | None = consumer.poll(0.5)
        if message is None:
            continue
        if message.error():
            raise PublishError(f"cannot read {EVENTS.name}: {message.error()}")
        # A record of somebody else does not count.
        with suppress(RecordError):
            yield parse_event(message.key(), message.value()).ingest_time
        if (message.offset() or 0) >= end - 1:
            return
    raise PublishError(f"the end of {EVENTS.name}[{partition}] did not arrive in {_TIMEOUT} s")
