"""The journey state of a bag and of an itinerary (specification section 5.2; design: Journey state)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

import msgspec

from baggage.domain.records import Record, Text, Time
from baggage.domain.schedule import FlightSchedule, Leg
from baggage.domain.stages import Stage

TRANSFER_P90 = timedelta(minutes=35)
BUFFER = timedelta(minutes=10)

#: How often a bag that waits for a flight looks at its schedule, which may change ...
RECHECK = timedelta(minutes=1)
#: ... and how often while its next deadline is further away than flights are brought forward.
RECHECK_FAR = timedelta(hours=1)
FAR = timedelta(hours=6)


class JourneyState(StrEnum):
    """The states of section 5.2, in the order of the journey; the last three are worse than any of these."""

    CHECKED_IN = "CHECKED_IN"
    IN_ORIGIN_PROCESSING = "IN_ORIGIN_PROCESSING"
    ON_FLIGHT = "ON_FLIGHT"
    ARRIVED_AT_HUB = "ARRIVED_AT_HUB"
    IN_TRANSFER_PROCESSING = "IN_TRANSFER_PROCESSING"
    LOADED_ON_NEXT_FLIGHT = "LOADED_ON_NEXT_FLIGHT"
    ARRIVED_AT_DESTINATION = "ARRIVED_AT_DESTINATION"
    ON_CAROUSEL = "ON_CAROUSEL"
    AT_RISK_FOR_CONNECTION = "AT_RISK_FOR_CONNECTION"
    DELAYED_OR_REROUTED = "DELAYED_OR_REROUTED"
    EXCEPTION = "EXCEPTION"


#: From the worst to the best: what an itinerary takes from its bags.
WORST_FIRST = (
    JourneyState.EXCEPTION,
    JourneyState.DELAYED_OR_REROUTED,
    JourneyState.AT_RISK_FOR_CONNECTION,
    JourneyState.CHECKED_IN,
    JourneyState.IN_ORIGIN_PROCESSING,
    JourneyState.ON_FLIGHT,
    JourneyState.ARRIVED_AT_HUB,
    JourneyState.IN_TRANSFER_PROCESSING,
    JourneyState.LOADED_ON_NEXT_FLIGHT,
    JourneyState.ARRIVED_AT_DESTINATION,
    JourneyState.ON_CAROUSEL,
)
_BADNESS = {state: rank for rank, state in enumerate(WORST_FIRST)}


class Progress(NamedTuple):
    """How far a bag is: the default is a bag that no event has mentioned."""

    leg_index: int = 0
    stage: Stage = Stage.EXPECTED
    alarm: bool = False


#: Looks up a flight's schedule; None while it is not known.
Schedules = Callable[[str], FlightSchedule | None]


def connecting_leg(legs: tuple[Leg, ...], bag: Progress) -> Leg | None:
    """The leg that the bag has yet to be loaded on after another one, if there is one."""
    waiting = bag.leg_index > 0 and bag.stage < Stage.LOADED
    index = bag.leg_index if waiting else bag.leg_index + 1
    return legs[index] if index < len(legs) else None


def _connection(
    legs: tuple[Leg, ...], bag: Progress, schedules: Schedules
) -> tuple[Leg, FlightSchedule | None] | tuple[None, None]:
    """The connecting leg, if there is one, and its schedule, if it is known."""
    leg = connecting_leg(legs, bag)
    return (leg, schedules(leg.flight_id)) if leg else (None, None)


def bag_journey_state(legs: tuple[Leg, ...], bag: Progress, schedules: Schedules, now: datetime) -> JourneyState:
    """The journey state of a bag at `now`; the first rule that matches wins.

    A rule about a flight whose schedule is not known does not match.
    """
    if bag.alarm:
        return JourneyState.EXCEPTION
    connection, onward = _connection(legs, bag, schedules)
    if connection and onward:
        if now > onward.bag_cutoff_time:
            return JourneyState.DELAYED_OR_REROUTED
        made_up = (bag.leg_index, bag.stage) >= (connection.leg_index, Stage.MAKEUP)
        if not made_up and onward.bag_cutoff_time - now < TRANSFER_P90 + BUFFER:
            return JourneyState.AT_RISK_FOR_CONNECTION
    return _by_position(legs, bag, schedules, now)


def _by_position(legs: tuple[Leg, ...], bag: Progress, schedules: Schedules, now: datetime) -> JourneyState:
    """Rule 4: by leg and stage."""
    first, last = bag.leg_index == 0, bag.leg_index >= len(legs) - 1
    if bag.stage is Stage.CAROUSEL:
        return JourneyState.ON_CAROUSEL
    if bag.stage is Stage.OFFLOADED:
        return JourneyState.ARRIVED_AT_DESTINATION if last else JourneyState.IN_TRANSFER_PROCESSING
    if bag.stage is Stage.LOADED:
        if not first:
            return JourneyState.LOADED_ON_NEXT_FLIGHT
        flight = None if last else schedules(legs[0].flight_id)
        landed = flight is not None and now >= flight.arr_time
        return JourneyState.ARRIVED_AT_HUB if landed else JourneyState.ON_FLIGHT
    if not first:
        return JourneyState.IN_TRANSFER_PROCESSING
    return JourneyState.CHECKED_IN if bag.stage <= Stage.CHECKED_IN else JourneyState.IN_ORIGIN_PROCESSING


def next_deadline(legs: tuple[Leg, ...], bag: Progress, schedules: Schedules, now: datetime) -> datetime | None:
    """The next time after `now` at which a rule may change its answer without an event, or None."""
    times: list[datetime] = []
    _, onward = _connection(legs, bag, schedules)
    if onward:
        times += [onward.bag_cutoff_time - (TRANSFER_P90 + BUFFER), onward.bag_cutoff_time]
    inbound = schedules(legs[0].flight_id) if len(legs) > 1 and bag.leg_index == 0 else None
    if inbound:
        times.append(inbound.arr_time)
    # The rules compare strictly ("<", ">"): at the very instant they do not hold yet.
    return min((t + timedelta(milliseconds=1) for t in times if t >= now), default=None)


def recheck_period(legs: tuple[Leg, ...], bag: Progress, schedules: Schedules, now: datetime) -> timedelta | None:
    """How long the schedules may be left alone without an event, or None: they change the journey no more.

    A connection that has arrived, with the bag or without it, has no other schedule any more.
    """
    to_come = legs[min(bag.leg_index, len(legs) - 1) :]
    if any(schedules(leg.flight_id) is None for leg in to_come):
        return RECHECK
    connection, onward = _connection(legs, bag, schedules)
    if connection is None or (onward and now >= onward.arr_time):
        return None
    deadline = next_deadline(legs, bag, schedules, now)
    return RECHECK_FAR if deadline and deadline - now > FAR else RECHECK


class BagJourney(msgspec.Struct, frozen=True, array_like=True):
    """Where one bag of an itinerary is.

    `flight_id` is the flight of its leg, and `connection` the later flight that it has yet to be loaded on, or empty.
    """

    journey_state: JourneyState
    leg_index: int
    flight_id: str = ""
    connection: str = ""


def bag_journey(legs: tuple[Leg, ...], bag: Progress, schedules: Schedules, now: datetime) -> BagJourney:
    """The journey of a bag at `now`."""
    connection = connecting_leg(legs, bag)
    return BagJourney(
        journey_state=bag_journey_state(legs, bag, schedules, now),
        leg_index=bag.leg_index,
        flight_id=legs[min(bag.leg_index, len(legs) - 1)].flight_id,
        connection=connection.flight_id if connection else "",
    )


class ItineraryState(msgspec.Struct, frozen=True):
    """The state of an itinerary, without the time of its making."""

    itinerary_id: str
    customer_id: str
    bags_total: int
    journey_state: JourneyState
    current_leg_index: int
    risk_flag: bool
    bags: dict[str, BagJourney]


def itinerary_state(
    itinerary_id: str, customer_id: str, bags_total: int, bags: Mapping[str, BagJourney]
) -> ItineraryState:
    """The itinerary takes its worst bag; of several such bags, the one on the earliest leg.

    `bags` may hold fewer than `bags_total`: the others have not been heard of and are not advanced at all.
    """
    known = list(bags.values())
    if len(known) < bags_total:
        known.append(BagJourney(JourneyState.CHECKED_IN, 0))
    worst = min(known, key=lambda bag: (_BADNESS[bag.journey_state], bag.leg_index))
    return ItineraryState(
        itinerary_id=itinerary_id,
        customer_id=customer_id,
        bags_total=bags_total,
        journey_state=worst.journey_state,
        current_leg_index=worst.leg_index,
        risk_flag=any(bag.journey_state is JourneyState.AT_RISK_FOR_CONNECTION for bag in known),
        bags=dict(sorted(bags.items())),
    )


class ItineraryStatus(Record, frozen=True, kw_only=True):
    """A row of itinerary_status; `details_json` is a JSON object: bag id to the fields of `BagJourney`."""

    ts: Time
    itinerary_id: Text
    customer_id: Text
    bags_total: int
    journey_state: JourneyState
    current_leg_index: int
    risk_flag: bool
    details_json: str

    def key(self) -> str:
        """The itinerary."""
        return self.itinerary_id


def itinerary_status(state: ItineraryState, now: datetime) -> ItineraryStatus:
    """The row that says the state of an itinerary."""
    details = {bag_id: msgspec.structs.asdict(bag) for bag_id, bag in state.bags.items()}
    return ItineraryStatus(
        ts=now,
        itinerary_id=state.itinerary_id,
        customer_id=state.customer_id,
        bags_total=state.bags_total,
        journey_state=state.journey_state,
        current_leg_index=state.current_leg_index,
        risk_flag=state.risk_flag,
        details_json=msgspec.json.encode(details).decode(),
    )
