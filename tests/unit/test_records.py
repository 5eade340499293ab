"""Design, "Bad input": one error type that says which field and why."""

from __future__ import annotations

import json
from typing import Any

import pytest

from baggage.domain.dead_letters import dead_letter, parse_dead_letter
from baggage.domain.events import parse_event
from baggage.domain.records import MAX_RECORD_BYTES, Record, RecordError
from baggage.domain.schedule import parse_assignment, parse_schedule
from tests.builders import DEPARTURE, INBOUND_FLIGHT, LEGS, assignment, event

GOOD = event()
KEY, VALUE = GOOD.key().encode(), GOOD.to_json()


def changed(record: Record, **fields: Any) -> bytes:
    return json.dumps({**json.loads(record.to_json()), **fields}).encode()


def test_the_example_of_the_specification_is_valid() -> None:
    assert parse_event(KEY, VALUE) == GOOD
    assert b'"event_time":"2026-01-04T10:00:00Z"' in VALUE


def test_an_unknown_field_is_no_error() -> None:
    assert parse_event(KEY, changed(GOOD, belt=7)) == GOOD


@pytest.mark.parametrize(
    ("value", "field", "reason"),
    [
        (b"{'a': 1}", "", "not valid JSON"),
        (VALUE[:-20], "", "truncated"),
        (VALUE.replace(b"RFID", b"\xff\xfe"), "", "utf-8"),
        (b"[]", "", "Expected `object`"),
        (b"{}", "event_id", "missing required field"),
        (changed(GOOD, event_type="Teleported"), "event_type", "Invalid enum value 'Teleported'"),
        (changed(GOOD, leg_index="0"), "leg_index", "Expected `int`, got `str`"),
        (changed(GOOD, leg_index=256), "leg_index", "<= 255"),
        (changed(GOOD, confidence=1.01), "confidence", "<= 1.0"),
        (changed(GOOD, event_time="2026-01-04T10:00:00"), "event_time", "timezone"),
        (changed(GOOD, event_id="no uuid"), "event_id", "UUID"),
        (changed(GOOD, flight_id="BR025"), "flight_id", "regex"),
        (changed(GOOD, airport="JFK"), "airport", "JFK is not on the flight"),
        (changed(GOOD, attributes={"a": 1}), "attributes[...]", "Expected `str`"),
        (changed(GOOD, bag_id=""), "bag_id", "length >= 1"),
        (None, "", "no value"),
    ],
)
def test_a_bad_event_is_refused_with_field_and_reason(value: bytes | None, field: str, reason: str) -> None:
    with pytest.raises(RecordError) as refused:
        parse_event(KEY, value)
    assert refused.value.field == field
    assert reason in refused.value.reason


def test_a_record_may_be_as_large_as_the_limit_and_no_larger() -> None:
    padding = MAX_RECORD_BYTES - len(changed(GOOD, attributes={"x": ""}))
    parse_event(KEY, changed(GOOD, attributes={"x": "x" * padding}))
    with pytest.raises(RecordError, match="at most"):
        parse_event(KEY, changed(GOOD, attributes={"x": "x" * (padding + 1)}))


@pytest.mark.parametrize("key", [None, b"", b"BAG000124", b"\xff"])
def test_a_record_under_another_key_is_refused(key: bytes | None) -> None:
    with pytest.raises(RecordError, match="expected 'BAG000123'"):
        parse_event(key, VALUE)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"bag_cutoff_time": "2026-01-04T10:00:01Z"}, "bag_cutoff_time"),
        ({"arr_time": "2026-01-04T09:59:59Z"}, "arr_time"),
        ({"expected_bags": -1}, "expected_bags"),
    ],
)
def test_a_schedule_must_make_sense(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(RecordError) as refused:
        parse_schedule(INBOUND_FLIGHT.key().encode(), changed(INBOUND_FLIGHT, **fields))
    assert refused.value.field == field


@pytest.mark.parametrize("legs", [(), LEGS[1:], (LEGS[0], LEGS[0]), (LEGS[0], LEGS[1], LEGS[1])])
def test_legs_count_from_0_and_connect(legs: tuple[Any, ...]) -> None:
    bad = assignment(legs=legs)
    with pytest.raises(RecordError) as refused:
        parse_assignment(bad.key().encode(), bad.to_json())
    assert refused.value.field == "legs"


def test_a_dead_letter_holds_the_whole_record_and_where_it_came_from() -> None:
    letter = dead_letter("t", 2, 7, b"\xff", b"\x00bad", RecordError("stage", "why"), DEPARTURE)
    assert letter.key() == "t|2|7"
    assert (letter.key_base64, letter.value_base64) == ("/w==", "AGJhZA==")
    assert parse_dead_letter(b"t|2|7", letter.to_json()) == letter
