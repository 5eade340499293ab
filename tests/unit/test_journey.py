"""Specification section 5.2 and design, "Journey state of a bag": its rules at their boundaries."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest

from baggage.domain.bags import BagFacts, Loading, Removal
from baggage.domain.journey import BagJourney, Journey, JourneyState
from baggage.domain.schedule import FlightNews, Leg
from baggage.domain.stages import Stage
from tests.builders import (
    CANCELLED_INBOUND,
    DEPARTURE,
    HOUR,
    INBOUND,
    INBOUND_FLIGHT,
    LEGS,
    MINUTE,
    ONWARD,
    ONWARD_FLIGHT,
    SECOND,
    facts,
    flight,
    flight_news,
)

S = JourneyState
FLIGHTS = {f.flight_id: flight_news(f) for f in (INBOUND_FLIGHT, ONWARD_FLIGHT)}
DIRECT = LEGS[:1]
CUTOFF = ONWARD_FLIGHT.bag_cutoff_time
EARLY = DEPARTURE - 120 * MINUTE
OTHER = "BR027|2026-01-04|LHR->AMS"
TOMBSTONE = FlightNews(1, None)
NOT_UP_TO_MAKEUP = [
    facts(0, Stage.LOADED),
    facts(0, Stage.OFFLOADED),
    facts(1, Stage.EXPECTED),
    facts(1, Stage.CLEARED),
    facts(0, Stage.EXPECTED),
    None,
]


def state(
    bag: BagFacts | None,
    now: datetime,
    legs: tuple[Leg, ...] = LEGS,
    flights: Mapping[str, FlightNews] = FLIGHTS,
    *,
    cleared_ends_exception: bool = False,
) -> JourneyState:
    return Journey(legs, bag, flights.get, cleared_ends_exception=cleared_ends_exception).state(now)


# Rule 1


@pytest.mark.parametrize("when", [EARLY, CUTOFF - MINUTE, CUTOFF + MINUTE])
@pytest.mark.parametrize("stage", Stage)
def test_an_alarm_is_an_exception_before_any_other_rule(when: datetime, stage: Stage) -> None:
    assert state(facts(0, stage, alarmed=EARLY), when) is S.EXCEPTION
    assert state(facts(0, stage, alarmed=EARLY, airport="FNC"), when) is S.EXCEPTION


@pytest.mark.parametrize("cleared_at", [None, -SECOND, timedelta(), SECOND])
def test_a_clearance_ends_an_exception_only_where_that_is_so_set(cleared_at: timedelta | None) -> None:
    cleared = None if cleared_at is None else EARLY + cleared_at
    bag = facts(0, Stage.CLEARED, alarmed=EARLY, cleared=cleared)
    assert state(bag, EARLY) is S.EXCEPTION
    ends = cleared is not None and cleared >= EARLY
    after = state(bag, EARLY, cleared_ends_exception=True)
    assert after is (S.IN_ORIGIN_PROCESSING if ends else S.EXCEPTION)


def test_a_bag_that_was_cleared_goes_on_and_alarms_again() -> None:
    bag = facts(1, Stage.CAROUSEL, alarmed=EARLY, cleared=EARLY + MINUTE)
    assert state(bag, CUTOFF, cleared_ends_exception=True) is S.ON_CAROUSEL
    bag = facts(1, Stage.CAROUSEL, alarmed=EARLY + 2 * MINUTE, cleared=EARLY + MINUTE)
    assert state(bag, CUTOFF, cleared_ends_exception=True) is S.EXCEPTION


# Rule 2


@pytest.mark.parametrize(("airport", "legs", "rerouted"), [
    ("LHR", LEGS, False),
    ("AMS", LEGS, False),
    ("FRA", LEGS, False),
    ("FNC", LEGS, True),
    ("AMS", DIRECT, False),
    ("FRA", DIRECT, True),
])  # fmt: skip
def test_a_bag_is_rerouted_whose_newest_scan_is_at_an_airport_of_none_of_its_legs(
    airport: str, legs: tuple[Leg, ...], rerouted: bool
) -> None:
    for stage in (Stage.EXPECTED, Stage.LOADED, Stage.OFFLOADED, Stage.CAROUSEL):
        assert (state(facts(0, stage, airport=airport), EARLY, legs) is S.DELAYED_OR_REROUTED) is rerouted


def test_a_bag_is_rerouted_that_was_loaded_last_on_another_flight_than_the_assigned_one() -> None:
    right, wrong = Loading(0, EARLY, INBOUND), Loading(0, EARLY, OTHER)
    assert state(facts(0, Stage.LOADED, loaded=right), EARLY) is S.ON_FLIGHT
    assert state(facts(0, Stage.LOADED, loaded=wrong), EARLY) is S.DELAYED_OR_REROUTED
    assert state(facts(0, Stage.OFFLOADED, loaded=wrong), EARLY) is S.DELAYED_OR_REROUTED
    assert state(facts(0, Stage.LOADED, loaded=wrong), EARLY, flights={}) is S.DELAYED_OR_REROUTED


def test_on_which_flight_a_bag_was_loaded_matters_on_its_leg_only() -> None:
    assert state(facts(1, Stage.MAKEUP, loaded=Loading(0, EARLY, OTHER)), EARLY) is S.IN_TRANSFER_PROCESSING
    assert state(facts(1, Stage.LOADED, loaded=Loading(1, EARLY, ONWARD)), EARLY) is S.LOADED_ON_NEXT_FLIGHT
    assert state(facts(1, Stage.LOADED, loaded=Loading(1, EARLY, INBOUND)), EARLY) is S.DELAYED_OR_REROUTED


def test_a_bag_without_events_is_not_rerouted() -> None:
    assert state(None, EARLY) is S.CHECKED_IN


# Rule 3


@pytest.mark.parametrize("cancelled", [TOMBSTONE, flight_news(CANCELLED_INBOUND)])
def test_a_bag_is_delayed_whose_first_flight_is_cancelled_until_it_is_loaded_on_it(cancelled: FlightNews) -> None:
    flights = {**FLIGHTS, INBOUND: cancelled}
    for legs in (LEGS, DIRECT):
        for stage in (Stage.EXPECTED, Stage.CHECKED_IN, Stage.MAKEUP):
            assert state(facts(0, stage), EARLY, legs, flights) is S.DELAYED_OR_REROUTED
        assert state(None, EARLY, legs, flights) is S.DELAYED_OR_REROUTED
        assert state(facts(0, Stage.LOADED), EARLY, legs, flights) is S.ON_FLIGHT


@pytest.mark.parametrize("cancelled", [TOMBSTONE, flight_news(flight(ONWARD, status=CANCELLED_INBOUND.status))])
def test_a_bag_is_delayed_whose_next_flight_is_cancelled_until_it_is_loaded_on_it(cancelled: FlightNews) -> None:
    flights = {**FLIGHTS, ONWARD: cancelled}
    bags = (facts(0, Stage.LOADED), facts(0, Stage.OFFLOADED), facts(1, Stage.EXPECTED), facts(1, Stage.MAKEUP))
    for bag in bags:
        assert state(bag, EARLY, flights=flights) is S.DELAYED_OR_REROUTED
    assert state(facts(1, Stage.LOADED), EARLY, flights=flights) is S.LOADED_ON_NEXT_FLIGHT
    assert state(facts(0, Stage.LOADED), EARLY, DIRECT, flights) is S.ON_FLIGHT


def test_a_bag_that_was_taken_off_a_cancelled_flight_is_delayed() -> None:
    bag = facts(0, Stage.LOADED, loaded=Loading(0, EARLY, INBOUND), removed=Removal(0, EARLY + SECOND), airport="LHR")
    assert state(bag, EARLY) is S.IN_ORIGIN_PROCESSING
    assert state(bag, EARLY, flights={**FLIGHTS, INBOUND: TOMBSTONE}) is S.DELAYED_OR_REROUTED


# Rules 4 and 5


@pytest.mark.parametrize("bag", [*NOT_UP_TO_MAKEUP, facts(1, Stage.MAKEUP)])
def test_a_bag_is_delayed_only_after_the_next_cutoff(bag: BagFacts | None) -> None:
    flights = {ONWARD: FLIGHTS[ONWARD]}
    assert state(bag, CUTOFF, flights=flights) is not S.DELAYED_OR_REROUTED
    assert state(bag, CUTOFF + timedelta.resolution, flights=flights) is S.DELAYED_OR_REROUTED


@pytest.mark.parametrize("bag", NOT_UP_TO_MAKEUP)
def test_a_bag_is_at_risk_from_less_than_45_minutes_before_the_next_cutoff(bag: BagFacts | None) -> None:
    assert state(bag, CUTOFF - 45 * MINUTE) is not S.AT_RISK_FOR_CONNECTION
    assert state(bag, CUTOFF - 45 * MINUTE + timedelta.resolution) is S.AT_RISK_FOR_CONNECTION


def test_a_bag_at_makeup_of_the_next_leg_is_not_at_risk() -> None:
    assert state(facts(1, Stage.MAKEUP), CUTOFF - SECOND) is S.IN_TRANSFER_PROCESSING


def test_a_bag_loaded_on_the_next_leg_is_neither_at_risk_nor_delayed() -> None:
    assert state(facts(1, Stage.LOADED), CUTOFF - SECOND) is S.LOADED_ON_NEXT_FLIGHT
    assert state(facts(1, Stage.LOADED), CUTOFF + HOUR) is S.LOADED_ON_NEXT_FLIGHT


def test_a_bag_that_was_taken_off_its_next_flight_is_delayed_after_its_cutoff() -> None:
    loaded, removed = Loading(1, CUTOFF - MINUTE, ONWARD), Removal(1, CUTOFF)
    bag = facts(1, Stage.LOADED, loaded=loaded, removed=removed)
    assert state(bag, CUTOFF) is S.IN_TRANSFER_PROCESSING
    assert state(bag, CUTOFF + SECOND) is S.DELAYED_OR_REROUTED


def test_a_bag_that_is_not_offloaded_at_its_hub_has_a_next_leg_to_make() -> None:
    three = (*LEGS, Leg(leg_index=2, flight_id=INBOUND, origin="FRA", dest="LHR"))
    third = {INBOUND: flight_news(flight(INBOUND, CUTOFF))}
    assert state(facts(1, Stage.LOADED), CUTOFF - 100 * MINUTE, three, third) is S.LOADED_ON_NEXT_FLIGHT
    assert state(facts(1, Stage.LOADED), CUTOFF - 60 * MINUTE, three, third) is S.AT_RISK_FOR_CONNECTION
    assert state(facts(1, Stage.LOADED), CUTOFF, three, third) is S.DELAYED_OR_REROUTED


# Rule 6


@pytest.mark.parametrize("bag", [None, *(facts(0, stage, airport="LHR") for stage in Stage if stage < Stage.LOADED)])
def test_a_bag_is_left_behind_ten_minutes_after_the_departure_of_its_first_flight(bag: BagFacts | None) -> None:
    last = DEPARTURE + 10 * MINUTE
    for legs in (DIRECT, LEGS):
        assert state(bag, last, legs) is not S.DELAYED_OR_REROUTED
        assert state(bag, last + timedelta.resolution, legs) is S.DELAYED_OR_REROUTED


def test_a_bag_is_not_left_behind_that_was_loaded_or_is_on_a_later_leg() -> None:
    later = DEPARTURE + 20 * MINUTE
    assert state(facts(0, Stage.LOADED), later) is S.ON_FLIGHT
    assert state(facts(1, Stage.EXPECTED), later) is S.IN_TRANSFER_PROCESSING
    assert state(facts(0, Stage.MAKEUP), later, flights={}) is S.IN_ORIGIN_PROCESSING


def test_a_bag_that_was_taken_off_is_left_behind() -> None:
    bag = facts(0, Stage.LOADED, loaded=Loading(0, EARLY, INBOUND), removed=Removal(0, EARLY + SECOND), airport="LHR")
    assert state(bag, DEPARTURE + 10 * MINUTE, DIRECT) is S.IN_ORIGIN_PROCESSING
    assert state(bag, DEPARTURE + 11 * MINUTE, DIRECT) is S.DELAYED_OR_REROUTED


def test_at_risk_comes_before_left_behind() -> None:
    flights = {**FLIGHTS, ONWARD: flight_news(flight(ONWARD, DEPARTURE + 90 * MINUTE))}
    assert state(facts(0, Stage.MAKEUP), DEPARTURE + 11 * MINUTE, flights=flights) is S.AT_RISK_FOR_CONNECTION


# Rule 7


def test_rules_about_a_flight_without_a_schedule_do_not_match() -> None:
    for bag, expected in [
        (facts(0, Stage.OFFLOADED), S.IN_TRANSFER_PROCESSING),
        (facts(0, Stage.LOADED), S.ON_FLIGHT),
        (facts(0, Stage.MAKEUP), S.IN_ORIGIN_PROCESSING),
        (None, S.CHECKED_IN),
    ]:
        assert state(bag, CUTOFF + MINUTE, flights={}) is expected


@pytest.mark.parametrize(
    ("leg", "stage", "expected"),
    [
        (0, Stage.EXPECTED, S.CHECKED_IN),
        (0, Stage.CHECKED_IN, S.CHECKED_IN),
        (0, Stage.INDUCTED, S.IN_ORIGIN_PROCESSING),
        (0, Stage.CLEARED, S.IN_ORIGIN_PROCESSING),
        (0, Stage.MAKEUP, S.IN_ORIGIN_PROCESSING),
        (0, Stage.LOADED, S.ON_FLIGHT),
        (0, Stage.OFFLOADED, S.IN_TRANSFER_PROCESSING),
        (1, Stage.EXPECTED, S.IN_TRANSFER_PROCESSING),
        (1, Stage.CHECKED_IN, S.IN_TRANSFER_PROCESSING),
        (1, Stage.MAKEUP, S.IN_TRANSFER_PROCESSING),
        (1, Stage.LOADED, S.LOADED_ON_NEXT_FLIGHT),
        (1, Stage.OFFLOADED, S.ARRIVED_AT_DESTINATION),
        (1, Stage.CAROUSEL, S.ON_CAROUSEL),
        (0, Stage.CAROUSEL, S.ON_CAROUSEL),
        (7, Stage.OFFLOADED, S.ARRIVED_AT_DESTINATION),
        (255, Stage.LOADED, S.LOADED_ON_NEXT_FLIGHT),
    ],
)
def test_the_journey_state_follows_leg_and_stage(leg: int, stage: Stage, expected: JourneyState) -> None:
    assert state(facts(leg, stage), EARLY) is expected


def test_a_loaded_bag_has_arrived_at_the_hub_from_the_arrival_on() -> None:
    bag, arrival = facts(0, Stage.LOADED), INBOUND_FLIGHT.arr_time
    flights = {**FLIGHTS, ONWARD: flight_news(flight(ONWARD, DEPARTURE + 8 * HOUR))}
    assert state(bag, arrival - timedelta.resolution, flights=flights) is S.ON_FLIGHT
    assert state(bag, arrival, flights=flights) is S.ARRIVED_AT_HUB


def test_a_bag_without_a_next_leg_stays_on_flight_until_it_is_offloaded() -> None:
    assert state(facts(0, Stage.LOADED), INBOUND_FLIGHT.arr_time + MINUTE, DIRECT) is S.ON_FLIGHT
    assert state(facts(0, Stage.OFFLOADED), INBOUND_FLIGHT.arr_time, DIRECT) is S.ARRIVED_AT_DESTINATION
    assert state(facts(0, Stage.MAKEUP), INBOUND_FLIGHT.bag_cutoff_time + MINUTE, DIRECT) is S.IN_ORIGIN_PROCESSING


# Flights and deadlines


def test_a_bag_tells_its_flight_and_the_connection_that_it_has_yet_to_make() -> None:
    def flights(bag: BagFacts | None, legs: tuple[Leg, ...] = LEGS) -> tuple[int, str, str]:
        journey = Journey(legs, bag, FLIGHTS.get).at(EARLY)
        return journey.leg_index, journey.flight_id, journey.connection

    assert flights(None) == flights(facts(0, Stage.EXPECTED)) == flights(facts(0, Stage.CAROUSEL))
    assert flights(None) == (0, INBOUND, ONWARD)
    assert flights(facts(1, Stage.MAKEUP)) == (1, ONWARD, ONWARD)
    assert flights(facts(1, Stage.LOADED)) == (1, ONWARD, "")
    assert flights(facts(0, Stage.LOADED), DIRECT) == (0, INBOUND, "")
    assert flights(facts(3, Stage.MAKEUP)) == (3, ONWARD, ""), "a bag that has come further than its assignment says"


def test_a_bag_is_where_its_state_says() -> None:
    journey = Journey(LEGS, facts(0, Stage.LOADED), FLIGHTS.get)
    assert journey.at(EARLY) == BagJourney(S.ON_FLIGHT, 0, INBOUND, ONWARD)
    assert journey.at(CUTOFF + SECOND).journey_state is journey.state(CUTOFF + SECOND) is S.DELAYED_OR_REROUTED


def deadlines(bag: BagFacts | None, flights: Mapping[str, FlightNews] = FLIGHTS) -> list[datetime]:
    journey, now, seen = Journey(LEGS, bag, flights.get), EARLY, list[datetime]()
    while (deadline := journey.next_deadline(now)) is not None:
        assert deadline > now
        seen.append(deadline.replace(microsecond=0))
        now = deadline
    return seen


def test_deadlines_are_those_of_the_rules_one_after_the_other() -> None:
    first = [DEPARTURE + 10 * MINUTE, INBOUND_FLIGHT.arr_time]
    onward = [CUTOFF - 45 * MINUTE, CUTOFF]
    assert deadlines(None) == deadlines(facts(0, Stage.LOADED)) == sorted([*first, *onward])
    assert deadlines(facts(1, Stage.MAKEUP)) == onward
    assert deadlines(facts(1, Stage.LOADED)) == []
    assert deadlines(None, {}) == deadlines(None, {INBOUND: TOMBSTONE, ONWARD: TOMBSTONE}) == []
    assert deadlines(None, {INBOUND: FLIGHTS[INBOUND]}) == first


@pytest.mark.parametrize("bag", NOT_UP_TO_MAKEUP)
def test_a_deadline_at_this_very_instant_is_still_to_come(bag: BagFacts | None) -> None:
    journey = Journey(LEGS, bag, FLIGHTS.get)
    deadline = journey.next_deadline(CUTOFF)
    assert deadline
    assert CUTOFF < deadline <= CUTOFF + timedelta(milliseconds=1)
    assert journey.state(deadline) is S.DELAYED_OR_REROUTED
    assert journey.next_deadline(deadline) is None
