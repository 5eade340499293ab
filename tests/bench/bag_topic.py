"""The topic of bags: how many records there are, what they say in the end, and when that is.

How many records an alternative writes is its own business: one for each change, fewer where changes of a bag are
joined first, more where an event that changes nothing makes one, too. So the end of the topic is looked at, which
costs next to nothing, and what is there is read only when it has come to rest.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaException, TopicPartition

from baggage.domain.bags import BagFacts, parse_bag_latest
from baggage.domain.records import RecordError
from baggage.provision.topics import BAG_LATEST
from baggage.settings import KafkaSettings
from tests.bench.progress import Progress
from tests.bench.usage import Meter

_BETWEEN_LOOKS = 0.5
#: When the end has not moved for so long, what is there is read: longer than any alternative gathers records.
_AT_REST_SECONDS = 1.5
#: When it has not moved for so long, no more is waited for; for the first record, which comes after a start, longer.
_ENDED_SECONDS = 60
_START_SECONDS = 300
# All is read only where the newest of a partition are right: at a rest in the midst of the work they are not.
_TAIL = 100
_READ_TIMEOUT = 120
_BATCH = 10_000


class Newest(NamedTuple):
    """The newest record of each bag by key, and when the newest of all was appended by the broker (Unix time)."""

    records: dict[bytes | None, bytes | None]
    appended: float


class BagTopic:
    """The records that are appended to baggage.bag.latest.v1 from now on."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._consumer = Consumer(
            {"bootstrap.servers": kafka.bootstrap_servers, "group.id": "bench", "enable.auto.commit": False}
        )
        self._start = self._ends()

    def written(self) -> int:
        """How many records there are."""
        return sum(self._ends()) - sum(self._start)

    def newest(self, most: int | None = None) -> Newest:
        """Read all records, or only the last ones of each partition, `most` at most."""
        ends = self._ends()
        starts = [
            start if most is None else max(start, end - most) for start, end in zip(self._start, ends, strict=True)
        ]
        partitions = [
            TopicPartition(BAG_LATEST.name, number, start)
            for number, (start, end) in enumerate(zip(starts, ends, strict=True))
            if start < end
        ]
        self._consumer.assign(partitions)
        records: dict[bytes | None, bytes | None] = {}
        appended_ms, deadline = 0, time.monotonic() + _READ_TIMEOUT
        while any(reached.offset < ends[reached.partition] for reached in self._consumer.position(partitions)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{BAG_LATEST.name} could not be read within {_READ_TIMEOUT} s")
            for message in self._consumer.consume(_BATCH, timeout=0.2):
                if error := message.error():
                    raise KafkaException(error)
                records[message.key()] = message.value()
                appended_ms = max(appended_ms, message.timestamp()[1])
        self._consumer.unassign()
        return Newest(records, appended_ms / 1000)

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()

    def _ends(self) -> list[int]:
        """The offset after the last record, by partition."""
        partitions = [TopicPartition(BAG_LATEST.name, number) for number in range(BAG_LATEST.partitions)]
        return [self._consumer.get_watermark_offsets(partition, timeout=30)[1] for partition in partitions]


@dataclass(frozen=True)
class Outcome:
    """How it ended: when the last record was appended, by the broker's clock (Unix time), and how many bags are wrong.

    `cpu` are the CPU seconds by process until the first look that saw the last record.
    """

    ended: float
    cpu: dict[str, float]
    wrong_bags: int


def outcome(topic: BagTopic, expected: Mapping[str, BagFacts], meter: Meter, shown: Progress) -> Outcome:
    """Wait until the newest record of every bag says what is expected, or no more comes.

    Raises ProcessError if a process that is measured ends, and TimeoutError if no record comes at all.
    """
    written, moved, cpu, is_read = 0, time.monotonic(), meter.cpu(), False
    while True:
        meter.check()
        now, there = time.monotonic(), topic.written()
        if there > written:
            written, moved, cpu, is_read = there, now, meter.cpu(), False
            shown.at(written)
        elif not written:
            if now - moved > _START_SECONDS:
                raise TimeoutError(f"no record of a bag came within {_START_SECONDS} s")
        elif now - moved > _ENDED_SECONDS:
            newest = topic.newest()
            return Outcome(newest.appended, cpu, wrong_bags(newest.records, expected))
        elif now - moved > _AT_REST_SECONDS and not is_read:
            is_read = True
            if _are_right(topic.newest(_TAIL).records, expected):
                newest = topic.newest()
                if not wrong_bags(newest.records, expected):
                    return Outcome(newest.appended, cpu, 0)
        time.sleep(_BETWEEN_LOOKS)


def wrong_bags(records: Mapping[bytes | None, bytes | None], expected: Mapping[str, BagFacts]) -> int:
    """How many bags have no record that says their facts."""
    wrong = 0
    for bag_id, facts in expected.items():
        key = bag_id.encode()
        wrong += _facts(key, records.get(key)) != facts
    return wrong


def _are_right(records: Mapping[bytes | None, bytes | None], expected: Mapping[str, BagFacts]) -> bool:
    said = (_facts(key, value) for key, value in records.items())
    return all(facts and facts == expected.get(facts.newest.bag_id) for facts in said)


def _facts(key: bytes | None, value: bytes | None) -> BagFacts | None:
    """The facts that a record says, None where it is none of a bag."""
    try:
        return parse_bag_latest(key, value).facts
    except RecordError:
        return None
