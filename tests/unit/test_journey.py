"""Specification section 5.2 and design, "Journey state of a bag", at the boundaries."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from baggage.domain.journey import (
    FAR,
    RECHECK,
    RECHECK_FAR,
    WORST_FIRST,
    BagJourney,
    JourneyState,
    Progress,
    bag_journey,
    bag_journey_state,
    connecting_leg,
    itinerary_state,
    itinerary_status,
    next_deadline,
    recheck_period,
)
from baggage.domain.notifications import notification
from baggage.domain.schedule import FlightSchedule, Leg
from baggage.domain.stages import Stage
from tests.builders import DEPARTURE, INBOUND_FLIGHT, LEGS, MINUTE, ONWARD_FLIGHT, SECOND

S = JourneyState
SCHEDULES = {f.flight_id: f for f in (INBOUND_FLIGHT, ONWARD_FLIGHT)}
CUTOFF = ONWARD_FLIGHT.bag_cutoff_time
EARLY = DEPARTURE - 120 * MINUTE
NOT_UP_TO_MAKEUP = [
    Progress(0, Stage.LOADED),
    Progress(0, Stage.OFFLOADED),
    Progress(1, Stage.EXPECTED),
    Progress(1, Stage.CLEARED),
    Progress(),
]


def state(
    bag: Progress,
    now: datetime,
    legs: tuple[Leg, ...] = LEGS,
    schedules: dict[str, FlightSchedule] = SCHEDULES,
) -> JourneyState:
    return bag_journey_state(legs, bag, schedules.get, now)


@pytest.mark.parametrize("bag", NOT_UP_TO_MAKEUP)
def test_a_bag_is_at_risk_from_less_than_45_minutes_before_the_next_cutoff(bag: Progress) -> None:
    assert state(bag, CUTOFF - 45 * MINUTE) is not S.AT_RISK_FOR_CONNECTION
    assert state(bag, CUTOFF - 45 * MINUTE + SECOND) is S.AT_RISK_FOR_CONNECTION


@pytest.mark.parametrize("bag", [*NOT_UP_TO_MAKEUP, Progress(1, Stage.MAKEUP)])
def test_a_bag_is_delayed_only_after_the_next_cutoff(bag: Progress) -> None:
    assert state(bag, CUTOFF) is not S.DELAYED_OR_REROUTED
    assert state(bag, CUTOFF + SECOND) is S.DELAYED_OR_REROUTED


def test_a_bag_at_makeup_of_the_next_leg_is_not_at_risk() -> None:
    assert state(Progress(1, Stage.MAKEUP), CUTOFF - SECOND) is S.IN_TRANSFER_PROCESSING


def test_a_bag_loaded_on_the_next_leg_is_neither_at_risk_nor_delayed() -> None:
    assert state(Progress(1, Stage.LOADED), CUTOFF - SECOND) is S.LOADED_ON_NEXT_FLIGHT
    assert state(Progress(1, Stage.LOADED), CUTOFF + 60 * MINUTE) is S.LOADED_ON_NEXT_FLIGHT


@pytest.mark.parametrize("when", [EARLY, CUTOFF - MINUTE, CUTOFF + MINUTE])
@pytest.mark.parametrize("stage", Stage)
def test_an_alarm_is_an_exception_before_any_other_rule(when: datetime, stage: Stage) -> None:
    assert state(Progress(0, stage, alarm=True), when) is S.EXCEPTION


def test_rules_about_a_flight_without_a_schedule_do_not_match() -> None:
    assert state(Progress(0, Stage.OFFLOADED), CUTOFF + MINUTE, schedules={}) is S.IN_TRANSFER_PROCESSING


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
    ],
)
def test_the_journey_state_follows_leg_and_stage(leg: int, stage: Stage, expected: JourneyState) -> None:
    assert state(Progress(leg, stage), EARLY) is expected


def test_a_loaded_bag_has_arrived_at_the_hub_from_the_arrival_on() -> None:
    bag, arrival = Progress(0, Stage.LOADED), INBOUND_FLIGHT.arr_time
    assert arrival < CUTOFF - 45 * MINUTE - SECOND or arrival >= CUTOFF - 45 * MINUTE
    schedules = {**SCHEDULES, ONWARD_FLIGHT.flight_id: later(ONWARD_FLIGHT)}
    assert state(bag, arrival - SECOND, schedules=schedules) is S.ON_FLIGHT
    assert state(bag, arrival, schedules=schedules) is S.ARRIVED_AT_HUB


def later(flight: FlightSchedule) -> FlightSchedule:
    from tests.builders import flight as make

    return make(flight.flight_id, flight.dep_time + 300 * MINUTE)


def test_a_bag_without_a_next_leg_stays_on_flight_until_it_is_offloaded() -> None:
    only = LEGS[:1]
    assert state(Progress(0, Stage.LOADED), INBOUND_FLIGHT.arr_time + MINUTE, only) is S.ON_FLIGHT
    assert state(Progress(0, Stage.OFFLOADED), INBOUND_FLIGHT.arr_time, only) is S.ARRIVED_AT_DESTINATION
    assert state(Progress(0, Stage.MAKEUP), INBOUND_FLIGHT.bag_cutoff_time + MINUTE, only) is S.IN_ORIGIN_PROCESSING


def test_the_connecting_leg_is_the_next_one_to_be_loaded_on() -> None:
    assert connecting_leg(LEGS, Progress(0, Stage.EXPECTED)) == LEGS[1]
    assert connecting_leg(LEGS, Progress(0, Stage.CAROUSEL)) == LEGS[1]
    assert connecting_leg(LEGS, Progress(1, Stage.MAKEUP)) == LEGS[1]
    assert connecting_leg(LEGS, Progress(1, Stage.LOADED)) is None
    assert connecting_leg(LEGS[:1], Progress(0, Stage.LOADED)) is None


def test_deadlines_are_arrival_risk_and_cutoff_one_after_the_other() -> None:
    bag, seen, now = Progress(0, Stage.LOADED), [], EARLY
    while (deadline := next_deadline(LEGS, bag, SCHEDULES.get, now)) is not None:
        seen.append(deadline.replace(microsecond=0))
        assert deadline > now
        now = deadline
    assert seen == sorted([INBOUND_FLIGHT.arr_time, CUTOFF - 45 * MINUTE, CUTOFF])


@pytest.mark.parametrize("bag", NOT_UP_TO_MAKEUP)
def test_nothing_changes_between_two_deadlines(bag: Progress) -> None:
    now = EARLY
    while (deadline := next_deadline(LEGS, bag, SCHEDULES.get, now)) is not None:
        just_before = deadline - MINUTE / 60_000
        assert state(bag, now) == state(bag, just_before) or now == EARLY
        now = deadline
    assert state(bag, now) is S.DELAYED_OR_REROUTED


def recheck(bag: Progress, now: datetime, legs: tuple[Leg, ...] = LEGS) -> timedelta | None:
    return recheck_period(legs, bag, SCHEDULES.get, now)


@pytest.mark.parametrize("bag", NOT_UP_TO_MAKEUP)
def test_a_bag_looks_at_the_schedule_of_its_connection_until_that_has_arrived(bag: Progress) -> None:
    arrival = ONWARD_FLIGHT.arr_time
    assert recheck(bag, CUTOFF + SECOND) == RECHECK
    assert recheck(bag, arrival - SECOND) == RECHECK
    assert recheck(bag, arrival) is None


@pytest.mark.parametrize("bag", NOT_UP_TO_MAKEUP)
def test_a_bag_looks_less_often_while_its_next_deadline_is_far_away(bag: Progress) -> None:
    deadline = next_deadline(LEGS, bag, SCHEDULES.get, EARLY)
    assert deadline
    assert recheck(bag, deadline - FAR - SECOND) == RECHECK_FAR
    assert recheck(bag, deadline - FAR) == RECHECK


def test_a_bag_looks_for_a_schedule_that_is_not_known_yet() -> None:
    loaded = Progress(1, Stage.LOADED)
    only_inbound = {INBOUND_FLIGHT.flight_id: INBOUND_FLIGHT}.get
    assert recheck_period(LEGS, loaded, only_inbound, EARLY) == RECHECK
    assert recheck_period(LEGS, Progress(), only_inbound, EARLY - 2 * FAR) == RECHECK
    only_onward = {ONWARD_FLIGHT.flight_id: ONWARD_FLIGHT}.get
    assert recheck_period(LEGS, Progress(), only_onward, EARLY - 2 * FAR) == RECHECK
    assert recheck_period(LEGS, loaded, only_onward, EARLY) is None
    assert recheck(loaded, EARLY) is None
    assert recheck(Progress(0, Stage.LOADED), EARLY, LEGS[:1]) is None


def itinerary(*states: JourneyState, total: int | None = None) -> JourneyState:
    bags = {f"BAG{n}": BagJourney(state, 0) for n, state in enumerate(states)}
    return itinerary_state("ITI1", "CUST1", total or len(bags), bags).journey_state


@pytest.mark.parametrize(("worse", "better"), list(pairwise(WORST_FIRST)))
def test_an_itinerary_takes_its_worst_bag(worse: JourneyState, better: JourneyState) -> None:
    assert itinerary(worse, better) is worse
    assert itinerary(better, worse, better) is worse


def test_the_order_of_states_is_exception_delayed_at_risk_then_the_least_advanced() -> None:
    assert WORST_FIRST[:3] == (S.EXCEPTION, S.DELAYED_OR_REROUTED, S.AT_RISK_FOR_CONNECTION)
    assert WORST_FIRST[3:] == tuple(S)[:8]


def test_a_bag_that_nobody_heard_of_is_not_advanced_at_all() -> None:
    assert itinerary(S.ON_CAROUSEL, total=2) is S.CHECKED_IN
    assert itinerary(S.DELAYED_OR_REROUTED, total=2) is S.DELAYED_OR_REROUTED


def test_the_risk_flag_is_set_if_any_bag_is_at_risk_even_behind_a_worse_one() -> None:
    bags = {"A": BagJourney(S.EXCEPTION, 0), "B": BagJourney(S.AT_RISK_FOR_CONNECTION, 0)}
    assert itinerary_state("ITI1", "CUST1", 2, bags).risk_flag
    assert not itinerary_state("ITI1", "CUST1", 1, {"A": bags["A"]}).risk_flag


def test_the_current_leg_is_that_of_the_worst_bag() -> None:
    bags = {"A": BagJourney(S.ON_CAROUSEL, 1), "B": BagJourney(S.ON_FLIGHT, 0)}
    assert itinerary_state("ITI1", "CUST1", 2, bags).current_leg_index == 0
    assert itinerary_state("ITI1", "CUST1", 1, {"A": bags["A"]}).current_leg_index == 1


def test_a_bag_tells_its_flight_and_the_connection_that_it_has_yet_to_make() -> None:
    def flights(leg: int, stage: Stage) -> tuple[str, str]:
        journey = bag_journey(LEGS, Progress(leg, stage), SCHEDULES.get, EARLY)
        return journey.flight_id, journey.connection

    inbound, onward = (leg.flight_id for leg in LEGS)
    assert flights(0, Stage.EXPECTED) == flights(0, Stage.OFFLOADED) == (inbound, onward)
    assert flights(1, Stage.MAKEUP) == (onward, onward)
    assert flights(1, Stage.LOADED) == (onward, "")


def test_the_row_of_an_itinerary_says_where_each_bag_is() -> None:
    bags = {"A": BagJourney(S.ON_FLIGHT, 0, "BR025|2026-01-04|LHR->AMS", "BR610|2026-01-04|AMS->FRA")}
    row = itinerary_status(itinerary_state("ITI1", "CUST1", 1, bags), DEPARTURE)
    assert json.loads(row.details_json) == {
        "A": {
            "journey_state": "ON_FLIGHT",
            "leg_index": 0,
            "flight_id": "BR025|2026-01-04|LHR->AMS",
            "connection": "BR610|2026-01-04|AMS->FRA",
        }
    }


def test_a_notification_comes_only_with_a_change_and_its_id_names_itinerary_type_and_version() -> None:
    said = itinerary_state("ITI1", "CUST1", 1, {"A": BagJourney(S.ON_FLIGHT, 0)})
    assert notification(S.ON_FLIGHT, said, 4, DEPARTURE) is None
    notice = notification(S.IN_ORIGIN_PROCESSING, said, 4, DEPARTURE)
    assert notice is not None
    assert notice.key() == "ITI1|ON_FLIGHT|4"
    assert (notice.previous_state, notice.journey_state) == (S.IN_ORIGIN_PROCESSING, S.ON_FLIGHT)
