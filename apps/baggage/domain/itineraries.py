"""The state machine of an itinerary: its bags, rows and notifications (specification section 6.3; design: Journey)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from baggage.domain.bags import BagFacts
from baggage.domain.journey import BagJourney, Journey, JourneyState
from baggage.domain.notifications import Notification, Notified, notification_id
from baggage.domain.records import Record, Text, Time
from baggage.domain.schedule import RETENTION, STATE_RETENTION, Assignment, AssignmentNews, FlightNews, latest_arrival

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
_SEVERITY_RANK = {state: rank for rank, state in enumerate(WORST_FIRST)}
_ROW_INTERVAL = timedelta(seconds=1)


class ItineraryState(msgspec.Struct, frozen=True):
    """The state of an itinerary, without the time at which it was made."""

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

    `bags` is not empty, and may hold fewer than `bags_total`: the others have not been heard of and are not advanced
    at all.
    """
    known = list(bags.values())
    if len(known) < bags_total:
        known.append(BagJourney(JourneyState.CHECKED_IN, 0))
    worst = min(known, key=lambda bag: (_SEVERITY_RANK[bag.journey_state], bag.leg_index))
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
    return ItineraryStatus(
        ts=now,
        itinerary_id=state.itinerary_id,
        customer_id=state.customer_id,
        bags_total=state.bags_total,
        journey_state=state.journey_state,
        current_leg_index=state.current_leg_index,
        risk_flag=state.risk_flag,
        details_json=msgspec.json.encode(state.bags).decode(),
    )


class ItineraryNews(msgspec.Struct, frozen=True, kw_only=True):
    """What comes to an itinerary: of one of its bags, present or former; of one of its flights; or of itself.

    `arrived` is when it had come by all clocks, None: now.
    """

    arrived: datetime | None = None
    bag_id: str = ""
    facts: BagFacts | None = None
    assigned: AssignmentNews | None = None
    flight_id: str = ""
    flight: FlightNews | None = None
    notified: Notified | None = None


class ItineraryOutput(msgspec.Struct, frozen=True):
    """What there is to emit, and when to look again: at `wake_up` at the latest, None: only when there is news."""

    status: ItineraryStatus | None = None
    notification: Notification | None = None
    wake_up: datetime | None = None


class _Bag(msgspec.Struct):
    facts: BagFacts | None = None
    assigned: AssignmentNews | None = None


