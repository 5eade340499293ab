"""Specification sections 4.1 and 5.1."""

from __future__ import annotations

import pytest

from baggage.domain.stages import EventType, Stage, stage_of

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
