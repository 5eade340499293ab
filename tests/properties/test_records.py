"""Design, "Bad input": no bytes whatever restart a job, and each refusal makes a dead letter that can be read."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baggage.domain.bags import bag_facts, bag_latest, parse_bag_latest
from baggage.domain.dead_letters import dead_letter, internal_error, parse_dead_letter
from baggage.domain.events import parse_event
from baggage.domain.records import Record, RecordError
from baggage.domain.schedule import Assignment, FlightSchedule, parse_assignment, parse_schedule
from tests.builders import DEPARTURE, INBOUND_FLIGHT, assignment, event
from tests.properties import strategies

EVENT = event()
VALID: dict[Callable[[bytes | None, bytes | None], Record], Record] = {
    parse_event: EVENT,
    parse_schedule: INBOUND_FLIGHT,
    parse_assignment: assignment(),
    parse_bag_latest: bag_latest(bag_facts([EVENT]), DEPARTURE, DEPARTURE),
}
snippets = st.one_of(
    st.binary(max_size=6),
    st.sampled_from([b'"', b"\\", b"\\u0000", b"\\ud800", b"\x7f", b"{", b"]", b"0", b"-", b"1e999", b"9" * 5000, b""]),
    st.sampled_from([b"null", b"9999-12-31T23:59:59Z", b"+24:00", b"[" * 3000, b'{"":' * 40, b"\xf0\x9f\xa7\xb3"]),
)


@pytest.mark.parametrize("parse", VALID)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 40), snippets), max_size=3), st.none() | st.binary(max_size=4)
)
def test_a_record_is_read_or_refused_and_a_refusal_makes_a_dead_letter(
    parse: Callable[[bytes | None, bytes | None], Record],
    changes: list[tuple[float, int, bytes]],
    other_key: bytes | None,
) -> None:
    value, key = VALID[parse].to_json(), VALID[parse].key().encode()
    for place, length, snippet in changes:
        at = int(place * len(value))
        value = value[:at] + snippet + value[at + length :]
    for some_key in (key, other_key):
        try:
            record = parse(some_key, value)
        except RecordError as refused:
            letter = dead_letter("t", 0, 0, some_key, value, refused, DEPARTURE)
            assert parse_dead_letter(letter.key().encode(), letter.to_json()) == letter
        else:
            assert parse(some_key, record.to_json()) == record


@given(strategies.schedules)
def test_a_schedule_that_was_read_is_written_as_it_is(schedule: FlightSchedule) -> None:
    assert parse_schedule(schedule.key().encode(), schedule.to_json()) == schedule


@given(strategies.assignments)
def test_an_assignment_that_was_read_is_written_as_it_is(assigned: Assignment) -> None:
    assert parse_assignment(assigned.key().encode(), assigned.to_json()) == assigned


@given(st.text(st.characters()), st.binary())
def test_any_error_of_our_own_code_makes_a_dead_letter(message: str, value: bytes) -> None:
    letter = dead_letter("t", 0, 2**63 - 1, None, value, internal_error(ValueError(message)), DEPARTURE)
    assert parse_dead_letter(letter.key().encode(), letter.to_json()) == letter
