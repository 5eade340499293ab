"""Design, "Generator": what is published, when, and always the same."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from baggage.domain.events import BaggageEvent, parse_event
from baggage.domain.schedule import Assignment, FlightSchedule, parse_assignment, parse_schedule
from baggage.domain.stages import EventType
from baggage.domain.truth import Injection, Truth, parse_truth
from baggage.generator.day import Day, Publication
from baggage.generator.publications import Calendar
from baggage.generator.publisher import OVERLAP, first_publication
from baggage.provision.topics import ASSIGNMENT, EVENTS, SCHEDULE, TRUTH
from baggage.settings import GeneratorSettings
from tests.generator.conftest import DATE, MIDNIGHT, SETTINGS

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
SMALL = GeneratorSettings(flights=24, passengers_mean=85, passengers_std=5)
PARSERS = {EVENTS: parse_event, SCHEDULE: parse_schedule, ASSIGNMENT: parse_assignment, TRUTH: parse_truth}


@pytest.fixture(scope="module")
def published(day: Day) -> list[Publication]:
    return day.publications(MIDNIGHT - 2 * timedelta(days=1), MIDNIGHT + timedelta(days=3))


def events(publications: list[Publication]) -> list[BaggageEvent]:
    return [p.record for p in publications if isinstance(p.record, BaggageEvent)]


def test_every_record_is_valid_under_its_key(published: list[Publication]) -> None:
    for publication in published:
        if publication.record:
            parse = PARSERS[publication.topic]
            assert parse(publication.key.encode(), publication.record.to_json()) == publication.record


def test_publications_are_in_order_of_time_and_events_at_their_ingest_time(published: list[Publication]) -> None:
    assert published == sorted(published, key=lambda publication: publication.when)
    first: dict[object, Publication] = {}
    for publication in published:
        if isinstance(publication.record, BaggageEvent):
            first.setdefault(publication.record.event_id, publication)
    assert all(p.when == p.record.ingest_time for p in first.values() if isinstance(p.record, BaggageEvent))


def test_expected_bags_is_exactly_the_number_of_bags_assigned_to_the_leg(published: list[Publication]) -> None:
    assigned: dict[str, int] = {}
    for publication in published:
        if isinstance(publication.record, Assignment):
            for leg in publication.record.legs:
                assigned[leg.flight_id] = assigned.get(leg.flight_id, 0) + 1
    schedules = {p.record.flight_id: p.record for p in published if isinstance(p.record, FlightSchedule)}
    assert {flight_id: schedule.expected_bags for flight_id, schedule in schedules.items()} == assigned


def test_a_duplicate_is_the_same_record_again(published: list[Publication]) -> None:
    seen: dict[object, BaggageEvent] = {}
    twice = 0
    for event in events(published):
        twice += event.event_id in seen
        assert seen.setdefault(event.event_id, event) == event
    duplicates = [p for p in published if isinstance(p.record, Truth) and p.record.injection is Injection.DUPLICATE]
    assert twice == len(duplicates)


def test_a_bag_never_goes_back_in_event_time(published: list[Publication], day: Day) -> None:
    order = {kind: n for n, kind in enumerate(EventType)}
    order[EventType.SCREENED_ALARM] = order[EventType.SCREENED_CLEARED]
    order[EventType.REASSOCIATED_TO_NEXT_LEG] = -1
    order[EventType.TRANSFER_IN] = order[EventType.OFFLOADED]
    by_bag: dict[str, list[BaggageEvent]] = {}
    for event in events(published):
        by_bag.setdefault(event.bag_id, []).append(event)
    flights = {schedule.flight_id: schedule for schedule in map(day.plan.schedule, range(len(day.plan.flights)))}
    for scans in by_bag.values():
        times = sorted(scans, key=lambda event: (event.event_time, event.leg_index, order[event.event_type]))
        positions = [(event.leg_index, order[event.event_type]) for event in times]
        assert positions == sorted(positions)
        for event in scans:
            flight = flights[event.flight_id]
            if event.event_type in (EventType.OFFLOADED, EventType.CAROUSEL_ARRIVED, EventType.TRANSFER_IN):
                assert event.event_time > flight.arr_time
            else:
                assert event.event_time < flight.dep_time


def test_the_truth_is_beside_the_events_and_never_in_them(published: list[Publication], day: Day) -> None:
    found: dict[Injection, int] = {}
    for publication in published:
        if isinstance(publication.record, Truth):
            found[publication.record.injection] = found.get(publication.record.injection, 0) + 1
    assert found == {
        Injection.MISSED_CONNECTION: day.journeys.missed.size,
        Injection.ALARM: day.journeys.alarmed.size,
        Injection.LATE_LOAD: day.journeys.late.size,
        Injection.MISSING_SCAN: day.observed.missing.bag.size,
        Injection.DELAY: int(day.observed.delayed.sum()),
        Injection.DUPLICATE: int((day.observed.repeat == day.observed.repeat).sum()),
    }
    words = {word.lower() for injection in Injection for word in (injection, "injected", "truth")}
    assert not any(word in json.loads(event.to_json()) for event in events(published)[:1000] for word in words)


def test_a_day_is_the_same_for_the_same_seed_and_another_for_another(day: Day, days: list[Day]) -> None:
    window = (MIDNIGHT + 6 * HOUR, MIDNIGHT + 7 * HOUR)
    assert Day(SETTINGS, DATE).publications(*window) == day.publications(*window)
    assert Day(SETTINGS.model_copy(update={"seed": 2}), DATE).publications(*window) != day.publications(*window)
    assert days[1].plan.passengers.tolist() != day.plan.passengers.tolist()


def test_ids_of_two_days_never_meet(days: list[Day]) -> None:
    ids = [
        {flight.flight_id for flight in day.plan.flights}
        | {day.plan.bag_id(bag) for bag in range(day.plan.first.size)}
        | {day.plan.itinerary_id(bag) for bag in range(day.plan.first.size)}
        for day in days
    ]
    assert len(set.union(*ids)) == sum(map(len, ids))


@pytest.mark.parametrize("cut", [MINUTE, 7 * HOUR + 13 * MINUTE + timedelta(seconds=7), 12 * HOUR, 24 * HOUR])
def test_what_is_published_cut_anywhere_is_the_whole(cut: timedelta) -> None:
    start, end = MIDNIGHT, MIDNIGHT + 26 * HOUR
    whole = list(Calendar(SMALL).publications(start, end))
    parts = [*Calendar(SMALL).publications(start, start + cut), *Calendar(SMALL).publications(start + cut, end)]
    assert len(whole) > 10_000
    assert sorted(map(repr, parts)) == sorted(map(repr, whole))
    assert [p.when for p in whole] == sorted(p.when for p in whole)


def test_the_first_bags_of_tomorrow_check_in_today_and_the_day_is_announced_a_day_ahead() -> None:
    tomorrow = f"|{DATE + timedelta(days=1)}|LHR"
    today = list(Calendar(SETTINGS).publications(MIDNIGHT + 22 * HOUR, MIDNIGHT + 24 * HOUR))
    assert any(event.event_type is EventType.CHECKED_IN and tomorrow in event.flight_id for event in events(today))
    announced = list(Calendar(SETTINGS).publications(MIDNIGHT, MIDNIGHT + MINUTE))
    assert sum(p.topic is SCHEDULE and tomorrow in p.key for p in announced) == SETTINGS.flights


def test_events_flow_at_every_hour() -> None:
    hours = [0] * 24
    for publication in Calendar(SETTINGS).publications(MIDNIGHT, MIDNIGHT + 24 * HOUR):
        hours[publication.when.hour] += publication.topic is EVENTS
    assert min(hours) > 1000


def test_a_consumer_learns_at_the_opening_what_it_must_know() -> None:
    calendar, when = Calendar(SETTINGS), MIDNIGHT + timedelta(days=1)
    schedules = {p.key for p in calendar.schedules(when)}
    bags = {p.key for p in calendar.assignments(when)}
    before = {p.key for p in calendar.history(when)}
    after = events(list(calendar.publications(when, when + 2 * HOUR)))
    announced_now = {p.key for p in calendar.publications(when, when + MINUTE) if p.topic in (SCHEDULE, ASSIGNMENT)}
    assert {event.flight_id for event in after} <= schedules | announced_now
    assert {event.bag_id for event in after} <= bags | announced_now
    assert before <= bags
    started = {event.bag_id for event in after if event.event_type is EventType.CHECKED_IN}
    assert {event.bag_id for event in after} - started <= before, "the early scans of a bag on its way are there"


def test_what_is_over_is_deleted_after_48_hours(day: Day) -> None:
    arrivals = {flight.flight_id: day.plan.at(flight.arr) for flight in day.plan.flights}
    deleted = day.publications(MIDNIGHT + 48 * HOUR, MIDNIGHT + 96 * HOUR)
    flights = {p.key: p.when for p in deleted if p.topic is SCHEDULE}
    bags = [p.key for p in deleted if p.topic is ASSIGNMENT]
    assert all(p.record is None for p in deleted if p.topic in (SCHEDULE, ASSIGNMENT))
    assert flights == {flight_id: arrival + 48 * HOUR for flight_id, arrival in arrivals.items()}
    assert sorted(bags) == [day.plan.bag_id(bag) for bag in range(day.plan.first.size)]


def test_publishing_begins_at_midnight_or_a_little_before_the_newest_event() -> None:
    noon = MIDNIGHT + 12 * HOUR
    assert first_publication(noon, None) == MIDNIGHT
    assert first_publication(noon, noon - MINUTE) == noon - MINUTE - OVERLAP
    assert first_publication(noon, noon + HOUR) == noon - OVERLAP
    assert first_publication(noon, noon - 72 * HOUR) == noon - 24 * HOUR
