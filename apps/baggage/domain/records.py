"""Parsing is validation: bytes become a typed record, or one `RecordError` that says which field and why."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

#: Larger records are rejected: a scan, a schedule or an assignment has a few hundred bytes.
MAX_RECORD_BYTES = 64 * 1024
#: Deeper JSON is rejected, before the stack of whoever parses it decides.
MAX_NESTING = 32
#: Years outside of these are other people's ways to say "none" (design: Times).
FIRST_YEAR, LAST_YEAR = 2000, 2099

#: An id or a name: no control characters, see `_reject_control_characters`.
Text = Annotated[str, Meta(min_length=1, max_length=256)]
Airport = Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z", description="IATA airport code")]
FlightId = Annotated[
    str,
    Meta(
        pattern=r"^[A-Z0-9]{2}[0-9]{1,4}[A-Z]?\|[0-9]{4}-[0-9]{2}-[0-9]{2}\|[A-Z]{3}->[A-Z]{3}\Z",
        description="flight designator | date | origin -> destination, e.g. BR025|2026-01-04|LHR->AMS",
    ),
]
#: RFC 3339 with any offset; UTC, of a year that a flight can have, once it is parsed.
Time = Annotated[datetime, Meta(tz=True)]
#: The largest UInt32, the type of ClickHouse's counts.
MAX_COUNT = 2**32 - 1
Count = Annotated[int, Meta(ge=0, le=MAX_COUNT)]
#: The largest UInt8, the type of ClickHouse's legs.
MAX_LEG_INDEX = 2**8 - 1
LegIndex = Annotated[int, Meta(ge=0, le=MAX_LEG_INDEX)]

_FIELD_OF_ERROR = re.compile(r" - at `(?:key in )?\$\.?(?P<field>[^`]*)`$")
_FIELD_NAMED = re.compile(r"^Object missing required field `(?P<field>[^`]+)`")
# Possessive and without the end of the last one: whatever the bytes are, each is looked at once.
_JSON_STRING = rb'"(?:[^"\\]|\\.)*+"?'
_JSON_TOKEN = re.compile(_JSON_STRING + rb"|[\[\]{}]", re.DOTALL)
_ESCAPED_CONTROL = re.compile(rb"\\(?:[bfnrt]|u00[01]|u007[fF])")


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


def parser(record_type: type[R], max_bytes: int = MAX_RECORD_BYTES) -> Callable[[bytes | None, bytes | None], R]:
    """Make the function that parses one topic's records.

    It takes the Kafka key and value (at most `max_bytes`), returns the record with all its times in UTC, and raises
    `RecordError`: for what is not valid, and for what later code could not represent (design: Times, Bad input).
    """
    decoder = msgspec.json.Decoder(record_type)
    timed = _timed_fields(record_type)

    def parse(key: bytes | None, value: bytes | None) -> R:
        if value is None:
            raise RecordError("", "no value")
        if len(value) > max_bytes:
            raise RecordError("", f"record of {len(value)} bytes, at most {max_bytes} are allowed")
        if value.count(b"[") + value.count(b"{") > MAX_NESTING:
            _reject_deep_nesting(value)
        try:
            record = decoder.decode(value)
        except msgspec.ValidationError as error:
            raise _record_error(str(error)) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise RecordError("", f"not valid JSON: {error}") from None
        _normalize_times(record, timed)
        if b"\x7f" in value or (b"\\" in value and _ESCAPED_CONTROL.search(value)):
            _reject_control_characters(record)
        record.check()
        if key is None or key != record.key().encode():
            shown = "no key" if key is None else f"the key {key[:80]!r}"
            raise RecordError("", f"{shown}, expected {record.key()!r}")
        return record

    return parse


def tombstone_key(key: bytes | None) -> str:
    """What a tombstone deletes. Raises `RecordError` where its key is no id."""
    try:
        text = (key or b"").decode()
    except UnicodeDecodeError as error:
        raise RecordError("", f"the key of a tombstone is not UTF-8: {error}") from None
    if not text:
        raise RecordError("", "a tombstone without a key")
    return text


def _reject_deep_nesting(value: bytes) -> None:
    """Raise `RecordError` for JSON that is nested too deeply, with the field of the record that is."""
    depth, field, previous = 0, b"", b""
    for match in _JSON_TOKEN.finditer(value):
        token = match[0]
        if token in b"[{":
            if depth == 1:
                field = previous
            depth += 1
            if depth > MAX_NESTING:
                name = field.strip(b'"').decode(errors="replace")
                raise RecordError(name, f"nested more than {MAX_NESTING} deep")
        elif token in b"]}":
            depth -= 1
        elif depth == 1:
            previous = token


def _timed_fields(record_type: type[msgspec.Struct]) -> tuple[str, ...]:
    """The fields of a record that are times, or records that may have some."""
    info = msgspec.inspect.type_info(record_type)
    timed = (msgspec.inspect.DateTimeType, msgspec.inspect.StructType)
    return tuple(
        field.encode_name
        for field in getattr(info, "fields", ())
        if any(isinstance(kind, timed) for kind in getattr(field.type, "types", (field.type,)))
    )


def _normalize_times(record: msgspec.Struct, fields: tuple[str, ...], path: str = "") -> None:
    """Bring the times of a record and of what it contains to UTC. Raises `RecordError` for impossible years."""
    for name in fields:
        value = getattr(record, name)
        if isinstance(value, datetime):
            if value.tzinfo is not UTC or not FIRST_YEAR <= value.year <= LAST_YEAR:
                msgspec.structs.force_setattr(record, name, _utc(value, path + name))
        elif isinstance(value, msgspec.Struct):
            _normalize_times(value, value.__struct_fields__, f"{path}{name}.")


def _utc(value: datetime, field: str) -> datetime:
    if FIRST_YEAR <= value.year <= LAST_YEAR:
        value = value.astimezone(UTC)
    if not FIRST_YEAR <= value.year <= LAST_YEAR:
        raise RecordError(field, f"the year must be from {FIRST_YEAR} to {LAST_YEAR}")
    return value


def _reject_control_characters(record: msgspec.Struct, path: str = "") -> None:
    """Raise `RecordError` for an id or a name with a control character, a line end or NUL among them."""
    for name in record.__struct_fields__:
        value = getattr(record, name)
        if isinstance(value, str) and any(c < " " or c == "\x7f" for c in value):
            raise RecordError(path + name, f"control character in {value[:80]!r}")
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, msgspec.Struct):
                _reject_control_characters(part, f"{path}{name}.")


def _record_error(message: str) -> RecordError:
    """Turn msgspec's message (reason - at `$.field`) into field and reason."""
    at = _FIELD_OF_ERROR.search(message)
    reason = message[: at.start()] if at else message
    path = at["field"] if at else ""
    named = _FIELD_NAMED.search(reason)
    if named:
        path = f"{path}.{named['field']}" if path else named["field"]
    return RecordError(path, reason)
