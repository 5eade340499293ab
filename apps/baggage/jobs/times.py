"""Times in SQL (`baggage.clock`, `baggage.domain.bags.time_text`)."""

from __future__ import annotations

from baggage.clock import Clock


def unix_ms(time: str) -> str:
    """SQL for a TIMESTAMP_LTZ as Unix time, which costs a fraction of what a time does on its way into Python."""
    return f"(EXTRACT(EPOCH FROM {time}) * 1000 + EXTRACT(MILLISECOND FROM {time}))"


def now_text(clock: Clock) -> str:
    """SQL for the pipeline's time while a record is processed, as `time_text`, to the millisecond."""
    now = "CURRENT_TIMESTAMP"
    if clock.anchor and clock.started:
        since = f"GREATEST({unix_ms(now)} - {clock.started.timestamp() * 1000:.0f}, 0)"
        anchor_ms = f"{clock.anchor.timestamp() * 1000:.0f}"
        now = f"TO_TIMESTAMP_LTZ({anchor_ms} + CAST({since} * {clock.speed} AS BIGINT), 3)"
    return f"DATE_FORMAT({now}, 'yyyy-MM-dd''T''HH:mm:ss.SSSSSS''Z''')"


def time_json(time: str) -> str:
    """SQL for the text of a time in JSON, null if there is none."""
    return f"COALESCE('\"' || {time} || '\"', 'null')"
