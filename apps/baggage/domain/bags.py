"""The state of a bag as a join over its events (specification section 5.1; design: Facts of a bag).

Each fact is a maximum, so order, duplication and replay of events cannot change the result. A fact also has a text
that sorts as the fact does, so that whoever can take the maximum of texts can join facts: Flink does it in SQL.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import reduce
from typing import TypeVar

import msgspec

from baggage.domain.events import BaggageEvent
from baggage.domain.records import (
    MAX_LEG_INDEX,
    Airport,
    Count,
    FlightId,
    LegIndex,
    Record,
    RecordError,
    Text,
    Time,
    parser,
)
from baggage.domain.stages import EventType, Stage, stage_of

#: The texts of facts begin with a sort key, whose parts have these lengths: the leg, and a time in microseconds.
LEG_DIGITS = 3
TIME_CHARACTERS = len("2026-01-04T10:00:00.000000")
STAGE_DIGITS = 1

# Every event makes these texts: to look them up costs a fifth of what it costs to format them.
_LEG_TEXTS = [f"{leg:0{LEG_DIGITS}}" for leg in range(MAX_LEG_INDEX + 1)]
_STAGE_TEXTS = {stage: f"{stage:d}{stage.name}" for stage in Stage}
_encode = msgspec.json.Encoder().encode


class Reached(msgspec.Struct, frozen=True, order=True):
    """The furthest leg, and the furthest stage on it."""

    leg_index: LegIndex
    stage: Stage

    def text(self) -> str:
        """Its text: the sort key, then the name of the stage."""
        return _LEG_TEXTS[self.leg_index] + _STAGE_TEXTS[self.stage]


class Sighting(msgspec.Struct, frozen=True):
    """On the furthest leg: where and when the bag was seen last, on the way to which flight, and whose bag it is."""

    leg_index: LegIndex
    last_event_time: Time
    flight_id: FlightId
    last_scan_point: Text
    airport: Airport
    itinerary_id: Text
    customer_id: Text
    bag_id: Text

    def text(self) -> str:
        """Its text: the sort key, then the fact in JSON."""
        return _text(self, self.leg_index, self.last_event_time)


class Loading(msgspec.Struct, frozen=True, order=True):
    """When the bag was put on board last, and of which flight."""

    leg_index: LegIndex
    time: Time
    flight_id: FlightId

    def text(self) -> str:
        """Its text: the sort key, then the fact in JSON."""
        return _text(self, self.leg_index, self.time)


class Removal(msgspec.Struct, frozen=True, order=True):
    """When the bag was taken off before departure last."""

    leg_index: LegIndex
    time: Time

    def text(self) -> str:
        """Its text: the sort key, then the fact in JSON."""
        return _text(self, self.leg_index, self.time)


F = TypeVar("F", datetime, Loading, Removal)


class BagFacts(msgspec.Struct, frozen=True):
    """What the events of one bag say together. `alarmed` and `cleared` are the times of the last such screening."""

    reached: Reached
    newest: Sighting
    loaded: Loading | None = None
    removed: Removal | None = None
    alarmed: datetime | None = None
    cleared: datetime | None = None

    @classmethod
    def of(cls, event: BaggageEvent, latest: datetime | None = None) -> BagFacts:
        """What one event says. A time after `latest` is that of a clock that runs ahead, and counts as `latest`."""
        leg, kind, flight = event.leg_index, event.event_type, event.flight_id
        time = event.event_time if latest is None or event.event_time <= latest else latest
        removed = kind is EventType.OFFLOADED and event.airport == origin_of(flight)
        return cls(
            reached=Reached(leg, Stage.EXPECTED if removed else stage_of(kind)),
            newest=Sighting(
                leg,
                time,
                flight,
                event.scan_point_id,
                event.airport,
                event.itinerary_id,
                event.customer_id,
                event.bag_id,
            ),
            loaded=Loading(leg, time, flight) if kind is EventType.LOADED_ON_AIRCRAFT else None,
            removed=Removal(leg, time) if removed else None,
            alarmed=time if kind is EventType.SCREENED_ALARM else None,
            cleared=time if kind is EventType.SCREENED_CLEARED else None,
        )

    def join(self, other: BagFacts) -> BagFacts:
        """The least upper bound of two sets of facts: of each fact the later one."""
        return BagFacts(
            reached=max(self.reached, other.reached),
            newest=_later_sighting(self.newest, other.newest),
            loaded=_later(self.loaded, other.loaded),
            removed=_later(self.removed, other.removed),
            alarmed=_later(self.alarmed, other.alarmed),
            cleared=_later(self.cleared, other.cleared),
        )

    @property
    def leg_index(self) -> int:
        """The leg that the bag is on."""
        return self.reached.leg_index

    @property
    def stage(self) -> Stage:
        """The stage on its leg: back at MAKEUP if it was taken off after it was loaded last."""
        removed, loaded = self.removed, self.loaded
        if removed is None or removed.leg_index != self.reached.leg_index:
            return self.reached.stage
        if loaded and (loaded.leg_index, loaded.time) >= (removed.leg_index, removed.time):
            return self.reached.stage
        return Stage.MAKEUP

    @property
    def is_alarmed(self) -> bool:
        """Whether a screening alarm was ever seen."""
        return self.alarmed is not None

    @property
    def is_cleared(self) -> bool:
        """Whether the last alarm was followed by a clearance."""
        return self.alarmed is not None and self.cleared is not None and self.cleared >= self.alarmed


def bag_facts(events: Iterable[BaggageEvent]) -> BagFacts:
    """The facts of a bag after at least one event, in any order."""
    return reduce(BagFacts.join, map(BagFacts.of, events))


def origin_of(flight_id: str) -> str:
    """The airport where a flight departs."""
    return flight_id[-len("LHR->AMS") : -len("->AMS")]


def time_text(time: datetime) -> str:
    """A time in UTC as RFC 3339 of constant length, which sorts as the time does."""
    return f"{_time_key(time)}Z"


def _time_key(time: datetime) -> str:
    # JSON has no fraction of whole seconds. `isoformat` would say the same and cost six times as much.
    text = _encode(time).decode()[1:-2]
    return text if len(text) == TIME_CHARACTERS else f"{text}.000000"


def _text(fact: msgspec.Struct, leg_index: int, time: datetime) -> str:
    return f"{_LEG_TEXTS[leg_index]}{_time_key(time)}{_encode(fact).decode()}"


def _later_sighting(one: Sighting, other: Sighting) -> Sighting:
    if one.leg_index == other.leg_index and one.last_event_time == other.last_event_time:
        return max(one, other, key=_encode)
    return max(one, other, key=lambda sighting: (sighting.leg_index, sighting.last_event_time))


def _later(one: F | None, other: F | None) -> F | None:
    if one is None or other is None:
        return one if other is None else other
    return max(one, other)


class BagLatest(Record, frozen=True, kw_only=True):
    """A record of baggage.bag.latest.v1, and a row of bag_latest: the state of a bag, and the facts behind it.

    `ts` is when the newest of its events was processed, `arrived` when it had come by the clocks of both its sender
    and the broker, `stage` where the bag is, `reached` the furthest that it was, and `source`
    the partition of its events.
    """

    ts: Time
    arrived: Time
    stage: str
    reached: str
    loaded: Loading | None
    removed: Removal | None
    alarmed: Time | None
    cleared: Time | None
    source: Count
    leg_index: LegIndex
    last_event_time: Time
    flight_id: FlightId
    last_scan_point: Text
    airport: Airport
    itinerary_id: Text
    customer_id: Text
    bag_id: Text

    def key(self) -> str:
        """The bag."""
        return self.bag_id

    def check(self) -> None:
        """Both stages are of `Stage`."""
        for name in ("stage", "reached"):
            if getattr(self, name) not in Stage.__members__:
                raise RecordError(name, f"Invalid enum value {getattr(self, name)!r}")

    @property
    def facts(self) -> BagFacts:
        """The facts that a reader joins."""
        return BagFacts(
            reached=Reached(self.leg_index, Stage[self.reached]),
            newest=Sighting(
                self.leg_index,
                self.last_event_time,
                self.flight_id,
                self.last_scan_point,
                self.airport,
                self.itinerary_id,
                self.customer_id,
                self.bag_id,
            ),
            loaded=self.loaded,
            removed=self.removed,
            alarmed=self.alarmed,
            cleared=self.cleared,
        )


def bag_latest(facts: BagFacts, arrived: datetime, now: datetime, source: int = 0) -> BagLatest:
    """The record that says the state of a bag."""
    return BagLatest(
        ts=now,
        arrived=arrived,
        stage=facts.stage.name,
        reached=facts.reached.stage.name,
        loaded=facts.loaded,
        removed=facts.removed,
        alarmed=facts.alarmed,
        cleared=facts.cleared,
        source=source,
        **msgspec.structs.asdict(facts.newest),
    )


parse_bag_latest = parser(BagLatest)
