"""The journey state of one bag (specification section 5.2; design: Journey state of a bag)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from baggage.domain.bags import BagFacts
from baggage.domain.schedule import FlightNews, FlightSchedule, Leg
from baggage.domain.stages import Stage

TRANSFER_P90 = timedelta(minutes=35)
BUFFER = timedelta(minutes=10)
#: The bounded out-of-orderness: for so long a late scan may still say that a bag was loaded.
LATE_SCANS = timedelta(minutes=10)


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


#: Looks up what is known of a flight; None while nothing is.
Flights = Callable[[str], FlightNews | None]


class BagJourney(msgspec.Struct, frozen=True):
    """Where one bag of an itinerary is.

    `flight_id` is the flight of its leg, and `connection` the later flight that it has yet to be loaded on, or empty.
    """

    journey_state: JourneyState
    leg_index: int
    flight_id: str = ""
    connection: str = ""


class Journey:
    """The journey of one bag along the legs of its assignment; `facts` None: no event has mentioned the bag yet.

    `cleared_ends_exception` is the setting BAGGAGE_RULES__CLEARED_ENDS_EXCEPTION.
    """

    def __init__(
        self, legs: tuple[Leg, ...], facts: BagFacts | None, flights: Flights, *, cleared_ends_exception: bool = False
    ) -> None:
        self._legs, self._facts, self._flights = legs, facts, flights
        self._leg_index = facts.leg_index if facts else 0
        self._stage = facts.stage if facts else Stage.EXPECTED
        self._cleared_ends_exception = cleared_ends_exception
        # The leg that the bag has yet to be loaded on, the first one, too; and the same after another leg.
        to_load = self._leg_index if self._stage < Stage.LOADED else self._leg_index + 1
        self._leg_to_load, self._connection = self._leg_at(to_load), self._leg_at(max(to_load, 1))
        self._onward = self._schedule(self._connection)
        self._first = self._schedule(legs[0])

    def at(self, now: datetime) -> BagJourney:
        """Where the bag is at `now`."""
        return BagJourney(
            journey_state=self.state(now),
            leg_index=self._leg_index,
            flight_id=self._leg.flight_id,
            connection=self._connection.flight_id if self._connection else "",
        )

    def state(self, now: datetime) -> JourneyState:
        """The journey state at `now`: of the design's rules the first that matches.

        A rule about a flight whose schedule is not known does not match.
        """
        if self._is_exception():
            return JourneyState.EXCEPTION
        if self._is_rerouted() or self._is_on_a_cancelled_flight() or self._has_missed_its_connection(now):
            return JourneyState.DELAYED_OR_REROUTED
        if self._is_at_risk(now):
            return JourneyState.AT_RISK_FOR_CONNECTION
        if self._is_left_behind(now):
            return JourneyState.DELAYED_OR_REROUTED
        return self._by_leg_and_stage(now)

    def next_deadline(self, now: datetime) -> datetime | None:
        """The next time after `now` at which a rule may change its answer without any news, or None."""
        times: list[datetime] = []
        if self._onward:
            times += [self._onward.bag_cutoff_time - (TRANSFER_P90 + BUFFER), self._onward.bag_cutoff_time]
        if self._first and self._leg_index == 0:
            times += [self._first.dep_time + LATE_SCANS, self._first.arr_time]
        # The rules compare strictly ("<", ">"): at the very instant they do not match yet.
        return min((t + timedelta(milliseconds=1) for t in times if t >= now), default=None)

    @property
    def _leg(self) -> Leg:
        """The leg that the bag is on; the last one for a bag that has come further than its assignment says."""
        return self._legs[min(self._leg_index, len(self._legs) - 1)]

    def _leg_at(self, index: int) -> Leg | None:
        return self._legs[index] if index < len(self._legs) else None

    def _schedule(self, leg: Leg | None) -> FlightSchedule | None:
        news = self._flights(leg.flight_id) if leg else None
        return news.schedule if news else None

    def _is_exception(self) -> bool:
        """Rule 1: a screening alarm, for good or until it is cleared."""
        if self._facts is None or not self._facts.is_alarmed:
            return False
        return not (self._cleared_ends_exception and self._facts.is_cleared)

    def _is_rerouted(self) -> bool:
        """Rule 2: seen last at an airport of none of its legs, or loaded last, on its leg, on another flight."""
        if self._facts is None:
            return False
        if not any(self._facts.newest.airport in (leg.origin, leg.dest) for leg in self._legs):
            return True
        loaded = self._facts.loaded
        if loaded is None or loaded.leg_index != self._leg_index:
            return False
        return loaded.flight_id != self._leg.flight_id

    def _is_on_a_cancelled_flight(self) -> bool:
        """Rule 3: a flight that it has yet to be loaded on is cancelled, the one after it or the first one."""
        legs = (self._leg_to_load, self._connection)
        news = (self._flights(leg.flight_id) for leg in legs if leg)
        return any(known is not None and known.is_cancelled for known in news)

    def _has_missed_its_connection(self, now: datetime) -> bool:
        """Rule 4: past the cutoff of the next leg, and not loaded on it."""
        return self._onward is not None and now > self._onward.bag_cutoff_time

    def _is_at_risk(self, now: datetime) -> bool:
        """Rule 5: not up to MAKEUP on the next leg, with less than 45 minutes to its cutoff."""
        if self._connection is None or self._onward is None:
            return False
        made_up = (self._leg_index, self._stage) >= (self._connection.leg_index, Stage.MAKEUP)
        return not made_up and self._onward.bag_cutoff_time - now < TRANSFER_P90 + BUFFER

    def _is_left_behind(self, now: datetime) -> bool:
        """Rule 6: not loaded on its first flight, which has departed."""
        not_loaded = self._leg_index == 0 and self._stage < Stage.LOADED
        return not_loaded and self._first is not None and now > self._first.dep_time + LATE_SCANS

    def _by_leg_and_stage(self, now: datetime) -> JourneyState:
        """Rule 7."""
        first, last = self._leg_index == 0, self._leg_index >= len(self._legs) - 1
        if self._stage is Stage.CAROUSEL:
            return JourneyState.ON_CAROUSEL
        if self._stage is Stage.OFFLOADED:
            return JourneyState.ARRIVED_AT_DESTINATION if last else JourneyState.IN_TRANSFER_PROCESSING
        if self._stage is Stage.LOADED:
            if not first:
                return JourneyState.LOADED_ON_NEXT_FLIGHT
            landed = not last and self._first is not None and now >= self._first.arr_time
            return JourneyState.ARRIVED_AT_HUB if landed else JourneyState.ON_FLIGHT
        if not first:
            return JourneyState.IN_TRANSFER_PROCESSING
        return JourneyState.CHECKED_IN if self._stage <= Stage.CHECKED_IN else JourneyState.IN_ORIGIN_PROCESSING
