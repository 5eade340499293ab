"""Parsing is validation: bytes become a typed record, or one `RecordError` that says which field and why."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

#: Larger records are refused: a scan, a schedule or an assignment has a few hundred bytes.
MAX_RECORD_BYTES = 64 * 1024

Text = Annotated[str, Meta(min_length=1, max_length=256)]
Airport = Annotated[str, Meta(pattern=r"^[A-Z]{3}$", description="IATA airport code")]
FlightId = Annotated[
    str,
    Meta(
        pattern=r"^[A-Z0-9]{2}[0-9]{1,4}[A-Z]?\|[0-9]{4}-[0-9]{2}-[0-9]{2}\|[A-Z]{3}->[A-Z]{3}$",
        description="flight designator | date | origin -> destination, e.g. BR025|2026-01-04|LHR->AMS",
    ),
]
Time = Annotated[datetime, Meta(tz=True)]
Count = Annotated[int, Meta(ge=0, le=2**32 - 1)]
LegIndex = Annotated[int, Meta(ge=0, le=255)]

_FIELD_OF_ERROR = re.compile(r" - at `(?:key in )?\$\.?(?P<field>[^`]*)`$")
_FIELD_NAMED = re.compile(r"field `(?P<field>[^`]+)`")


class RecordError(ValueError):
    """A record that is not valid: `field` ("" for the whole record) and `reason`."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}" if field else reason)
        self.field = field
        self.reason = reason


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A JSON record on a topic. Unknown fields are allowed, so that a producer may add one."""

    def key(self) -> str:
        """The Kafka key (specification section 3)."""
        raise NotImplementedError

    def check(self) -> None:
        """Raise `RecordError` for what the types of the fields cannot say."""

    def to_json(self) -> bytes:
        """The value on the topic: JSON, UTF-8, times in RFC 3339 with Z."""
        return _encoder.encode(self)


_encoder = msgspec.json.Encoder()
R = TypeVar("R", bound=Record)


def parser(record_type: type[R], most_bytes: int = MAX_RECORD_BYTES) -> Callable[[bytes | None, bytes | None], R]:
    """Make the function that parses one topic's records.

    It takes the Kafka key and value (at most `most_bytes`), returns the record, and raises `RecordError`.
    """
    decoder = msgspec.json.Decoder(record_type)

    def parse(key: bytes | None, value: bytes | None) -> R:
        if value is None:
            raise RecordError("", "no value")
        if len(value) > most_bytes:
            raise RecordError("", f"record of {len(value)} bytes, at most {most_bytes} are allowed")
        try:
            record = decoder.decode(value)
        except msgspec.ValidationError as error:
            raise _record_error(str(error)) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise RecordError("", f"not valid JSON: {error}") from None
        record.check()
        if key is None or key != record.key().encode():
            shown = "no key" if key is None else f"the key {key[:80]!r}"
            raise RecordError("", f"{shown}, expected {record.key()!r}")
        return record

    return parse


def _record_error(message: str) -> RecordError:
    """Turn msgspec's message (reason - at `$.field`) into field and reason."""
    at = _FIELD_OF_ERROR.search(message)
    reason = message[: at.start()] if at else message
    path = at["field"] if at else ""
    named = _FIELD_NAMED.search(reason)
    if named:
        path = f"{path}.{named['field']}" if path else named["field"]
    return RecordError(path, reason)
