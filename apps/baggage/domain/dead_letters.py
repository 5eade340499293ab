"""A record that could not be used, whole, with the reason and where it came from (design: Bad input)."""

from __future__ import annotations

import base64
from datetime import datetime

from baggage.domain.records import Count, Record, RecordError, Text, Time, parser

_MAX_SHOWN = 1000


#: How the reason begins of a record on which our own code has failed.
INTERNAL = "internal: "
#: What a dead letter holds of a bad record. A broker limits what was compressed, so a record may be far larger.
MAX_KEY_BYTES, MAX_VALUE_BYTES = 256 * 1024, 2 * 1024 * 1024


class DeadLetter(Record, frozen=True, kw_only=True):
    """A record of baggage.dead-letter.v1; key and value of the bad record are in base64, as they may be any bytes."""

    ts: Time
    source_topic: Text
    source_partition: Count
    source_offset: int
    field: str
    reason: str
    key_base64: str | None
    value_base64: str | None

    def key(self) -> str:
        """topic|partition|offset: one dead letter a record, however often it is read."""
        return f"{self.source_topic}|{self.source_partition}|{self.source_offset}"


def internal_error(error: Exception) -> RecordError:
    """The reason of a record that is valid and on which our own code failed."""
    return RecordError("", f"{INTERNAL}{type(error).__name__}: {error}")


def dead_letter(
    topic: str,
    partition: int,
    offset: int,
    key: bytes | None,
    value: bytes | None,
    error: RecordError,
    now: datetime,
) -> DeadLetter:
    """The dead letter for a record that was rejected with `error`: whole, up to what fits into a message."""
    reason = error.reason
    if len(key or b"") > MAX_KEY_BYTES or len(value or b"") > MAX_VALUE_BYTES:
        reason += f"; cut to {MAX_VALUE_BYTES} bytes, the key to {MAX_KEY_BYTES}"
    return DeadLetter(
        ts=now,
        source_topic=topic,
        source_partition=partition,
        source_offset=offset,
        field=_shown(error.field),
        reason=_shown(reason),
        key_base64=_base64(key, MAX_KEY_BYTES),
        value_base64=_base64(value, MAX_VALUE_BYTES),
    )


def _shown(text: str) -> str:
    """A text that may hold what the bad record held, in printable characters and of a length that can be shown."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)[:_MAX_SHOWN]


def _base64(content: bytes | None, max_bytes: int) -> str | None:
    return None if content is None else base64.b64encode(content[:max_bytes]).decode()


parse_dead_letter = parser(DeadLetter, max_bytes=4 * 1024 * 1024)
