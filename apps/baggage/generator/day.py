"""One day as records: schedules, assignments, events and the truth, each with the time at which it is published."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import NamedTuple
from uuid import UUID, uuid5

import numpy as np
import numpy.typing as npt

from baggage.domain.events import BaggageEvent
from baggage.domain.records import Record
from baggage.domain.schedule import RETENTION
from baggage.domain.stages import EventType
from baggage.domain.truth import Injection, Truth
from baggage.generator.distributions import Floats
from baggage.generator.imperfections import Observed, observe
from baggage.generator.journeys import EVENT_TYPES, Journeys, Scans, travel
from baggage.generator.plan import NO_FLIGHT, DayPlan, plan_day
from baggage.provision.topics import ASSIGNMENT, EVENTS, SCHEDULE, TRUTH, Topic
from baggage.settings import GeneratorSettings

#: Schedules and assignments are published this long before their day begins.
AHEAD = timedelta(days=1)

# The last scan of a bag, at its carousel, is over this long after its last flight has arrived, however late it is sent.
_LAST_SCANS = timedelta(hours=1)

_NAMESPACE = UUID("6f2b4f0e-2f6c-5d0f-9c37-0d3a54f1a3b8")
_AREA = {
    EventType.CHECKED_IN: "CHECKIN",
    EventType.INDUCTED: "INDUCTION",
    EventType.SCREENED_CLEARED: "SCREENING",
    EventType.SCREENED_ALARM: "SCREENING",
    EventType.MAKEUP_ARRIVED: "MAKEUP",
    EventType.LOADED_ON_AIRCRAFT: "RAMP",
    EventType.OFFLOADED: "RAMP",
    EventType.CAROUSEL_ARRIVED: "CAROUSEL",
    EventType.TRANSFER_IN: "TRANSFER",
    EventType.REASSOCIATED_TO_NEXT_LEG: "TRANSFER",
}
# By hand where bags are handed over, by laser in the halls, by RFID on the belts.
_READER = {
    EventType.CHECKED_IN: ("LASER", 0.999),
    EventType.LOADED_ON_AIRCRAFT: ("HANDHELD", 0.97),
    EventType.OFFLOADED: ("HANDHELD", 0.97),
}
_BELT_READER = ("RFID", 0.99)
_ARRIVING = {EventType.OFFLOADED, EventType.CAROUSEL_ARRIVED, EventType.TRANSFER_IN}


class Publication(NamedTuple):
    """A record to publish at `when`; `record` None is a tombstone."""

    when: datetime
    topic: Topic
    key: str
    record: Record | None


class Day:
    """The records of one day's plan; deterministic for (seed, day)."""

    def __init__(self, settings: GeneratorSettings, day: date) -> None:
        self.plan: DayPlan = plan_day(settings, day)
        self.journeys: Journeys = travel(settings, self.plan)
        self.observed: Observed = observe(settings, self.plan, self.journeys)
        self._repeated = np.flatnonzero(~np.isnan(self.observed.repeat))
        ingest, repeat = self.observed.ingest, self.observed.repeat[self._repeated]
        scan = np.concatenate([np.arange(ingest.size), self._repeated])
        minute = np.concatenate([ingest, repeat])
        order = np.argsort(minute, kind="stable")
        # (n_publications,) each: the minute and the scan of every event to publish, the repeated ones twice.
        self._minute, self._scan = minute[order], scan[order]

    def announced(self) -> datetime:
        """When schedules and assignments are published."""
        return self.plan.midnight - AHEAD

    def schedules(self, when: datetime) -> Iterator[Publication]:
        """The flights of the day that are known and not forgotten at `when`, published then."""
        if when > self.announced():
            yield from self._schedules(when)

    def assignments(self, when: datetime) -> Iterator[Publication]:
        """The assignments of the bags whose journey is known and not over at `when`, published then."""
        if when > self.announced():
            yield from self._assignments(when)

    def _announcement(self) -> Iterator[Publication]:
        yield from self._schedules(self.announced())
        yield from self._assignments(self.announced())

    def _schedules(self, when: datetime) -> Iterator[Publication]:
        for flight, planned in enumerate(self.plan.flights):
            if self.plan.at(planned.arr) + RETENTION > when:
                schedule = self.plan.schedule(flight)
                yield Publication(when, SCHEDULE, schedule.key(), schedule)

    def _assignments(self, when: datetime) -> Iterator[Publication]:
        for bag in np.flatnonzero(self._on_their_way(when)):
            assignment = self.plan.assignment(int(bag))
            yield Publication(when, ASSIGNMENT, assignment.key(), assignment)

    def history(self, when: datetime) -> Iterator[Publication]:
        """The events before `when` of the bags whose journey is not over then."""
        high = int(np.searchsorted(self._minute, self._minutes(when)))
        scans = self._scan[:high]
        for index in np.flatnonzero(self._on_their_way(when)[self.observed.scans.bag[scans]]):
            event = self.event(int(scans[index]))
            yield Publication(self.plan.at(self._minute[index]), EVENTS, event.key(), event)

    def _on_their_way(self, when: datetime) -> npt.NDArray[np.bool_]:
        """(n_bags,): whether scans of the bag may come after `when`."""
        return self._last_arrival > self._minutes(when - _LAST_SCANS)

    def publications(self, start: datetime, end: datetime) -> list[Publication]:
        """What the day publishes from `start` until before `end`, in order of time."""
        found: list[Publication] = []
        if start <= self.announced() < end:
            found += self._announcement()
        found += self._events(start, end)
        found += self._truths(start, end)
        found += self._tombstones(start, end)
        found.sort(key=lambda publication: publication.when)
        return found

    def _events(self, start: datetime, end: datetime) -> Iterator[Publication]:
        low, high = np.searchsorted(self._minute, [self._minutes(start), self._minutes(end)])
        for index in range(low, high):
            event = self.event(int(self._scan[index]))
            yield Publication(self.plan.at(self._minute[index]), EVENTS, event.key(), event)

    def _minutes(self, when: datetime) -> float:
        # Times are published in whole seconds: the window must cut where they round.
        return ((when - self.plan.midnight).total_seconds() - 0.5) / 60

    def event(self, scan: int) -> BaggageEvent:
        """The event of a scan, numbered in order of event time."""
        scans, plan = self.observed.scans, self.plan
        bag, leg, kind = int(scans.bag[scan]), int(scans.leg[scan]), EVENT_TYPES[scans.code[scan]]
        flight = plan.flights[plan.first[bag] if leg == 0 else plan.second[bag]]
        event_id = self.event_id(scans, scan)
        reader, confidence = _READER.get(kind, _BELT_READER)
        airport = flight.dest if kind in _ARRIVING else flight.origin
        attributes = {}
        if kind in (EventType.SCREENED_CLEARED, EventType.SCREENED_ALARM):
            attributes["security_result"] = "CLEARED" if kind is EventType.SCREENED_CLEARED else "ALARM"
        elif kind in (EventType.LOADED_ON_AIRCRAFT, EventType.OFFLOADED):
            attributes["container_id"] = f"AKE{10000 + bag // 30 % 90000}{flight.flight_id[:2]}"
        return BaggageEvent(
            event_id=event_id,
            bag_id=plan.bag_id(bag),
            itinerary_id=plan.itinerary_id(bag),
            customer_id=plan.customer_id(bag),
            flight_id=flight.flight_id,
            leg_index=leg,
            airport=airport,
            event_type=kind,
            event_time=plan.at(scans.minute[scan]),
            ingest_time=plan.at(self.observed.ingest[scan]),
            scan_point_id=f"{airport}_{_AREA[kind]}_{event_id.int % 16 + 1:02d}",
            reader_type=reader,
            confidence=confidence,
            attributes=attributes,
        )

    def event_id(self, scans: Scans, scan: int) -> UUID:
        """The id of a scan's event: the same in every run."""
        kind = EVENT_TYPES[scans.code[scan]]
        return uuid5(_NAMESPACE, f"{self.plan.seed}|{self.plan.bag_id(int(scans.bag[scan]))}|{scans.leg[scan]}|{kind}")

    def truths(self) -> Iterator[Truth]:
        """Everything that was injected into the day."""
        observed, journeys = self.observed, self.journeys
        for scan in np.flatnonzero(observed.delayed):
            yield self._truth(Injection.DELAY, observed.scans, int(scan), float(observed.ingest[scan]))
        for scan in self._repeated:
            yield self._truth(Injection.DUPLICATE, observed.scans, int(scan), float(observed.repeat[scan]))
        for scan in range(observed.missing.bag.size):
            yield self._truth(Injection.MISSING_SCAN, observed.missing, scan, float(observed.missing.minute[scan]))
        for bag in journeys.missed:
            yield self._bag_truth(Injection.MISSED_CONNECTION, int(bag), 1)
        for bag in journeys.alarmed:
            yield self._bag_truth(Injection.ALARM, int(bag), 0)
        for bag in journeys.late:
            yield self._bag_truth(Injection.LATE_LOAD, int(bag), 0)

    def _truths(self, start: datetime, end: datetime) -> Iterator[Publication]:
        known = self._all_truths
        low, high = (bisect_left(known, when, key=lambda truth: truth.at) for when in (start, end))
        for truth in known[low:high]:
            yield Publication(truth.at, TRUTH, truth.key(), truth)

    @cached_property
    def _all_truths(self) -> list[Truth]:
        return sorted(self.truths(), key=lambda truth: truth.at)

    def _truth(self, injection: Injection, scans: Scans, scan: int, minute: float) -> Truth:
        bag, leg = int(scans.bag[scan]), int(scans.leg[scan])
        subject = f"{self.plan.bag_id(bag)}|{leg}|{EVENT_TYPES[scans.code[scan]]}"
        return self._about(injection, subject, bag, leg, minute)

    def _bag_truth(self, injection: Injection, bag: int, leg: int) -> Truth:
        """A truth about a bag as a whole; known when its flight closes."""
        flight = self.plan.flights[self.plan.first[bag] if leg == 0 else self.plan.second[bag]]
        return self._about(injection, f"{self.plan.bag_id(bag)}|{leg}", bag, leg, flight.cutoff)

    def _about(self, injection: Injection, subject: str, bag: int, leg: int, minute: float) -> Truth:
        flight = self.plan.flights[self.plan.first[bag] if leg == 0 else self.plan.second[bag]]
        return Truth(
            injection=injection,
            subject=subject,
            bag_id=self.plan.bag_id(bag),
            itinerary_id=self.plan.itinerary_id(bag),
            flight_id=flight.flight_id,
            at=self.plan.at(minute),
        )

    @cached_property
    def _last_arrival(self) -> Floats:
        """(n_bags,): when the last flight of each bag arrives, in minutes since midnight."""
        plan = self.plan
        arrivals = np.array([flight.arr for flight in plan.flights])
        last: Floats = arrivals[np.where(plan.second == NO_FLIGHT, plan.first, plan.second)]
        return last

    def _tombstones(self, start: datetime, end: datetime) -> Iterator[Publication]:
        """The deletion of what is over."""
        low, high = self._minutes(start - RETENTION), self._minutes(end - RETENTION)
        for planned in self.plan.flights:
            if low <= planned.arr < high:
                yield Publication(self.plan.at(planned.arr) + RETENTION, SCHEDULE, planned.flight_id, None)
        for bag in np.flatnonzero((low <= self._last_arrival) & (self._last_arrival < high)):
            when = self.plan.at(self._last_arrival[bag]) + RETENTION
            yield Publication(when, ASSIGNMENT, self.plan.bag_id(int(bag)), None)
