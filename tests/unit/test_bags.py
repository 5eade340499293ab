"""Specification section 5.1 and design, "Legs"."""

from __future__ import annotations

import pytest

from baggage.domain.bags import bag_latest, bag_state
from baggage.domain.stages import EventType, Stage, stage_of
from tests.builders import DEPARTURE, INBOUND, MINUTE, ONWARD, event

E = EventType


@pytest.mark.parametrize(
    ("kind", "stage"),
    [
        (E.CHECKED_IN, Stage.CHECKED_IN),
        (E.INDUCTED, Stage.INDUCTED),
        (E.SCREENED_CLEARED, Stage.CLEARED),
        (E.MAKEUP_ARRIVED, Stage.MAKEUP),
        (E.LOADED_ON_AIRCRAFT, Stage.LOADED),
        (E.OFFLOADED, Stage.OFFLOADED),
        (E.CAROUSEL_ARRIVED, Stage.CAROUSEL),
        (E.SCREENED_ALARM, Stage.EXPECTED),
        (E.TRANSFER_IN, Stage.EXPECTED),
        (E.REASSOCIATED_TO_NEXT_LEG, Stage.EXPECTED),
    ],
)
def test_events_map_to_stages(kind: EventType, stage: Stage) -> None:
    assert stage_of(kind) is stage


def test_stages_are_in_the_order_of_the_specification() -> None:
    names = ["CHECKED_IN", "INDUCTED", "CLEARED", "MAKEUP", "LOADED", "OFFLOADED", "CAROUSEL"]
    assert [stage.name for stage in sorted(Stage)][1:] == names


def test_a_later_stage_moves_forward_directly_and_an_earlier_one_is_ignored() -> None:
    state = bag_state([event(E.CHECKED_IN), event(E.LOADED_ON_AIRCRAFT), event(E.INDUCTED)])
    assert state.position == (0, Stage.LOADED, INBOUND)


def test_a_higher_leg_starts_the_next_stage_machine_and_a_lower_one_is_backward() -> None:
    state = bag_state([event(E.SCREENED_CLEARED, leg=1), event(E.CAROUSEL_ARRIVED, leg=0)])
    assert state.position == (1, Stage.CLEARED, ONWARD)


def test_reassociation_moves_the_bag_to_the_next_leg_before_its_first_stage() -> None:
    state = bag_state([event(E.OFFLOADED), event(E.TRANSFER_IN), event(E.REASSOCIATED_TO_NEXT_LEG, leg=1)])
    assert state.position == (1, Stage.EXPECTED, ONWARD)


def test_transfer_in_changes_no_stage_but_is_where_the_bag_was_seen_last() -> None:
    later = DEPARTURE + 5 * MINUTE
    state = bag_state([event(E.OFFLOADED), event(E.TRANSFER_IN, at=later, scan_point="AMS_TRANSFER_01")])
    assert state.position == (0, Stage.OFFLOADED, INBOUND)
    assert state.last_seen == (later, "AMS_TRANSFER_01")


def test_an_alarm_stays() -> None:
    assert bag_state([event(E.SCREENED_ALARM), event(E.SCREENED_CLEARED), event(E.CAROUSEL_ARRIVED)]).alarm


def test_the_record_of_a_bag_says_its_whole_state() -> None:
    record = bag_latest("BAG000123", bag_state([event()]), DEPARTURE)
    assert (record.key(), record.stage, record.leg_index) == ("BAG000123", "MAKEUP", 0)
    assert (record.flight_id, record.last_scan_point) == (INBOUND, "LHR_MAKEUP_12")
    assert (record.last_event_time, record.itinerary_id) == (DEPARTURE, "ITI000045")
