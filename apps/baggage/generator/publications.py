"""Everything that is to be published in a stretch of time, over days; the same in every run (design: Generator)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from heapq import merge
from itertools import chain

from baggage.generator.day import Day, Publication
from baggage.settings import GeneratorSettings

# A day is announced one day ahead, and its last bags are deleted in the fourth day after it.
_DAYS_BEFORE = 4
_DAYS_AHEAD = 1
_STEP = timedelta(minutes=10)


class Calendar:
    """The days around the present one, each made once."""

    def __init__(self, settings: GeneratorSettings) -> None:
        self._settings = settings
        self.day = lru_cache(maxsize=_DAYS_BEFORE + 1 + _DAYS_AHEAD)(self._make)

    def _make(self, day: date) -> Day:
        return Day(self._settings, day)

    def _around(self, when: datetime) -> list[Day]:
        today = when.astimezone(UTC).date()
        return [self.day(today + timedelta(days=n)) for n in range(-_DAYS_BEFORE, _DAYS_AHEAD + 1)]

    def schedules(self, when: datetime) -> Iterator[Publication]:
        """The flights in force at `when`."""
        return chain.from_iterable(day.schedules(when) for day in self._in_force(when))

    def assignments(self, when: datetime) -> Iterator[Publication]:
        """The assignments of the bags whose journey is not over at `when`."""
        return chain.from_iterable(day.assignments(when) for day in self._in_force(when))

    def history(self, when: datetime) -> Iterator[Publication]:
        """The events before `when` of the bags whose journey is not over then."""
        return chain.from_iterable(day.history(when) for day in self._in_force(when))

    def _in_force(self, when: datetime) -> list[Day]:
        """Yesterday, whose last bags are still on their way, today and tomorrow."""
        return self._around(when)[_DAYS_BEFORE - 1 :]

    def publications(self, start: datetime, end: datetime | None = None) -> Iterator[Publication]:
        """What is published from `start` until before `end` (None: for ever), in order of time.

        Cut anywhere, the two parts are the whole.
        """
        while end is None or start < end:
            # Steps end at whole tens of minutes, so that none goes over midnight, where the days around change.
            stop = midnight_before(start) + ((start - midnight_before(start)) // _STEP + 1) * _STEP
            stop = stop if end is None else min(stop, end)
            yield from merge(*(day.publications(start, stop) for day in self._around(start)), key=lambda p: p.when)
            start = stop


def midnight_before(when: datetime) -> datetime:
    """The start of the UTC day of `when`."""
    return datetime.combine(when.astimezone(UTC).date(), time(), UTC)
