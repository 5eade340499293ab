"""What the operators share: a state machine of the domain for each key, and what happens where its code fails.

Their time is the watermark. Flink cuts what a job reads into small batches and sends the time at which it did so after
each, through every way and operator (`table.exec.mini-batch`): at an operator it is the time up to which all that was
read has come through. A rule that is evaluated at that time concludes nothing from what is still on its way, however
busy the job is.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeAlias, TypeVar

import msgspec
from pyflink.common import Row
from pyflink.datastream import KeyedBroadcastProcessFunction, RuntimeContext

from baggage import log
from baggage.clock import Clock
from baggage.domain.records import Record
from baggage.jobs.dead_letters import operator_failure
from baggage.jobs.keyed_values import KeyedValues
from baggage.jobs.progress import ProgressTracker

_RETRY = timedelta(minutes=1)
_SECOND_MS = 1000
_MAX_KNOWN_TIMERS = 100_000

Context: TypeAlias = KeyedBroadcastProcessFunction.ReadOnlyContext
#: The state machine that is kept of a key.
S = TypeVar("S", bound=msgspec.Struct)


class StateMachineOperator(KeyedBroadcastProcessFunction, Generic[S]):  # type: ignore[misc]
    """Keeps a state machine for each key, and hands it what comes and the time; what it emits are rows of `results`.

    `results` is a NamedTuple of records in JSON, `dead_letter` among them: where our own code fails, what was changed
    is given up and a dead letter emitted, and the key goes on (design: Bad input).
    """

    job: str
    state: str
    kept: type[S]
    results: Any

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def open(self, runtime_context: RuntimeContext) -> None:
        """Declare the state."""
        log.configure()
        self._kept = KeyedValues(runtime_context, self.state, self.kept)
        # The timer that was set last of each key, as far as it is known to be.
        self._timers: dict[str, int] = {}
        self._started_ms = datetime.now(UTC).timestamp() * _SECOND_MS
        self._progress = self.track_progress()

    @abstractmethod
    def track_progress(self) -> ProgressTracker:
        """What tells how far the inputs of the job have been read."""

    @abstractmethod
    def apply(self, value: str, ctx: Context) -> Iterator[tuple[str | None, ...]]:
        """Take a value, which names its key: to ask Flink for it costs more; yield `results`."""

    @abstractmethod
    def wake(self, kept: S, ctx: Context) -> Iterator[tuple[str | None, ...]]:
        """A timer of the key has fired; yield `results`."""

    def process_broadcast_element(self, value: Row, ctx: KeyedBroadcastProcessFunction.Context) -> Iterator[Row]:
        """Take the progress of an input."""
        try:
            self._progress.apply(value[1], ctx)
        except Exception as error:
            yield Row(*self._failure(value[0], value[1], error))

    def process_element(self, value: str, ctx: Context) -> Iterator[Row]:
        """Take a value."""
        try:
            emitted = list(self.apply(value, ctx))
        except Exception as error:
            key: str = ctx.get_current_key()
            self._kept.forget(key)
            emitted = [self._failure(key, value, error)]
        yield from (Row(*result) for result in emitted)

    def on_timer(self, _timestamp: int, ctx: KeyedBroadcastProcessFunction.OnTimerContext) -> Iterator[Row]:
        """Wake the state machine up; a timer says nothing more than that."""
        key: str = ctx.get_current_key()
        self._timers.pop(key, None)
        try:
            kept = self._kept.get(key)
            emitted = list(self.wake(kept, ctx)) if kept else []
        except Exception as error:
            self._kept.forget(key)
            emitted = [self._failure(key, "", error)]
            self.wake_up(key, self.real_now(ctx) + _RETRY, ctx)
        yield from (Row(*result) for result in emitted)

    def real_now(self, ctx: Context) -> datetime:
        """The real time up to which all that was read has come through; the operator's start before anything has."""
        watermark: int = ctx.timer_service().current_watermark()
        return datetime.fromtimestamp(max(watermark, self._started_ms) / _SECOND_MS, UTC)

    def wake_up(self, key: str, when: datetime, ctx: Context) -> None:
        """Set a timer of the current key at a real time, for the watermark that is at or past it."""
        timer = math.ceil(when.timestamp() * _SECOND_MS)
        # Most news change nothing about the next deadline, and to set a timer again costs as much as to set it.
        if self._timers.get(key) != timer:
            ctx.timer_service().register_event_time_timer(timer)
            if len(self._timers) >= _MAX_KNOWN_TIMERS:
                self._timers.clear()
            self._timers[key] = timer

    def _failure(self, key: str, value: str, error: Exception) -> tuple[str | None, ...]:
        failed: tuple[str | None, ...] = self.results(
            dead_letter=operator_failure(self.job, key, value, error, self._clock.now())
        )
        return failed


def json_text(record: Record | None) -> str | None:
    """A record in JSON."""
    return record.to_json().decode() if record else None
