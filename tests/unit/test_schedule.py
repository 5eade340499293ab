"""Specification sections 4.2 and 4.3 and design, "Schedules change" and "Assignments change"."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from baggage.domain.records import MAX_COUNT, RecordError
from baggage.domain.schedule import FlightNews, FlightStatus, latest_arrival, parse_assignment, parse_schedule
from tests.builders import CANCELLED_INBOUND, DEPARTURE, INBOUND, INBOUND_FLIGHT, LEGS, assignment, flight
from tests.unit.test_records import changed

KEY = INBOUND.encode()


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"bag_cutoff_time": "2026-01-04T10:00:01Z"}, "bag_cutoff_time"),
        ({"arr_time": "2026-01-04T09:59:59Z"}, "arr_time"),
        ({"expected_bags": -1}, "expected_bags"),
        ({"expected_bags": MAX_COUNT + 1}, "expected_bags"),
        ({"status": "DELAYED"}, "status"),
        ({"status": None}, "status"),
        ({"airport_dest": "AMSTERDAM"}, "airport_dest"),
    ],
)
def test_a_schedule_must_make_sense(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(RecordError) as refused:
        parse_schedule(KEY, changed(INBOUND_FLIGHT, **fields))
    assert refused.value.field == field


def test_cutoff_departure_and_arrival_are_compared_as_times_and_may_be_one() -> None:
    same = dict.fromkeys(("dep_time", "arr_time"), "2026-01-04T10:00:00Z")
    schedule = parse_schedule(
        KEY, changed(INBOUND_FLIGHT, **same, bag_cutoff_time="2026-01-04T12:00:00+02:00", expected_bags=0)
    )
    assert schedule.bag_cutoff_time == schedule.dep_time == schedule.arr_time == DEPARTURE


def test_the_status_is_scheduled_if_absent() -> None:
    assert b"status" not in INBOUND_FLIGHT.to_json()
    assert parse_schedule(KEY, INBOUND_FLIGHT.to_json()).status is FlightStatus.SCHEDULED
    assert parse_schedule(KEY, changed(INBOUND_FLIGHT, status="SCHEDULED")) == INBOUND_FLIGHT
    assert parse_schedule(KEY, CANCELLED_INBOUND.to_json()) == CANCELLED_INBOUND


def test_a_flight_is_cancelled_by_a_tombstone_or_by_its_status() -> None:
    assert FlightNews(0, None).is_cancelled
    assert FlightNews(0, CANCELLED_INBOUND).is_cancelled
    assert not FlightNews(0, INBOUND_FLIGHT).is_cancelled


@pytest.mark.parametrize("legs", [(), LEGS[1:], (LEGS[0], LEGS[0]), (LEGS[0], LEGS[1], LEGS[1]), LEGS[::-1]])
def test_legs_count_from_0_and_connect(legs: tuple[Any, ...]) -> None:
    bad = assignment(legs=legs)
    with pytest.raises(RecordError) as refused:
        parse_assignment(bad.key().encode(), bad.to_json())
    assert refused.value.field == "legs"


@pytest.mark.parametrize("bags", [0, 256])
def test_an_itinerary_has_from_1_to_255_bags(bags: int) -> None:
    with pytest.raises(RecordError, match="bags_in_itinerary: "):
        parse_assignment(assignment().key().encode(), assignment(bags=bags).to_json())


@pytest.mark.parametrize(
    ("date", "arrival"),
    [
        ("2026-01-04", datetime(2026, 1, 7, tzinfo=UTC)),
        ("2000-01-01", datetime(2000, 1, 4, tzinfo=UTC)),
        ("2026-02-30", None),
        ("0000-00-00", None),
        ("0001-01-01", None),
        ("9999-12-31", None),
    ],
)
def test_a_flight_without_a_schedule_has_arrived_days_after_the_date_in_its_id(
    date: str, arrival: datetime | None
) -> None:
    assert latest_arrival(f"BR025|{date}|LHR->AMS") == arrival
    assert parse_schedule(f"BR025|{date}|LHR->AMS".encode(), flight(f"BR025|{date}|LHR->AMS").to_json())