class Itinerary(msgspec.Struct):
    """All that is kept of an itinerary; a value that can be packed.

    `bags` are all that were ever assigned to it: those whose newest assignment names it are its own. `updated_at` is
    when its last news arrived, `last_arrival` the latest arrival that a schedule ever gave its flights. An itinerary
    that has expired keeps what was notified, so that versions never start again, and the offsets of the assignments of
    its `former_bags`: only a newer assignment brings it back.
    """

    itinerary_id: str
    bags: dict[str, _Bag] = {}
    flights: dict[str, FlightNews] = {}
    notified: Notified = Notified()
    emitted: ItineraryState | None = None
    emitted_at: datetime | None = None
    updated_at: datetime | None = None
    last_arrival: datetime | None = None
    former_bags: dict[str, int] = {}
    is_expired: bool = False

    def apply(self, news: ItineraryNews, now: datetime) -> bool:
        """Join news with what is known; return whether that changes anything."""
        if news.notified:
            if news.notified <= self.notified:
                return False
            self.notified = news.notified
        if self.is_expired:
            if news.assigned is None or news.assigned.offset <= self.former_bags.get(news.bag_id, -1):
                return news.notified is not None
            self.is_expired = False
        if news.bag_id:
            bag = self.bags.setdefault(news.bag_id, _Bag())
            if news.facts:
                bag.facts = bag.facts.join(news.facts) if bag.facts else news.facts
            if news.assigned and (bag.assigned is None or news.assigned.offset >= bag.assigned.offset):
                bag.assigned = news.assigned
        if news.flight:
            arrival = news.flight.schedule.arr_time if news.flight.schedule else None
            known = self.flights.get(news.flight_id)
            is_later = arrival is not None and (self.last_arrival is None or arrival > self.last_arrival)
            if known and known.offset >= news.flight.offset and not is_later:
                return False
            if is_later:
                self.last_arrival = arrival
            if known is None or known.offset < news.flight.offset:
                self.flights[news.flight_id] = news.flight
        arrived = news.arrived or now
        self.updated_at = max(self.updated_at, arrived) if self.updated_at else arrived
        return True

    def is_over(self, now: datetime) -> bool:
        """Whether it expired so long ago that nothing of it can come any more, and nothing need be kept."""
        return self.is_expired and self.updated_at is not None and now >= self.updated_at + STATE_RETENTION

    def evaluate(self, now: datetime, *, cleared_ends_exception: bool = False) -> ItineraryOutput:
        """What has changed by `now`, which is emitted once: a row, and a notification of another journey state."""
        if self.is_expired:
            return ItineraryOutput()
        own = self._own_bags()
        expiry = self._expiry(own)
        if expiry and now >= expiry:
            self._expire(now)
            return ItineraryOutput(wake_up=now + STATE_RETENTION)
        journeys = {
            bag_id: Journey(
                assignment.legs,
                self.bags[bag_id].facts,
                self.flights.get,
                cleared_ends_exception=cleared_ends_exception,
            )
            for bag_id, assignment in own.items()
        }
        deadlines = [deadline for journey in journeys.values() if (deadline := journey.next_deadline(now))]
        wake_up = min([*deadlines, *([expiry] if expiry else [])], default=None)
        state = self._state(own, {bag_id: journey.at(now) for bag_id, journey in journeys.items()})
        if state is None:
            return ItineraryOutput(wake_up=wake_up)
        status, notification = self._status(state, now), self._notification(state, now)
        return ItineraryOutput(status, notification, wake_up)

    def _own_bags(self) -> dict[str, Assignment]:
        """The bags whose newest assignment is to this itinerary."""
        return {
            bag_id: assignment
            for bag_id, bag in sorted(self.bags.items())
            if bag.assigned and (assignment := bag.assigned.assignment) and assignment.itinerary_id == self.itinerary_id
        }

    def _state(self, own: dict[str, Assignment], bags: dict[str, BagJourney]) -> ItineraryState | None:
        """The state, None for an itinerary that never had a bag. One that all bags have left keeps its last state."""
        if not bags:
            if self.emitted is None:
                return None
            return msgspec.structs.replace(self.emitted, bags_total=0, risk_flag=False, bags={})
        return itinerary_state(
            self.itinerary_id,
            max(assignment.customer_id for assignment in own.values()),
            max(assignment.bags_in_itinerary for assignment in own.values()),
            bags,
        )

    def _status(self, state: ItineraryState, now: datetime) -> ItineraryStatus | None:
        """The next row, None where the state stays as it was emitted last."""
        if state == self.emitted:
            return None
        self.emitted = state
        # The table's times are whole seconds: rows of one second would have no order, so each gets its own.
        emitted_at = now.replace(microsecond=0)
        if self.emitted_at is not None:
            emitted_at = max(emitted_at, self.emitted_at + _ROW_INTERVAL)
        self.emitted_at = emitted_at
        return itinerary_status(state, emitted_at)

    def _notification(self, state: ItineraryState, now: datetime) -> Notification | None:
        """The next notification, None where the journey state stays as it was notified last."""
        previous = self.notified
        if not state.bags or state.journey_state is previous.journey_state:
            return None
        self.notified = Notified(previous.version + 1, state.journey_state)
        return Notification(
            created_at=now,
            notification_id=notification_id(self.itinerary_id, state.journey_state, self.notified.version),
            itinerary_id=self.itinerary_id,
            customer_id=state.customer_id,
            previous_state=previous.journey_state,
            journey_state=state.journey_state,
            version=self.notified.version,
            bags_total=state.bags_total,
            current_leg_index=state.current_leg_index,
        )

    def _expiry(self, own: dict[str, Assignment]) -> datetime | None:
        """When nothing more is expected: 48 hours after the last arrival and after the last news."""
        scheduled = {flight_id for flight_id, news in self.flights.items() if news.schedule}
        unscheduled = {leg.flight_id for assignment in own.values() for leg in assignment.legs} - scheduled
        times = [self.updated_at, self.last_arrival, *map(latest_arrival, unscheduled)]
        last = max((time for time in times if time), default=None)
        return last + RETENTION if last else None

    def _expire(self, now: datetime) -> None:
        self.former_bags |= {bag_id: bag.assigned.offset for bag_id, bag in self.bags.items() if bag.assigned}
        self.bags, self.flights, self.emitted = {}, {}, None
        self.is_expired, self.updated_at = True, now
