"""Where the pipeline's clock stood when the last run stopped, so that the next one goes on from there."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from baggage.settings import ClockSettings


def resumed(configured: ClockSettings, file: Path) -> ClockSettings:
    """The clock of this run: what is configured, from where the last run stopped.

    Without a last run, or after one on the wall clock, a speed of 1 is the wall clock itself.
    """
    now = datetime.now(UTC)
    anchor = datetime.fromisoformat(file.read_text().strip()) if file.exists() else None
    if anchor is None:
        if configured.anchor is not None:
            # The start of the run is now, however long ago the settings were written.
            return configured.model_copy(update={"started": now})
        if configured.speed == 1:
            return configured
        anchor = now
    return ClockSettings(speed=configured.speed, anchor=anchor, started=now)


def save(clock: ClockSettings, file: Path) -> None:
    """Note where the clock stands; nothing to note where it is the wall clock."""
    if clock.anchor is None:
        return
    replace(file, clock.clock().now().isoformat())


def replace(file: Path, text: str) -> None:
    """Write text at one go: what a full disk or a power cut had cut off could not be read at the next start."""
    new = file.with_suffix(".new")
    new.write_text(f"{text}\n")
    new.replace(file)
