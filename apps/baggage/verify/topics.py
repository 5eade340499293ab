"""Reads topics from their beginning, and on from there."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition

from baggage.provision.topics import Topic
from baggage.settings import KafkaSettings

_TIMEOUT = 60
_BATCH = 10_000


class RawRecord(NamedTuple):
    """A record as it is on its topic; `appended` is the broker's real time when it appended it, UTC."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    appended: datetime


class TopicReader:
    """Reads the records of one topic: each time what has come since the last."""

    def __init__(self, topic: Topic, settings: KafkaSettings) -> None:
        self.topic = topic
        self.records: list[RawRecord] = []
        self._consumer = Consumer(
            {
                "bootstrap.servers": settings.bootstrap_servers,
                "group.id": "verify",
                "log_level": 0,
                "enable.auto.commit": False,
                "enable.partition.eof": False,
                "fetch.message.max.bytes": 8 * 1024 * 1024,
            }
        )
        self._partitions = [TopicPartition(topic.name, n, OFFSET_BEGINNING) for n in range(topic.partitions)]
        self._consumer.assign(self._partitions)

    def batches(self) -> Iterator[list[RawRecord]]:
        """Read up to the present end. Raises TimeoutError where nothing more comes before that."""
        ends = {p.partition: self._consumer.get_watermark_offsets(p, timeout=_TIMEOUT)[1] for p in self._partitions}
        deadline = time.monotonic() + _TIMEOUT
        while any(self._position(partition) < end for partition, end in ends.items()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"the end of {self.topic.name} did not come within {_TIMEOUT} s")
            messages = self._consumer.consume(_BATCH, timeout=0.2)
            for message in messages:
                if message.error():
                    raise RuntimeError(f"cannot read {self.topic.name}: {message.error()}")
            if messages:
                deadline = time.monotonic() + _TIMEOUT
                yield [record for message in messages if (record := _raw(message))]

    def read(self) -> int:
        """Read up to the present end into `records`; return how many came. Raises TimeoutError as `batches` does."""
        before = len(self.records)
        for batch in self.batches():
            self.records += batch
        return len(self.records) - before

    def _position(self, partition: int) -> int:
        offset = self._consumer.position([TopicPartition(self.topic.name, partition)])[0].offset
        low = self._consumer.get_watermark_offsets(TopicPartition(self.topic.name, partition), cached=True)[0]
        return max(offset, low)

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()


def _raw(message: Message) -> RawRecord | None:
    partition, offset = message.partition(), message.offset()
    if partition is None or offset is None:
        return None
    appended = datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC)
    return RawRecord(partition, offset, message.key(), message.value(), appended)
