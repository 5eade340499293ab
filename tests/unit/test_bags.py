"""Specification section 5.1 and design, "Facts of a bag"."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid1

import pytest

from baggage.domain.bags import (
    BagFacts,
    Loading,
    Reached,
    Removal,
    bag_facts,
    bag_latest,
    origin_of,
    parse_bag_latest,
    time_text,
)
from baggage.domain.events import BaggageEvent
from baggage.domain.stages import EventType, Stage
from tests.builders import BAG, DEPARTURE, HOUR, INBOUND, ITINERARY, MINUTE, ONWARD, SECOND, event

E = EventType
OTHER = "BR027|2026-01-04|LHR->AMS"


def place(facts: BagFacts) -> tuple[int, Stage, str]:
    return facts.leg_index, facts.stage, facts.newest.flight_id


def removal(at: timedelta = timedelta(), leg: int = 0) -> BaggageEvent:
    return event(E.OFFLOADED, leg, DEPARTURE + at, airport=origin_of((INBOUND, ONWARD)[leg]))


def loading(at: timedelta = timedelta(), leg: int = 0) -> BaggageEvent:
    return event(E.LOADED_ON_AIRCRAFT, leg, DEPARTURE + at)


def test_a_later_stage_moves_forward_directly_and_an_earlier_one_is_ignored() -> None:
    facts = bag_facts([event(E.CHECKED_IN), event(E.LOADED_ON_AIRCRAFT), event(E.INDUCTED)])
    assert place(facts) == (0, Stage.LOADED, INBOUND)


def test_a_higher_leg_starts_the_next_stage_machine_and_a_lower_one_is_backward() -> None:
    facts = bag_facts([event(E.SCREENED_CLEARED, leg=1), event(E.CAROUSEL_ARRIVED, leg=0, at=DEPARTURE + HOUR)])
    assert place(facts) == (1, Stage.CLEARED, ONWARD)
    assert facts.newest.last_event_time == DEPARTURE, "a later scan of an earlier leg is not where the bag is"


def test_reassociation_moves_the_bag_to_the_next_leg_before_its_first_stage() -> None:
    facts = bag_facts([event(E.OFFLOADED), event(E.TRANSFER_IN), event(E.REASSOCIATED_TO_NEXT_LEG, leg=1)])
    assert place(facts) == (1, Stage.EXPECTED, ONWARD)


def test_transfer_in_changes_no_stage_but_is_where_the_bag_was_seen_last() -> None:
    later = DEPARTURE + 5 * MINUTE
    facts = bag_facts([event(E.OFFLOADED), event(E.TRANSFER_IN, at=later, scan_point="AMS_TRANSFER_01")])
    assert place(facts) == (0, Stage.OFFLOADED, INBOUND)
    assert (facts.newest.last_event_time, facts.newest.last_scan_point) == (later, "AMS_TRANSFER_01")


def test_ids_that_share_most_of_their_bits_are_ids_of_different_events() -> None:
    kinds = (E.CHECKED_IN, E.INDUCTED, E.SCREENED_CLEARED, E.MAKEUP_ARRIVED, E.LOADED_ON_AIRCRAFT)
    scans = [event(kind, name=str(uuid1())) for kind in kinds]
    assert bag_facts(scans).stage is Stage.LOADED


def test_a_bag_was_loaded_last_where_its_latest_loading_says() -> None:
    first, second = loading(), event(E.LOADED_ON_AIRCRAFT, at=DEPARTURE + MINUTE, flight_id=OTHER)
    assert bag_facts([second, first]).loaded == Loading(0, DEPARTURE + MINUTE, OTHER)
    assert bag_facts([loading(leg=1), second]).loaded == Loading(1, DEPARTURE, ONWARD)
    same_time = [loading(), event(E.LOADED_ON_AIRCRAFT, flight_id=OTHER)]
    assert bag_facts(same_time).loaded == bag_facts(same_time[::-1]).loaded == Loading(0, DEPARTURE, OTHER)


def test_offloaded_where_the_flight_departs_is_a_removal_and_elsewhere_a_stage() -> None:
    for airport in ("AMS", "FNC"):
        facts = bag_facts([event(E.OFFLOADED, airport=airport)])
        assert (facts.stage, facts.removed) == (Stage.OFFLOADED, None)
    facts = bag_facts([removal()])
    assert facts.removed == Removal(0, DEPARTURE)
    assert facts.reached == Reached(0, Stage.EXPECTED), "such an event has no stage"
    assert facts.stage is Stage.MAKEUP


@pytest.mark.parametrize(
    ("loaded_at", "stage"),
    [(-SECOND, Stage.MAKEUP), (timedelta(), Stage.LOADED), (SECOND, Stage.LOADED)],
)
def test_a_bag_is_back_at_makeup_if_it_was_removed_after_it_was_loaded_last(loaded_at: timedelta, stage: Stage) -> None:
    events = [event(E.CHECKED_IN), loading(-HOUR), loading(loaded_at), removal()]
    assert bag_facts(events).stage is bag_facts(events[::-1]).stage is stage


def test_a_removal_counts_on_its_own_leg_only() -> None:
    assert bag_facts([removal(HOUR), event(E.INDUCTED, leg=1)]).stage is Stage.INDUCTED
    assert bag_facts([removal(HOUR), loading(leg=1)]).stage is Stage.LOADED
    assert bag_facts([loading(2 * HOUR), removal(leg=1)]).stage is Stage.MAKEUP, "what was loaded is another leg"


def test_the_last_alarm_and_the_last_clearance_stay() -> None:
    facts = bag_facts([event(E.SCREENED_ALARM, at=DEPARTURE + n * MINUTE) for n in (1, 3, 2)])
    assert (facts.alarmed, facts.cleared, facts.is_alarmed) == (DEPARTURE + 3 * MINUTE, None, True)
    facts = bag_facts([event(E.SCREENED_CLEARED), event(E.CAROUSEL_ARRIVED)])
    assert (facts.alarmed, facts.cleared, facts.is_alarmed) == (None, DEPARTURE, False)


@pytest.mark.parametrize(("cleared_at", "is_cleared"), [(-SECOND, False), (timedelta(), True), (SECOND, True)])
def test_an_alarm_is_cleared_by_a_clearance_that_is_not_before_it(cleared_at: timedelta, is_cleared: bool) -> None:
    facts = bag_facts([event(E.SCREENED_ALARM), event(E.SCREENED_CLEARED, at=DEPARTURE + cleared_at)])
    assert (facts.is_alarmed, facts.is_cleared) == (True, is_cleared)
    assert not bag_facts([event(E.SCREENED_CLEARED)]).is_cleared


def test_a_clock_that_runs_ahead_cannot_hide_later_scans() -> None:
    ahead = BagFacts.of(event(E.CHECKED_IN, at=DEPARTURE + 24 * HOUR, scan_point="AHEAD"), latest=DEPARTURE)
    assert ahead.newest.last_event_time == DEPARTURE
    true = BagFacts.of(event(E.INDUCTED, at=DEPARTURE + MINUTE, scan_point="TRUE"), latest=DEPARTURE + 2 * MINUTE)
    assert ahead.join(true).newest.last_scan_point == "TRUE"


@pytest.mark.parametrize("kind", [E.LOADED_ON_AIRCRAFT, E.OFFLOADED, E.SCREENED_ALARM, E.SCREENED_CLEARED])
def test_a_clock_that_runs_ahead_counts_as_the_latest_time_in_every_fact(kind: EventType) -> None:
    def of(at: timedelta) -> BagFacts:
        return BagFacts.of(event(kind, at=DEPARTURE + at, airport="LHR"), latest=DEPARTURE)

    assert of(24 * HOUR) == of(SECOND) == of(timedelta()) != of(-SECOND)


def test_the_record_of_a_bag_says_its_whole_state() -> None:
    events = [event(E.SCREENED_ALARM), event(E.SCREENED_CLEARED), loading(-HOUR), removal()]
    record = bag_latest(bag_facts(events), DEPARTURE + SECOND, DEPARTURE + MINUTE)
    assert (record.key(), record.stage, record.reached, record.leg_index) == (BAG, "MAKEUP", "LOADED", 0)
    assert (record.flight_id, record.airport, record.itinerary_id) == (INBOUND, "LHR", ITINERARY)
    assert (record.last_event_time, record.arrived, record.ts) == (DEPARTURE, DEPARTURE + SECOND, DEPARTURE + MINUTE)
    assert parse_bag_latest(BAG.encode(), record.to_json()).facts == bag_facts(events)


def test_the_origin_of_a_flight_is_in_its_id() -> None:
    assert (origin_of(INBOUND), origin_of(ONWARD), origin_of("AB1Z|2026-01-04|JFK->LHR")) == ("LHR", "AMS", "JFK")


def test_texts_of_facts_begin_with_leg_and_time_of_constant_length() -> None:
    assert Reached(7, Stage.LOADED).text() == "0075LOADED"
    assert Removal(0, DEPARTURE).text().startswith("0002026-01-04T10:00:00.000000{")
    assert Loading(12, DEPARTURE, INBOUND).text().startswith("0122026-01-04T10:00:00.000000{")
    assert bag_facts([event(leg=1)]).newest.text().startswith("0012026-01-04T10:00:00.000000{")
    assert time_text(DEPARTURE) == "2026-01-04T10:00:00.000000Z"
    assert time_text(DEPARTURE + timedelta.resolution) == "2026-01-04T10:00:00.000001Z"
