"""What every table must hold: the topics' records through `baggage.domain`, with no stream processor in between."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from baggage.domain.bags import BagState, parse_bag_latest
from baggage.domain.events import parse_event
from baggage.domain.journey import (
    BagJourney,
    ItineraryState,
    Progress,
    bag_journey,
    itinerary_state,
)
from baggage.domain.kpis import StageCounts
from baggage.domain.records import RecordError
from baggage.domain.schedule import Assignment, FlightSchedule, is_done, parse_assignment, parse_schedule
from baggage.domain.stages import Stage, stage_of
from baggage.provision.topics import ASSIGNMENT, BAG_LATEST, EVENTS, SCHEDULE, Topic
from baggage.verify.topics import RawRecord


@dataclass
class Oracle:
    """The state of everything, record by record.

    `bags` by bag id, `stages` by flight id and bag id, `schedules`, `assignments`, and `refused`: the reason by dead
    letter id (topic|partition|offset) of each record that is not valid.
    """

    bags: dict[str, BagState] = field(default_factory=dict)
    stages: dict[str, dict[str, Stage]] = field(default_factory=dict)
    schedules: dict[str, FlightSchedule] = field(default_factory=dict)
    assignments: dict[str, Assignment] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    events: int = 0

    def take_events(self, records: Iterable[RawRecord]) -> None:
        """Take records of baggage.events.v1."""
        for record in records:
            try:
                event = parse_event(record.key, record.value)
            except RecordError as error:
                self._refuse(EVENTS, record, error)
                continue
            self.events += 1
            state, known = BagState.of(event), self.bags.get(event.bag_id)
            self.bags[event.bag_id] = known.join(state) if known else state
            flight = self.stages.setdefault(event.flight_id, {})
            flight[event.bag_id] = max(flight.get(event.bag_id, Stage.EXPECTED), stage_of(event.event_type))

    def take_schedules(self, records: Iterable[RawRecord]) -> None:
        """Take records of flight.schedule.v1; a tombstone deletes."""
        for record in records:
            if record.value is None:
                self.schedules.pop((record.key or b"").decode(errors="replace"), None)
                continue
            try:
                schedule = parse_schedule(record.key, record.value)
            except RecordError as error:
                self._refuse(SCHEDULE, record, error)
            else:
                self.schedules[schedule.flight_id] = schedule

    def take_assignments(self, records: Iterable[RawRecord]) -> None:
        """Take records of baggage.assignment.v1; a tombstone deletes."""
        for record in records:
            if record.value is None:
                self.assignments.pop((record.key or b"").decode(errors="replace"), None)
                continue
            try:
                assignment = parse_assignment(record.key, record.value)
            except RecordError as error:
                self._refuse(ASSIGNMENT, record, error)
            else:
                self.assignments[assignment.bag_id] = assignment

    def take_bag_latest(self, records: Iterable[RawRecord]) -> None:
        """Take records of baggage.bag.latest.v1: only for those that are not valid, as the events say the rest."""
        for record in records:
            try:
                if record.value is not None:
                    parse_bag_latest(record.key, record.value)
            except RecordError as error:
                self._refuse(BAG_LATEST, record, error)

    def _refuse(self, topic: Topic, record: RawRecord, error: RecordError) -> None:
        self.refused[f"{topic.name}|{record.partition}|{record.offset}"] = error.reason

    def counts(self, flight_id: str) -> StageCounts:
        """The bags of a flight by stage."""
        return StageCounts(self.stages.get(flight_id, {}).values())

    def itineraries(self, now: datetime) -> dict[str, ItineraryState]:
        """The state of each itinerary at `now`; those that are over by so much that they are let go are left out."""
        journeys: dict[str, dict[str, BagJourney]] = {}
        about: dict[str, Assignment] = {}
        for bag_id, assignment in self.assignments.items():
            last = self.schedules.get(assignment.legs[-1].flight_id)
            if last and is_done(last, now):
                continue
            state = self.bags.get(bag_id)
            progress = Progress(state.position[0], state.position[1], state.alarm) if state else Progress()
            itinerary_id = assignment.itinerary_id
            journeys.setdefault(itinerary_id, {})[bag_id] = bag_journey(
                assignment.legs, progress, self.schedules.get, now
            )
            about[itinerary_id] = assignment
        return {
            itinerary_id: itinerary_state(
                itinerary_id, about[itinerary_id].customer_id, about[itinerary_id].bags_in_itinerary, bags
            )
            for itinerary_id, bags in journeys.items()
        }
