"""Reads topics from their beginning, and on from there."""

from __future__ import annotations

import time
from typing import NamedTuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from baggage.provision.topics import Topic
from baggage.settings import KafkaSettings

_TIMEOUT = 60
_BATCH = 10_000


class RawRecord(NamedTuple):
    """A record as it is on its topic."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None


class TopicReader:
    """Collects the records of one topic; each `read` adds what has come since."""

    def __init__(self, topic: Topic, settings: KafkaSettings) -> None:
        self.topic = topic
        self.records: list[RawRecord] = []
        self._consumer = Consumer(
            {
                "bootstrap.servers": settings.bootstrap_servers,
                "group.id": "verify",
                "enable.auto.commit": False,
                "enable.partition.eof": False,
                "fetch.message.max.bytes": 8 * 1024 * 1024,
            }
        )
        self._partitions = [TopicPartition(topic.name, n, OFFSET_BEGINNING) for n in range(topic.partitions)]
        self._consumer.assign(self._partitions)

    def read(self) -> int:
        """Read up to the present end; return how many records came. Raises TimeoutError if the end does not come."""
        ends = {p.partition: self._consumer.get_watermark_offsets(p, timeout=_TIMEOUT)[1] for p in self._partitions}
        before, deadline = len(self.records), time.monotonic() + _TIMEOUT
        while any(self._position(partition) < end for partition, end in ends.items()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"the end of {self.topic.name} did not come within {_TIMEOUT} s")
            for message in self._consumer.consume(_BATCH, timeout=0.2):
                if message.error():
                    raise RuntimeError(f"cannot read {self.topic.name}: {message.error()}")
                partition, offset = message.partition(), message.offset()
                if partition is not None and offset is not None:
                    self.records.append(RawRecord(partition, offset, message.key(), message.value()))
        return len(self.records) - before

    def _position(self, partition: int) -> int:
        offset = self._consumer.position([TopicPartition(self.topic.name, partition)])[0].offset
        low = self._consumer.get_watermark_offsets(TopicPartition(self.topic.name, partition), cached=True)[0]
        return max(offset, low)

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()
