"""How far a job has read: what its operators need to know of all inputs, broadcast to every subtask.

From it an operator knows whether what was there at its start has been read (`baggage.domain.backlog`), and how fresh
the pipeline is: the same in each subtask, and after a restart the same as before.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec
import structlog
from confluent_kafka import Consumer, KafkaException, TopicPartition
from pyflink.common import Types
from pyflink.datastream import BroadcastStream, KeyedBroadcastProcessFunction
from pyflink.datastream.state import MapStateDescriptor
from pyflink.table import StreamTableEnvironment

from baggage.clock import Clock
from baggage.domain.backlog import Backlog
from baggage.domain.kpis import freshness
from baggage.jobs.facts import time_json
from baggage.jobs.sources import changes
from baggage.provision.topics import EVENTS, Topic
from baggage.settings import KafkaSettings

#: By topic and partition: the newest `Progress`.
PROGRESS = MapStateDescriptor("progress", Types.STRING(), Types.STRING())

_KAFKA_TIMEOUT = 10

logger = structlog.get_logger()


class Progress(msgspec.Struct, frozen=True):
    """How far a partition has been read, rejected records included.

    `arrived` is the newest time, in the pipeline's time, at which a record of it had come by all clocks, `appended`
    the newest one, in real time, at which the broker appended one; None: all were rejected.
    """

    topic: str
    partition: int
    offset: int
    arrived: datetime | None
    appended: datetime | None


_decode = msgspec.json.Decoder(Progress).decode


def progress(tables: StreamTableEnvironment, views: Iterable[str], derived: Iterable[str] = ()) -> BroadcastStream:
    """The progress of these views of `read_topic`, for `ProgressTracker.apply`.

    In the records of the `derived` ones `source` is the partition of the events that they are made of. These are what
    has been read or not, and all of them come in each partition of the topic itself.
    """
    partitions = dict.fromkeys(views, "`partition`") | dict.fromkeys(derived, "CAST(source AS INT)")
    records = " UNION ALL ".join(
        f"SELECT topic || '|' || CAST({partition} AS STRING) AS id, topic, {partition} AS `partition`, `offset`, "
        f"arrived, CASE WHEN rejected_reason IS NULL THEN appended END AS appended "
        f"FROM {view} WHERE {partition} IS NOT NULL"
        for view, partition in partitions.items()
    )
    time_format = "yyyy-MM-dd''T''HH:mm:ss.SSS''Z''"
    newest = changes(
        tables,
        f"""
        SELECT topic AS k,
            '{{"topic":"' || topic || '","partition":' || CAST(`partition` AS STRING)
            || ',"offset":' || CAST(`offset` AS STRING) || ',"arrived":' || {time_json("arrived")}
            || ',"appended":' || {time_json(f"DATE_FORMAT(appended, '{time_format}')")} || '}}' AS v,
            id
        FROM (
            SELECT id, MAX(topic) AS topic, MAX(`partition`) AS `partition`, MAX(`offset`) AS `offset`,
                MAX(arrived) AS arrived, MAX(appended) AS appended
            FROM ({records}) GROUP BY id
        )""",
    )
    return newest.broadcast(PROGRESS)


class ProgressTracker:
    """The progress of all inputs, as an operator of one subtask knows it since its start.

    `continuous` receives records all the time, of so many `partitions`; `others` must be read up to where they ended at
    the start.
    """

    def __init__(
        self, clock: Clock, kafka: KafkaSettings, continuous: Topic, partitions: int, others: Iterable[Topic]
    ) -> None:
        self._clock = clock
        self._started = datetime.now(UTC)
        self._backlog = Backlog(self._started)
        for partition in range(partitions):
            self._backlog.expect(continuous.name, partition)
        for topic, partition, end in _ends(kafka, others):
            self._backlog.expect(topic, partition, end)
        # When the broker appended the newest event that was processed.
        self._newest: datetime | None = None
        self._is_restored = False

    def apply(self, value: str, ctx: KeyedBroadcastProcessFunction.Context) -> None:
        """Take the progress of a partition."""
        self._restore(ctx)
        progress = _decode(value)
        ctx.get_broadcast_state(PROGRESS).put(f"{progress.topic}|{progress.partition}", value)
        self._apply(progress)

    def _restore(self, ctx: KeyedBroadcastProcessFunction.ReadOnlyContext) -> None:
        """Take what was known before a restart, once: to ask Flink for the state costs more than what comes of it."""
        if not self._is_restored:
            self._is_restored = True
            # Its `values` asks Flink's broadcast state for what that does not have, in thread mode.
            for _, value in ctx.get_broadcast_state(PROGRESS).items():  # noqa: PERF102
                self._apply(_decode(value))

    def _apply(self, progress: Progress) -> None:
        arrived = self._clock.real(progress.arrived) if progress.arrived else datetime.fromtimestamp(0, UTC)
        self._backlog.apply(progress.topic, progress.partition, progress.offset, arrived, datetime.now(UTC))
        if progress.topic == EVENTS.name and progress.appended:
            self._newest = max(self._newest or progress.appended, progress.appended)

    def is_backlog_read(self, ctx: KeyedBroadcastProcessFunction.ReadOnlyContext) -> bool:
        """Whether anything may be concluded."""
        self._restore(ctx)
        return self._backlog.is_read(datetime.now(UTC))

    def look_again_at(self) -> datetime:
        """When to ask for that again, real time."""
        return self._backlog.look_again_at(datetime.now(UTC))

    def freshness_sec(self, ctx: KeyedBroadcastProcessFunction.ReadOnlyContext) -> int:
        """How stale the pipeline is, in seconds of its time; before the first event, since the operator's start."""
        self._restore(ctx)
        return freshness(self._clock.at(self._newest or self._started), self._clock.now())


def _ends(kafka: KafkaSettings, topics: Iterable[Topic]) -> list[tuple[str, int, int | None]]:
    """Topic, partition and end of each partition, 0 for an empty one; None where the broker does not say."""
    consumer = Consumer(
        {"bootstrap.servers": kafka.bootstrap_servers, "group.id": "progress", "enable.auto.commit": False}
    )
    partitions = [(topic.name, partition) for topic in topics for partition in range(topic.partitions)]
    try:
        offsets = [consumer.get_watermark_offsets(TopicPartition(*known), _KAFKA_TIMEOUT) for known in partitions]
        return [(*known, high if high > low else 0) for known, (low, high) in zip(partitions, offsets, strict=True)]
    except KafkaException as error:
        logger.warning("the ends of the topics are not known", reason=str(error))
        return [(*known, None) for known in partitions]
    finally:
        consumer.close()
