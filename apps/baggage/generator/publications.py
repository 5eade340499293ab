"""Everything that is to be published in a stretch of time, over days; the same in every run (design: Generator)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta, UTC
from functools import lru_cache
from heapq import merge

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

    def opening(self, when: datetime) -> Iterator[Publication]:
        """The schedules and assignments in force at `when`: what a consumer must know before the events after it."""
        for day in self._around(when):
            if day.plan.midnight >= midnight_before(when) - timedelta(days=1):
                yield from day.opening(when)

    def publications(self, start: datetime, end: datetime | None = None) -> Iterator[Publication]:
        """What is published from `start` until before `end` (None: for ever), in order of time.

        Cut anywhere, the two parts are the whole.
        """
        while end is None or start < end:
            stop = start + _STEP if end is None else min(start + _STEP, end)
            yield from merge(*(day.publications(start, stop) for day in self._around(start)), key=lambda p: p.when)
            start = stop


def midnight_before(when: datetime) -> datetime:
    """The start of the UTC day of `when`."""
    return datetime.combine(when.astimezone(UTC).date(), time(), UTC)
