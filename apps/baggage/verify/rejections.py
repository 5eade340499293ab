"""Which records a job must reject, and why: judged with the parsers of the domain, as the jobs read them."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from baggage.domain.dead_letters import dead_letter, internal_error
from baggage.domain.records import RecordError
from baggage.provision.topics import ASSIGNMENT, BAG_LATEST, EVENTS, NOTIFICATIONS, SCHEDULE, Topic
from baggage.verify.topics import RawRecord

#: The topics of which a job makes dead letters; nobody reads the others back.
JUDGED = frozenset({EVENTS, SCHEDULE, ASSIGNMENT, BAG_LATEST, NOTIFICATIONS})

T = TypeVar("T")


class Rejections:
    """The records that are not valid.

    `reasons` has the reason by dead letter id (topic|partition|offset) of those of which there must be a dead letter;
    `foreign` counts somebody else's records on those of our own topics that no job reads back.
    """

    def __init__(self) -> None:
        self.reasons: dict[str, str] = {}
        self.foreign = 0
        self._offsets: dict[tuple[str, int], array[int]] = {}

    def __len__(self) -> int:
        return len(self.reasons) + self.foreign

    def valid(
        self, topic: Topic, records: Iterable[RawRecord], parse: Callable[[RawRecord], T]
    ) -> Iterator[tuple[RawRecord, T]]:
        """The records that are valid, parsed; the others are noted."""
        for record in records:
            if topic in JUDGED:
                self._offsets.setdefault((topic.name, record.partition), array("q")).append(record.offset)
            try:
                parsed = parse(record)
            except RecordError as error:
                problem = error
            except Exception as error:
                problem = internal_error(error)
            else:
                yield record, parsed
                continue
            if topic in JUDGED:
                partition, offset = record.partition, record.offset
                letter = dead_letter(topic.name, partition, offset, record.key, record.value, problem, record.appended)
                self.reasons[letter.key()] = letter.reason
            else:
                self.foreign += 1

    def is_gone(self, letter_id: str) -> bool:
        """Whether the record of a dead letter is not on its topic any more: compacted, or deleted for its age."""
        topic, partition, offset = letter_id.rsplit("|", 2)
        if topic not in {judged.name for judged in JUDGED}:
            return False
        offsets = self._offsets.get((topic, int(partition)))
        if not offsets:
            return True
        index = bisect_left(offsets, int(offset))
        return index < len(offsets) and offsets[index] != int(offset)
