"""What the operators share: a state machine of the domain for each key, and what happens where its code fails."""

from __future__ import annotations

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
from baggage.jobs.timers import millis

_RETRY = timedelta(minutes=1)

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
        self._progress = self.track_progress()

    @abstractmethod
    def track_progress(self) -> ProgressTracker:
        """What tells how far the inputs of the job have been read."""

    @abstractmethod
    def apply(self, key: str, value: str, ctx: Context) -> Iterator[tuple[str | None, ...]]:
        """Take a value of a key; yield `results`."""

    @abstractmethod
    def wake(self, kept: S, ctx: Context) -> Iterator[tuple[str | None, ...]]:
        """A timer of the key has fired; yield `results`."""

    def process_broadcast_element(self, value: Row, ctx: KeyedBroadcastProcessFunction.Context) -> Iterator[Row]:
        """Take the progress of an input."""
        self._progress.apply(value[1], ctx)
        yield from ()

    def process_element(self, value: str, ctx: Context) -> Iterator[Row]:
        """Take a value."""
        key: str = ctx.get_current_key()
        try:
            emitted = list(self.apply(key, value, ctx))
        except Exception as error:
            emitted = [self._failure(key, value, error)]
        yield from (Row(*result) for result in emitted)

    def on_timer(self, _timestamp: int, ctx: KeyedBroadcastProcessFunction.OnTimerContext) -> Iterator[Row]:
        """Wake the state machine up; a timer says nothing more than that."""
        key: str = ctx.get_current_key()
        try:
            kept = self._kept.get(key)
            emitted = list(self.wake(kept, ctx)) if kept else []
        except Exception as error:
            emitted = [self._failure(key, "", error)]
            self.wake_up(datetime.now(UTC) + _RETRY, ctx)
        yield from (Row(*result) for result in emitted)

    @staticmethod
    def wake_up(when: datetime, ctx: Context) -> None:
        """Set a timer at a real time."""
        ctx.timer_service().register_processing_time_timer(millis(when))

    def _failure(self, key: str, value: str, error: Exception) -> tuple[str | None, ...]:
        self._kept.forget(key)
        failed: tuple[str | None, ...] = self.results(
            dead_letter=operator_failure(self.job, key, value, error, self._clock.now())
        )
        return failed


def json_text(record: Record | None) -> str | None:
    """A record in JSON."""
    return record.to_json().decode() if record else None
