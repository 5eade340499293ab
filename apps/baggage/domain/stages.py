"""The stages of a bag on one leg and the events that lead there (specification sections 4.1 and 5.1)."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class EventType(StrEnum):
    """What a scan says (specification section 4.1)."""

    CHECKED_IN = "CheckedIn"
    INDUCTED = "Inducted"
    SCREENED_CLEARED = "ScreenedCleared"
    SCREENED_ALARM = "ScreenedAlarm"
    MAKEUP_ARRIVED = "MakeupArrived"
    LOADED_ON_AIRCRAFT = "LoadedOnAircraft"
    OFFLOADED = "Offloaded"
    CAROUSEL_ARRIVED = "CarouselArrived"
    TRANSFER_IN = "TransferIn"
    REASSOCIATED_TO_NEXT_LEG = "ReassociatedToNextLeg"


class Stage(IntEnum):
    """The stages of a leg, in order; EXPECTED is the leg before its first stage."""

    EXPECTED = 0
    CHECKED_IN = 1
    INDUCTED = 2
    CLEARED = 3
    MAKEUP = 4
    LOADED = 5
    OFFLOADED = 6
    CAROUSEL = 7


#: The events without a stage (TransferIn, ReassociatedToNextLeg, ScreenedAlarm) are absent.
STAGE_OF_EVENT = {
    EventType.CHECKED_IN: Stage.CHECKED_IN,
    EventType.INDUCTED: Stage.INDUCTED,
    EventType.SCREENED_CLEARED: Stage.CLEARED,
    EventType.MAKEUP_ARRIVED: Stage.MAKEUP,
    EventType.LOADED_ON_AIRCRAFT: Stage.LOADED,
    EventType.OFFLOADED: Stage.OFFLOADED,
    EventType.CAROUSEL_ARRIVED: Stage.CAROUSEL,
}


def stage_of(event_type: EventType) -> Stage:
    """The stage that an event shows its leg to have reached."""
    return STAGE_OF_EVENT.get(event_type, Stage.EXPECTED)
