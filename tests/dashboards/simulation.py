"""What the jobs would write of generated days, row by row and without servers: `baggage.domain` on the generator's
records, each processed in the second of its publication."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import heappop, heappush
from typing import Any

import msgspec

from baggage.domain.alerts import Alert, evaluate
from baggage.domain.bags import BagState, bag_latest
from baggage.domain.events import BaggageEvent
from baggage.domain.journey import (
    BagJourney,
    ItineraryState,
    Progress,
    bag_journey,
    itinerary_state,
    itinerary_status,
    next_deadline,
)
from baggage.domain.kpis import KPI_INTERVAL, StageCounts, flight_kpi, freshness, is_active, tick_at_or_after
from baggage.domain.notifications import notification
from baggage.domain.schedule import Assignment, FlightSchedule
from baggage.domain.stages import Stage, stage_of
from baggage.generator.day import Publication
from baggage.generator.publications import Calendar
from baggage.provision.topics import ASSIGNMENT, EVENTS, SCHEDULE

#: Takes a row of a table, as JSON.
Write = Callable[[str, bytes], None]
_SECOND = timedelta(seconds=1)


@dataclass
class _Itinerary:
    bags: dict[str, BagJourney]
    said: ItineraryState | None = None
    said_at: datetime | None = None
    notifications: int = 0


class Simulation:
    """Everything that is known at `now`, and how a publication or the time changes it."""

    def __init__(self, start: datetime, write: Write) -> None:
        self._write = write
        self._tick = tick_at_or_after(start)
        self._newest_ingest = start
        self._schedules: dict[str, FlightSchedule] = {}
        self._flights: dict[str, dict[str, Stage]] = defaultdict(dict)
        self._counts: dict[str, StageCounts] = defaultdict(StageCounts)
        self._assignments: dict[str, Assignment] = {}
        self._bags: dict[str, BagState] = {}
        self._itineraries: dict[str, _Itinerary] = {}
        self._deadlines: list[tuple[datetime, str]] = []
        self._alerts: set[str] = set()

    def take(self, publication: Publication) -> None:
        """Let the time come to a publication, and take it."""
        self.advance(publication.when)
        key, record = publication.key, publication.record
        if publication.topic is EVENTS:
            assert isinstance(record, BaggageEvent)
            self._take_event(record, publication.when)
        elif publication.topic is SCHEDULE:
            if isinstance(record, FlightSchedule):
                self._schedules[key] = record
            else:
                self._schedules.pop(key, None)
                self._flights.pop(key, None)
                self._counts.pop(key, None)
        elif publication.topic is ASSIGNMENT:
            if isinstance(record, Assignment):
                self._assignments[key] = record
                self._evaluate(key, publication.when)
            else:
                self._bags.pop(key, None)
                if gone := self._assignments.pop(key, None):
                    self._itineraries.pop(gone.itinerary_id, None)

    def advance(self, when: datetime) -> None:
        """Do what the time brings before `when`: KPI ticks, alerts, and the deadlines of journeys."""
        while self._tick < when:
            self._pass_deadlines(self._tick)
            self._say_kpis(self._tick)
            self._tick += KPI_INTERVAL
        self._pass_deadlines(when)

    def _pass_deadlines(self, when: datetime) -> None:
        while self._deadlines and self._deadlines[0][0] <= when:
            deadline, bag_id = heappop(self._deadlines)
            if bag_id in self._assignments:
                self._evaluate(bag_id, deadline)

    def _say_kpis(self, tick: datetime) -> None:
        fresh = freshness(self._newest_ingest, tick)
        for flight_id, schedule in self._schedules.items():
            # The last row of a flight is the one at its departure.
            if not is_active(schedule, tick) and not is_active(schedule, tick - KPI_INTERVAL):
                continue
            kpi = flight_kpi(schedule, self._counts[flight_id], fresh, tick)
            self._write("flight_kpis", kpi.to_json())
            for alert in evaluate(kpi) if is_active(schedule, tick) else ():
                self._say_alert(alert)

    def _say_alert(self, alert: Alert) -> None:
        if alert.alert_id not in self._alerts:
            self._alerts.add(alert.alert_id)
            self._row(
                "alerts",
                created_at=alert.now,
                alert_id=alert.alert_id,
                flight_id=alert.flight_id,
                severity=alert.severity,
                rule_id=alert.rule_id,
                payload_json=alert.to_json().decode(),
            )

    def _take_event(self, event: BaggageEvent, now: datetime) -> None:
        self._newest_ingest = max(self._newest_ingest, event.ingest_time)
        stages = self._flights[event.flight_id]
        before, after = stages.get(event.bag_id, Stage.EXPECTED), stage_of(event.event_type)
        if after > before:
            stages[event.bag_id] = after
            self._counts[event.flight_id].move(before, after)
        known, state = self._bags.get(event.bag_id), BagState.of(event)
        state = known.join(state) if known else state
        if state == known:
            return
        self._bags[event.bag_id] = state
        self._write("bag_latest", bag_latest(event.bag_id, state, now).to_json())
        if event.bag_id in self._assignments:
            self._evaluate(event.bag_id, now)

    def _evaluate(self, bag_id: str, now: datetime) -> None:
        assignment, state = self._assignments[bag_id], self._bags.get(bag_id)
        progress = Progress(state.position[0], state.position[1], state.alarm) if state else Progress()
        if deadline := next_deadline(assignment.legs, progress, self._schedules.get, now):
            heappush(self._deadlines, (deadline, bag_id))
        journey = bag_journey(assignment.legs, progress, self._schedules.get, now)
        itinerary = self._itineraries.setdefault(assignment.itinerary_id, _Itinerary({}))
        if itinerary.bags.get(bag_id) == journey:
            return
        itinerary.bags[bag_id] = journey
        said, itinerary.said = (
            itinerary.said,
            itinerary_state(
                assignment.itinerary_id, assignment.customer_id, assignment.bags_in_itinerary, itinerary.bags
            ),
        )
        now = now.replace(microsecond=0)
        # The rows of an itinerary are a second apart, as its job writes them.
        itinerary.said_at = max(now, itinerary.said_at + _SECOND) if itinerary.said_at else now
        self._write("itinerary_status", itinerary_status(itinerary.said, itinerary.said_at).to_json())
        if said is None:
            return
        notice = notification(said.journey_state, itinerary.said, itinerary.notifications + 1, now)
        if notice:
            itinerary.notifications += 1
            self._row(
                "notifications",
                created_at=notice.created_at,
                notification_id=notice.notification_id,
                itinerary_id=notice.itinerary_id,
                customer_id=notice.customer_id,
                journey_state=notice.journey_state,
                payload_json=notice.to_json().decode(),
            )

    def _row(self, table: str, **columns: Any) -> None:
        self._write(table, msgspec.json.encode(columns))


def simulate(calendar: Calendar, start: datetime, end: datetime, write: Write) -> None:
    """Write every row from `start` until `end`; what is in force at `start` is published then, at once."""
    simulation = Simulation(start, write)
    for publication in _publications(calendar, start, end):
        simulation.take(publication)
    simulation.advance(end)


def _publications(calendar: Calendar, start: datetime, end: datetime) -> Iterator[Publication]:
    yield from calendar.schedules(start)
    # Events before assignments: no itinerary is late for a moment only because its bags are not there yet.
    yield from (publication._replace(when=start) for publication in calendar.history(start))
    yield from calendar.assignments(start)
    yield from calendar.publications(start, end)
