"""The clock that generator and jobs share, so that a day can be watched in minutes (design: Clock)."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True, slots=True)
class Clock:
    """Maps real time to the pipeline's time.

    At speed 1 without an anchor the two are the same. Otherwise the pipeline's time was `anchor` when the
    real time was `started`, and it runs `speed` times as fast since then.
    """

    speed: float = 1.0
    anchor: datetime | None = None
    started: datetime | None = None

    def now(self) -> datetime:
        """The pipeline's time, UTC."""
        return self.at(datetime.now(UTC))

    def at(self, real: datetime) -> datetime:
        """The pipeline's time at the real time `real`."""
        if self.anchor is None or self.started is None:
            return real
        # Before it was started the clock stood still.
        return self.anchor + max(real - self.started, timedelta()) * self.speed

    def real(self, when: datetime) -> datetime:
        """The real time at which the pipeline's time is `when`."""
        if self.anchor is None or self.started is None:
            return when
        try:
            return self.started + (when - self.anchor) / self.speed
        except OverflowError:
            # A slow clock never gets there, or was never there.
            never = datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)
            return never[when < self.anchor]

    def sleep_until(self, when: datetime) -> None:
        """Block until the pipeline's time is `when`."""
        seconds = (self.real(when) - datetime.now(UTC)).total_seconds()
        if seconds > 0:
            time.sleep(seconds)
