"""How far a job has read: what its operators need to know of all inputs, broadcast to every subtask.

From it an operator knows whether what was there at its start has been read (`baggage.domain.backlog`), and how fresh
the pipeline is: the same in each subtask, and after a restart the same as before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

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
from baggage.jobs.sources import changes
from baggage.jobs.times import time_json
from baggage.provision.topics import EVENTS, Topic
from baggage.settings import KafkaSettings

#: By topic and partition: the newest `Progress`.
PROGRESS = MapStateDescriptor("progress", Types.STRING(), Types.STRING())

# What another job has read is on its topic after so long.
_WRITTEN_AFTER = timedelta(seconds=10)
_KAFKA_TIMEOUT = 10

logger = structlog.get_logger()


class Progress(msgspec.Struct, frozen=True):
    """How far a partition has been read, rejected records included.

    `arrived` is the newest time, in the pipeline's time, at which a record of it had come by all clocks, `appended_ms`
    the newest Unix time at which the broker appended one; None: all were rejected.
    """

    topic: str
    partition: int
    offset: int
    arrived: datetime | None
    appended_ms: int | None

    def id(self) -> str:
        """The partition."""
        return f"{self.topic}|{self.partition}"


_decode = msgspec.json.Decoder(Progress).decode


def progress(
    tables: StreamTableEnvironment, views: Iterable[str], derived: Mapping[str, Topic] | None = None
) -> BroadcastStream:
    """The progress of these views of `read_topic`, for `ProgressTracker.apply`.

    A view may be `derived` from another topic: its column `source` is a partition of that, and `arrived` the arrival
    of a record of it. So it tells how far another job has read that topic, too.
    """
    own = [
        f"SELECT topic, `partition`, `offset`, arrived, "
        f"CASE WHEN dead_letter IS NULL THEN appended_ms END AS appended_ms FROM {view}"
        for view in views
    ]
    elsewhere = [
        f"SELECT '{topic.name}', CAST(source AS INT), CAST(0 AS BIGINT), arrived, CAST(NULL AS BIGINT) "
        f"FROM {view} WHERE source IS NOT NULL"
        for view, topic in (derived or {}).items()
    ]
    newest = changes(
        tables,
        f"""
        SELECT topic AS k,
            '{{"topic":"' || topic || '","partition":' || CAST(`partition` AS STRING)
            || ',"offset":' || CAST(`offset` AS STRING) || ',"arrived":' || {time_json("arrived")}
            || ',"appended_ms":' || COALESCE(CAST(appended_ms AS STRING), 'null') || '}}' AS v,
            id
        FROM (
            SELECT topic || '|' || CAST(`partition` AS STRING) AS id, MAX(topic) AS topic,
                MAX(`partition`) AS `partition`, MAX(`offset`) AS `offset`, MAX(arrived) AS arrived,
                MAX(appended_ms) AS appended_ms
            FROM ({" UNION ALL ".join(own + elsewhere)})
            GROUP BY topic || '|' || CAST(`partition` AS STRING)
        )""",
    )
    return newest.broadcast(PROGRESS)


class ProgressTracker:
    """The progress of all inputs, as an operator of one subtask knows it since its start.

    `topics` are to be read up to where they ended at the start, and the events up to the present. Where another job
    reads these, `then` is the topic that it writes, which is to be read up to where it ends when the job has done so.
    """

    def __init__(
        self, clock: Clock, kafka: KafkaSettings, topics: tuple[Topic, ...], then: tuple[Topic, ...] = ()
    ) -> None:
        self._clock, self._kafka, self._then = clock, kafka, then
        self._known: dict[str, Progress] = {}
        self._started = datetime.now(UTC)
        self._backlog = self._expect(topics)
        for partition in range(EVENTS.partitions):
            self._backlog.expect(EVENTS.name, partition)
        # When the broker appended the newest event that was processed.
        self._newest: datetime | None = None
        self._is_restored = False

    def apply(self, value: str, ctx: KeyedBroadcastProcessFunction.Context) -> None:
        """Take the progress of a partition."""
        self._restore(ctx)
        progress = _decode(value)
        ctx.get_broadcast_state(PROGRESS).put(progress.id(), value)
        self._apply(progress)

    def is_backlog_read(self, through: datetime, ctx: KeyedBroadcastProcessFunction.ReadOnlyContext) -> bool:
        """Whether anything may be concluded, if all that was read up to the real time `through` has come through."""
        self._restore(ctx)
        if self._then and self._backlog.is_read(through - _WRITTEN_AFTER):
            self._backlog, self._then = self._expect(self._then), ()
            for progress in self._known.values():
                self._read(progress)
        return not self._then and self._backlog.is_read(through)

    def look_again_at(self, now: datetime) -> datetime:
        """When to ask for that again, real time."""
        return self._backlog.look_again_at(now)

    def freshness_sec(self, ctx: KeyedBroadcastProcessFunction.ReadOnlyContext) -> int:
        """How stale the pipeline is, in seconds of its time; before the first event, since the operator's start."""
        self._restore(ctx)
        return freshness(self._clock.at(self._newest or self._started), self._clock.now())

    def _expect(self, topics: tuple[Topic, ...]) -> Backlog:
        backlog = Backlog(datetime.now(UTC))
        for topic, partition, end in _ends(self._kafka, topics):
            backlog.expect(topic, partition, end)
        return backlog

    def _restore(self, ctx: KeyedBroadcastProcessFunction.ReadOnlyContext) -> None:
        """Take what was known before a restart, once: to ask Flink for the state costs more than what comes of it."""
        if not self._is_restored:
            self._is_restored = True
            # Its `values` asks Flink's broadcast state for what that does not have, in thread mode.
            for _, value in ctx.get_broadcast_state(PROGRESS).items():  # noqa: PERF102
                self._apply(_decode(value))

    def _apply(self, progress: Progress) -> None:
        self._known[progress.id()] = progress
        self._read(progress)
        if progress.topic == EVENTS.name and progress.appended_ms:
            appended = datetime.fromtimestamp(progress.appended_ms / 1000, UTC)
            self._newest = max(self._newest or appended, appended)

    def _read(self, progress: Progress) -> None:
        arrived = self._clock.real(progress.arrived) if progress.arrived else datetime.fromtimestamp(0, UTC)
        self._backlog.apply(progress.topic, progress.partition, progress.offset, arrived, datetime.now(UTC))


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
