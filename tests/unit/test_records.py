"""Design, "Times" and "Bad input": one error type that says which field and why."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from baggage.domain.bags import bag_facts, bag_latest, parse_bag_latest
from baggage.domain.events import parse_event
from baggage.domain.records import MAX_NESTING, MAX_RECORD_BYTES, Record, RecordError
from baggage.domain.schedule import parse_assignment, parse_schedule
from baggage.domain.stages import EventType
from tests.builders import DEPARTURE, INBOUND_FLIGHT, SECOND, assignment, event

GOOD = event()
KEY, VALUE = GOOD.key().encode(), GOOD.to_json()
LATEST = bag_latest(bag_facts([event(EventType.LOADED_ON_AIRCRAFT)]), DEPARTURE, DEPARTURE)
EMOJI = "\N{BAGGAGE CLAIM}"


def changed(record: Record, **fields: Any) -> bytes:
    return json.dumps({**json.loads(record.to_json()), **fields}).encode()


def refusal_of(value: bytes | None, key: bytes | None = KEY) -> RecordError:
    with pytest.raises(RecordError) as refused:
        parse_event(key, value)
    return refused.value


def test_the_example_of_the_specification_is_valid() -> None:
    assert parse_event(KEY, VALUE) == GOOD
    assert b'"event_time":"2026-01-04T10:00:00Z"' in VALUE


def test_an_unknown_field_is_no_error() -> None:
    assert parse_event(KEY, changed(GOOD, belt=7)) == GOOD


@pytest.mark.parametrize(
    ("value", "field", "reason"),
    [
        (b"{'a': 1}", "", "not valid JSON"),
        (b"", "", "not valid JSON"),
        (b"\xef\xbb\xbf" + VALUE, "", "not valid JSON"),
        (VALUE + VALUE, "", "trailing characters"),
        (VALUE[:-20], "", "truncated"),
        (VALUE.replace(b"RFID", b"\xff\xfe"), "", "utf-8"),
        (VALUE.replace(b"RFID", b"\\ud800"), "", "surrogate"),
        (VALUE.replace(b"0.99", b"NaN"), "", "not valid JSON"),
        (VALUE.replace(b"0.99", b"1e400"), "confidence", "out of range"),
        (VALUE.replace(b'"leg_index":0', b'"leg_index":' + b"1" * 5000), "leg_index", "out of range"),
        (b"[]", "", "Expected `object`"),
        (b"null", "", "Expected `object`"),
        (b"{}", "event_id", "missing required field"),
        (changed(GOOD, event_type="Teleported"), "event_type", "Invalid enum value 'Teleported'"),
        (changed(GOOD, event_type="field `x`"), "event_type", "Invalid enum value"),
        (changed(GOOD, leg_index="0"), "leg_index", "Expected `int`, got `str`"),
        (changed(GOOD, leg_index=256), "leg_index", "<= 255"),
        (changed(GOOD, leg_index=-1), "leg_index", ">= 0"),
        (changed(GOOD, confidence=1.01), "confidence", "<= 1.0"),
        (changed(GOOD, event_time="2026-01-04T10:00:00"), "event_time", "timezone"),
        (changed(GOOD, event_time="2026-02-30T10:00:00Z"), "event_time", "Invalid"),
        (changed(GOOD, event_time=1767520800), "event_time", "Expected `datetime`"),
        (changed(GOOD, event_id="no uuid"), "event_id", "UUID"),
        (changed(GOOD, flight_id="BR025"), "flight_id", "regex"),
        (changed(GOOD, flight_id=GOOD.flight_id + "\n"), "flight_id", "regex"),
        (changed(GOOD, airport="LHR\n"), "airport", "regex"),
        (changed(GOOD, airport="lhr"), "airport", "regex"),
        (changed(GOOD, attributes={"a": 1}), "attributes[...]", "Expected `str`"),
        (changed(GOOD, bag_id=""), "bag_id", "length >= 1"),
        (changed(GOOD, bag_id="x" * 257), "bag_id", "length <= 256"),
        (None, "", "no value"),
    ],
)
def test_a_bad_event_is_refused_with_field_and_reason(value: bytes | None, field: str, reason: str) -> None:
    refused = refusal_of(value)
    assert refused.field == field
    assert reason in refused.reason
    assert str(refused) == (f"{field}: {refused.reason}" if field else refused.reason)


def test_a_bag_may_be_scanned_at_an_airport_that_is_not_on_its_flight() -> None:
    assert parse_event(KEY, changed(GOOD, airport="FNC")).airport == "FNC"


@pytest.mark.parametrize("bag_id", [EMOJI * 256, "x" * 256, 'B"1', "B\\1", "B 1", "Ü1"])
def test_an_id_may_be_any_text_of_up_to_256_characters(bag_id: str) -> None:
    for value in (changed(GOOD, bag_id=bag_id), event(bag_id=bag_id).to_json()):
        assert parse_event(bag_id.encode(), value).bag_id == bag_id


@pytest.mark.parametrize("character", ["\n", "\r", "\0", "\t", "\b", "\f", "\x1b", "\x1f", "\x7f"])
@pytest.mark.parametrize("field", ["bag_id", "itinerary_id", "customer_id", "scan_point_id", "reader_type"])
@pytest.mark.parametrize("place", ["{}X", "X{}X", "X{}"])
def test_an_id_has_no_control_character(field: str, character: str, place: str) -> None:
    text = place.format(character)
    for value in (changed(GOOD, **{field: text}), json.dumps({**json.loads(VALUE), field: text}, ensure_ascii=False)):
        refused = refusal_of(value if isinstance(value, bytes) else value.encode(), key=text.encode())
        assert refused.field == field
        assert "control character" in refused.reason


def test_an_escaped_backslash_makes_no_control_character() -> None:
    assert parse_event(b"B\\n\\u0000", changed(GOOD, bag_id="B\\n\\u0000")).bag_id == "B\\n\\u0000"


def test_attributes_may_hold_control_characters() -> None:
    assert parse_event(KEY, changed(GOOD, attributes={"a\n": "\0"})).attributes == {"a\n": "\0"}


def test_a_record_may_be_as_large_as_the_limit_and_no_larger() -> None:
    padding = MAX_RECORD_BYTES - len(changed(GOOD, attributes={"x": ""}))
    parse_event(KEY, changed(GOOD, attributes={"x": "x" * padding}))
    with pytest.raises(RecordError, match="at most"):
        parse_event(KEY, changed(GOOD, attributes={"x": "x" * (padding + 1)}))


@pytest.mark.parametrize("key", [None, b"", b"BAG000124", b"\xff", KEY + b"\n"])
def test_a_record_under_another_key_is_refused(key: bytes | None) -> None:
    with pytest.raises(RecordError, match="expected 'BAG000123'"):
        parse_event(key, VALUE)


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-01-04T10:00:00+02:00", datetime(2026, 1, 4, 8, tzinfo=UTC)),
        ("2026-01-04T05:00:00-05:00", datetime(2026, 1, 4, 10, tzinfo=UTC)),
        ("2026-01-04T10:00:00-00:00", DEPARTURE),
        ("2026-01-04T10:00:00.5z", DEPARTURE + SECOND / 2),
        ("2026-01-05T09:59:00+23:59", DEPARTURE),
        ("2000-01-01T00:00:00Z", datetime(2000, 1, 1, tzinfo=UTC)),
        ("2000-01-01T01:00:00+01:00", datetime(2000, 1, 1, tzinfo=UTC)),
        ("2099-12-31T23:59:59.999999Z", datetime(2099, 12, 31, 23, 59, 59, 999999, UTC)),
        ("2099-12-31T22:59:59-01:00", datetime(2099, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_every_time_becomes_utc(text: str, utc: datetime) -> None:
    parsed = parse_event(KEY, changed(GOOD, event_time=text)).event_time
    assert (parsed, parsed.tzinfo) == (utc, UTC)


IMPOSSIBLE = [
    "1999-12-31T23:59:59Z",
    "2100-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "9999-12-31T23:59:59-10:00",
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+01:00",
    "2000-01-01T00:00:00+00:01",
    "2099-12-31T23:59:59-01:00",
    "2099-12-31T23:59:59.9999999Z",
]


@pytest.mark.parametrize("text", IMPOSSIBLE)
@pytest.mark.parametrize("field", ["event_time", "ingest_time"])
def test_a_year_that_says_none_is_refused(field: str, text: str) -> None:
    refused = refusal_of(changed(GOOD, **{field: text}))
    assert (refused.field, refused.reason) == (field, "the year must be from 2000 to 2099")


@pytest.mark.parametrize("text", IMPOSSIBLE)
@pytest.mark.parametrize("field", ["dep_time", "arr_time", "bag_cutoff_time"])
def test_a_year_that_says_none_is_refused_in_a_schedule_too(field: str, text: str) -> None:
    with pytest.raises(RecordError, match="year") as refused:
        parse_schedule(INBOUND_FLIGHT.key().encode(), changed(INBOUND_FLIGHT, **{field: text}))
    assert refused.value.field == field


@pytest.mark.parametrize("field", ["ts", "arrived", "alarmed", "cleared", "last_event_time"])
def test_the_times_of_a_bag_become_utc_too(field: str) -> None:
    key = LATEST.key().encode()
    parsed = getattr(parse_bag_latest(key, changed(LATEST, **{field: "2026-01-04T10:00:00+02:00"})), field)
    assert (parsed.hour, parsed.tzinfo) == (8, UTC)
    with pytest.raises(RecordError, match=f"^{field}: the year"):
        parse_bag_latest(key, changed(LATEST, **{field: IMPOSSIBLE[0]}))


def test_times_inside_of_a_fact_become_utc_too() -> None:
    key, loaded = LATEST.key().encode(), json.loads(LATEST.to_json())["loaded"]
    local = parse_bag_latest(key, changed(LATEST, loaded={**loaded, "time": "2026-01-04T10:00:00+02:00"}))
    assert local.loaded
    assert (local.loaded.time.hour, local.loaded.time.tzinfo) == (8, UTC)
    with pytest.raises(RecordError, match=r"^loaded\.time: the year"):
        parse_bag_latest(key, changed(LATEST, loaded={**loaded, "time": IMPOSSIBLE[0]}))
    with pytest.raises(RecordError, match=r"^removed\.time: the year"):
        parse_bag_latest(key, changed(LATEST, removed={"leg_index": 0, "time": IMPOSSIBLE[0]}))


@pytest.mark.parametrize("stage", ["", "loaded", "5", "LOADED\n"])
@pytest.mark.parametrize("field", ["stage", "reached"])
def test_the_stage_of_a_bag_must_be_one(field: str, stage: str) -> None:
    with pytest.raises(RecordError) as refused:
        parse_bag_latest(LATEST.key().encode(), changed(LATEST, **{field: stage}))
    assert refused.value.field == field


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
@pytest.mark.parametrize("depth", [MAX_NESTING, 2000, 5000])
def test_a_field_that_is_nested_too_deeply_is_named(opening: bytes, depth: int) -> None:
    nested = opening * depth + (b"]" if opening == b"[" else b"1}") * depth
    refused = refusal_of(b'{"a":"[{","raw":' + nested + b"," + VALUE[1:])
    assert (refused.field, refused.reason) == ("raw", "nested more than 32 deep")


def test_the_limit_is_for_depth_and_not_for_breadth() -> None:
    nested = b"[" * (MAX_NESTING - 1) + b"]" * (MAX_NESTING - 1)
    wide = b"[" + b",".join([b"[]"] * 1000) + b"]"
    text = json.dumps("[" * 1000 + '\\"' + "{" * 1000).encode()
    for raw in (nested, wide, text):
        assert parse_event(KEY, b'{"raw":' + raw + b"," + VALUE[1:]) == GOOD


@pytest.mark.parametrize("tail", [b'\\"', b'"', b"\\", b'"[', b"["])
def test_no_bytes_take_long_to_refuse(tail: bytes) -> None:
    value = (b'{"raw":' + b"[]" * 40 + b'"' + tail * MAX_RECORD_BYTES)[:MAX_RECORD_BYTES]
    start = time.process_time()
    refusal_of(value)
    assert time.process_time() - start < 1, "it must not grow with the square of the length"


def test_a_field_deep_in_a_record_is_named_with_its_path() -> None:
    legs = json.loads(assignment().to_json())["legs"]
    for field, change in (("leg_index", None), ("origin", "lhr"), ("flight_id", "BR\n")):
        bad = {**legs[1], field: change} if change else {k: v for k, v in legs[1].items() if k != field}
        with pytest.raises(RecordError) as refused:
            parse_assignment(assignment().key().encode(), changed(assignment(), legs=[legs[0], bad]))
        assert refused.value.field == f"legs[1].{field}"
