"""Design, "Bad input": a bad record, whole, with the reason and where it came from."""

from __future__ import annotations

import base64

import pytest

from baggage.domain.dead_letters import dead_letter, internal_error, parse_dead_letter
from baggage.domain.events import parse_event
from baggage.domain.records import MAX_RECORD_BYTES, RecordError
from tests.builders import DEPARTURE, event


def test_a_dead_letter_holds_the_whole_record_and_where_it_came_from() -> None:
    letter = dead_letter("t", 2, 7, b"\xff", b"\x00bad", RecordError("stage", "why"), DEPARTURE)
    assert letter.key() == "t|2|7"
    assert (letter.key_base64, letter.value_base64) == ("/w==", "AGJhZA==")
    assert (letter.field, letter.reason, letter.ts) == ("stage", "why", DEPARTURE)
    assert parse_dead_letter(b"t|2|7", letter.to_json()) == letter


def test_a_record_without_key_or_value_is_told_from_an_empty_one() -> None:
    letter = dead_letter("t", 0, 0, None, b"", RecordError("", "why"), DEPARTURE)
    assert (letter.key_base64, letter.value_base64) == (None, "")
    assert parse_dead_letter(b"t|0|0", letter.to_json()) == letter


@pytest.mark.parametrize("text", ["a\nb", "a\0b", "a\x7fb", "\x85", "\ud800", "\N{LINE SEPARATOR}"])
def test_a_reason_that_quotes_a_bad_record_is_shown_in_one_line_and_can_be_read(text: str) -> None:
    letter = dead_letter("t", 0, 0, b"k", b"v", RecordError(text, f"Invalid enum value {text}"), DEPARTURE)
    assert letter.reason.isprintable()
    assert letter.field == repr(text)[1:-1]
    assert parse_dead_letter(b"t|0|0", letter.to_json()) == letter


def test_the_dead_letter_of_an_event_type_of_two_lines_can_be_read() -> None:
    value = event().to_json().replace(b"MakeupArrived", b"a\\nb")
    with pytest.raises(RecordError) as refused:
        parse_event(event().key().encode(), value)
    letter = dead_letter("t", 0, 0, b"k", value, refused.value, DEPARTURE)
    assert letter.reason == "Invalid enum value 'a\\nb'"
    assert parse_dead_letter(b"t|0|0", letter.to_json()) == letter


def test_a_record_of_any_size_fits_and_a_long_reason_is_cut() -> None:
    value = b"x" * 2**21
    letter = dead_letter("t", 0, 0, b"k", value, RecordError("", "y" * MAX_RECORD_BYTES), DEPARTURE)
    assert letter.reason == "y" * 1000
    assert base64.b64decode(parse_dead_letter(b"t|0|0", letter.to_json()).value_base64 or "") == value


def test_an_error_of_our_own_code_is_a_reason_too() -> None:
    error = internal_error(OverflowError("date value out of range"))
    assert (error.field, error.reason) == ("", "internal: OverflowError: date value out of range")
