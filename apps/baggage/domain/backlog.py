"""When a job may conclude anything after its start (design: Nothing is concluded from a backlog)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

#: So long a partition may bring nothing new until it counts as read.
QUIET = timedelta(minutes=2)
#: Records that come nearer to the present by less than that bring nothing new.
PROGRESS = timedelta(seconds=10)
#: A record that is read so soon after it arrived is of the present.
PRESENT = timedelta(seconds=10)

_RETRY_INTERVAL, _LATER_RETRY_INTERVAL = timedelta(seconds=10), timedelta(minutes=1)
_LATER = timedelta(minutes=10)


@dataclass
class _Partition:
    """How far a partition has been read: to `end`, or to the present if None.

    `age` is that of its records when they were read, at its least.
    """

    end: int | None = None
    read_at: datetime | None = None
    age: timedelta = timedelta.max
    progress_at: datetime | None = None


@dataclass
class Backlog:
    """What was there when a job started, read bit by bit.

    Where records come all the time, it is read when one has come that arrived after the start, and only just: while
    the job made up for the past, more came. Elsewhere it is read when the offset is reached at which the partition
    ended then. A partition that comes no nearer to the present for two minutes counts as read, too: a feed whose clock
    is always an hour late must not silence the job. All times are real ones, so that the speed of the clock changes
    nothing.
    """

    started: datetime
    _partitions: dict[tuple[str, int], _Partition] = field(default_factory=dict)
    _is_read: bool = False

    def expect(self, topic: str, partition: int, end: int | None = None) -> None:
        """Wait for a partition: to the offset before `end`, 0: there is nothing; None: records come all the time."""
        self._partitions[topic, partition] = _Partition(end, read_at=self.started if end == 0 else None)

    def apply(self, topic: str, partition: int, offset: int, arrived: datetime, now: datetime) -> None:
        """The record at `offset`, which arrived at `arrived`, has been read by now; topics not expected are ignored."""
        if not any(expected == topic for expected, _ in self._partitions):
            return
        source = self._partitions.setdefault((topic, partition), _Partition())
        age = now - arrived
        is_present = arrived >= self.started and age <= PRESENT
        is_read = is_present if source.end is None else offset >= source.end - 1
        if is_read and source.read_at is None:
            source.read_at = now
        if source.end is not None or age <= source.age - PROGRESS:
            source.age, source.progress_at = age, now

    def is_read(self, through: datetime) -> bool:
        """Whether everything that was there at the start has been read, and has come through; then for good.

        `through` is the time up to which what was read has come through to whoever asks.
        """
        self._is_read = self._is_read or all(self._read_at(source) <= through for source in self._partitions.values())
        return self._is_read

    def look_again_at(self, now: datetime) -> datetime:
        """When to ask again: at times that are the same for all who ask; after some minutes less often."""
        elapsed = now - self.started
        interval = _RETRY_INTERVAL if elapsed < _LATER else _LATER_RETRY_INTERVAL
        return self.started + (elapsed // interval + 1) * interval

    def _read_at(self, source: _Partition) -> datetime:
        """When a partition was read, or is to be if nothing comes any more."""
        return source.read_at or (source.progress_at or self.started) + QUIET
