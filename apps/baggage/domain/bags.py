"""The state of a bag as a join over its events (specification section 5.1; design: State is a join, Legs)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import reduce
from uuid import UUID

import msgspec

from baggage.domain.events import BaggageEvent
from baggage.domain.records import FlightId, LegIndex, Record, RecordError, Text, Time, parser
from baggage.domain.schedule import RETENTION
from baggage.domain.stages import EventType, Stage, stage_of

_RETENTION_SECONDS = int(RETENTION.total_seconds())


class BagState(msgspec.Struct, frozen=True, array_like=True):
    """What the events of one bag say together.

    Every part is a maximum, so that order, duplication and replay of events cannot change the result:
    `position` is the furthest (leg, stage, flight), `last_seen` the latest (event time, scan point), `owner` the
    (itinerary, customer), and `alarm` tells whether a screening alarm was ever seen.
    """

    position: tuple[int, Stage, str]
    last_seen: tuple[datetime, str]
    owner: tuple[str, str]
    alarm: bool

    @classmethod
    def of(cls, event: BaggageEvent) -> BagState:
        """What one event says."""
        return cls(
            (event.leg_index, stage_of(event.event_type), event.flight_id),
            (event.event_time, event.scan_point_id),
            (event.itinerary_id, event.customer_id),
            event.event_type is EventType.SCREENED_ALARM,
        )

    def join(self, other: BagState) -> BagState:
        """The least upper bound: a later leg or stage moves forward, an earlier one is ignored."""
        return BagState(
            max(self.position, other.position),
            max(self.last_seen, other.last_seen),
            max(self.owner, other.owner),
            self.alarm or other.alarm,
        )


def bag_state(events: Iterable[BaggageEvent]) -> BagState:
    """The state of a bag after at least one event, in any order."""
    return reduce(BagState.join, map(BagState.of, events))


class BagLatest(Record, frozen=True, kw_only=True):
    """A record of baggage.bag.latest.v1 and a row of bag_latest; `ts` is when it was made."""

    ts: Time
    bag_id: Text
    itinerary_id: Text
    customer_id: Text
    flight_id: FlightId
    leg_index: LegIndex
    stage: str
    last_scan_point: Text
    last_event_time: Time
    alarm: bool

    def key(self) -> str:
        """The bag."""
        return self.bag_id

    def check(self) -> None:
        """The stage is one of `Stage`."""
        if self.stage not in Stage.__members__:
            raise RecordError("stage", f"Invalid enum value {self.stage!r}")


def bag_latest(bag_id: str, state: BagState, now: datetime) -> BagLatest:
    """The record that says the state of a bag."""
    leg_index, stage, flight_id = state.position
    last_event_time, last_scan_point = state.last_seen
    itinerary_id, customer_id = state.owner
    return BagLatest(
        ts=now,
        bag_id=bag_id,
        itinerary_id=itinerary_id,
        customer_id=customer_id,
        flight_id=flight_id,
        leg_index=leg_index,
        stage=stage.name,
        last_scan_point=last_scan_point,
        last_event_time=last_event_time,
        alarm=state.alarm,
    )


parse_bag_latest = parser(BagLatest)


class Bag(msgspec.Struct, array_like=True):
    """All that is kept of a bag, in one value that can be packed (specification section 6.1: state, and dedupe).

    `touched` is when its state changed last. `seen` holds the events of the last 48 hours, oldest first: eight of the
    sixteen bytes of the id, which is enough among the events of one bag, to the second in which it came.
    """

    state: BagState | None = None
    touched: datetime | None = None
    seen: dict[int, int] = {}

    def has_seen(self, event: BaggageEvent) -> bool:
        """Whether the event is a duplicate."""
        return _short(event.event_id) in self.seen

    def take(self, event: BaggageEvent, now: datetime) -> BagLatest | None:
        """Join an event that comes for the first time; return the record to say, if the state has changed."""
        second = int(now.timestamp())
        self._forget(second - _RETENTION_SECONDS)
        self.seen[_short(event.event_id)] = second
        state = BagState.of(event)
        if self.state is not None:
            state = self.state.join(state)
            if state == self.state:
                return None
        self.state, self.touched = state, now
        return bag_latest(event.bag_id, state, now)

    def expiry(self) -> datetime | None:
        """When the bag is let go unless there is news of it; None before there was any."""
        return None if self.touched is None else self.touched + RETENTION

    def _forget(self, second: int) -> None:
        """Forget the events that came in this second or before."""
        while self.seen:
            oldest = next(iter(self.seen))
            if self.seen[oldest] > second:
                return
            del self.seen[oldest]


def _short(event_id: UUID) -> int:
    return event_id.int & 0xFFFF_FFFF_FFFF_FFFF


pack_bag = msgspec.msgpack.Encoder().encode
unpack_bag = msgspec.msgpack.Decoder(Bag).decode
