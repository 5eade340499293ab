"""What the jobs would write of generated days, row by row and without servers: the state machines of `baggage.domain`
on the generator's records, each processed in the second of its publication."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from heapq import heappop, heappush

from baggage.domain.bags import BagFacts, bag_latest
from baggage.domain.events import BaggageEvent
from baggage.domain.flights import Conditions, Flight, FlightOutput, FlightReport
from baggage.domain.itineraries import Itinerary, ItineraryNews
from baggage.domain.kpis import StageCounts, freshness
from baggage.domain.records import Record
from baggage.domain.schedule import Assignment, AssignmentNews, FlightNews, FlightSchedule
from baggage.domain.stages import Stage
from baggage.generator.day import Publication
from baggage.generator.publications import Calendar
from baggage.provision.topics import ASSIGNMENT, EVENTS, SCHEDULE

#: Takes a record that becomes a row of a table.
Write = Callable[[str, Record], None]
_COUNTS = StageCounts.__struct_fields__
_NO_BAG, _BAG_AT = StageCounts(), {stage: StageCounts.of([stage]) for stage in Stage}


class Simulation:
    """All flights and itineraries, and how a publication or the time changes them."""

    def __init__(self, start: datetime, write: Write) -> None:
        self._write = write
        self._newest, self._offset = start, 0
        self._bags: dict[str, BagFacts] = {}
        self._bags_on_flights: dict[tuple[str, str], BagFacts] = {}
        self._flights: dict[str, Flight] = {}
        self._itineraries: dict[str, Itinerary] = {}
        self._itinerary_of_bag: dict[str, str] = {}
        self._itineraries_by_flight: dict[str, set[str]] = defaultdict(set)
        self._wake_ups: dict[str, datetime] = {}
        self._due: list[tuple[datetime, str]] = []

    def apply(self, publication: Publication) -> None:
        """Let the time come to a publication, and process it."""
        key, record, now = publication.key, publication.record, publication.when
        self.advance(now)
        self._offset += 1
        if publication.topic is EVENTS:
            assert isinstance(record, BaggageEvent)
            self._apply_event(record, now)
        elif publication.topic is SCHEDULE:
            assert record is None or isinstance(record, FlightSchedule)
            self._apply_schedule(key, FlightNews(self._offset, record), now)
        elif publication.topic is ASSIGNMENT:
            assert record is None or isinstance(record, Assignment)
            self._apply_assignment(key, AssignmentNews(self._offset, record), now)

    def advance(self, until: datetime) -> None:
        """Do what is due before `until`: KPI ticks, alerts, and the deadlines of journeys."""
        while self._due and self._due[0][0] < until:
            now, key = heappop(self._due)
            if self._wake_ups.get(key) != now:
                continue
            del self._wake_ups[key]
            if flight := self._flights.get(key):
                self._emit(flight, flight.evaluate(self._conditions(now)))
            else:
                self._evaluate(self._itineraries[key], now)

    def _apply_event(self, event: BaggageEvent, now: datetime) -> None:
        bag_id, facts, self._newest = event.bag_id, BagFacts.of(event, now), now
        flight = self._flight(event.flight_id)
        known = self._bags_on_flights.get((flight.flight_id, bag_id))
        joined = self._bags_on_flights[flight.flight_id, bag_id] = known.join(facts) if known else facts
        self._report(flight, _counts_after(flight.counts, known, joined), flight.news, now)
        known = self._bags.get(bag_id)
        joined = self._bags[bag_id] = known.join(facts) if known else facts
        self._write("bag_latest", bag_latest(joined, now, now))
        if itinerary_id := self._itinerary_of_bag.get(bag_id):
            self._tell(itinerary_id, ItineraryNews(bag_id=bag_id, facts=facts), now)

    def _apply_schedule(self, flight_id: str, news: FlightNews, now: datetime) -> None:
        flight = self._flight(flight_id)
        self._report(flight, flight.counts, news, now)
        for itinerary_id in self._itineraries_by_flight[flight_id]:
            self._tell(itinerary_id, ItineraryNews(flight_id=flight_id, flight=news), now)

    def _apply_assignment(self, bag_id: str, news: AssignmentNews, now: datetime) -> None:
        """The generator assigns a bag to one itinerary only."""
        if news.assignment:
            itinerary_id = self._itinerary_of_bag[bag_id] = news.assignment.itinerary_id
            for leg in news.assignment.legs:
                self._itineraries_by_flight[leg.flight_id].add(itinerary_id)
                flight = self._flight(leg.flight_id)
                self._tell(itinerary_id, ItineraryNews(flight_id=flight.flight_id, flight=flight.news), now)
        if bag_id in self._itinerary_of_bag:
            bag = ItineraryNews(bag_id=bag_id, facts=self._bags.get(bag_id), assigned=news)
            self._tell(self._itinerary_of_bag[bag_id], bag, now)

    def _flight(self, flight_id: str) -> Flight:
        return self._flights.setdefault(flight_id, Flight(flight_id))

    def _report(self, flight: Flight, counts: StageCounts, news: FlightNews | None, now: datetime) -> None:
        self._emit(flight, flight.apply(FlightReport(counts=counts, news=news), self._conditions(now)))

    def _tell(self, itinerary_id: str, news: ItineraryNews, now: datetime) -> None:
        """Apply news, and evaluate the itinerary after all other news of the same time."""
        if self._itineraries.setdefault(itinerary_id, Itinerary(itinerary_id)).apply(news, now):
            self._wake_up(itinerary_id, now)

    def _conditions(self, now: datetime) -> Conditions:
        return Conditions(
            now=now, freshness_sec=freshness(self._newest, now), backlog_is_read=True, catch_up=timedelta()
        )

    def _emit(self, flight: Flight, output: FlightOutput) -> None:
        for kpi in output.kpis:
            self._write("flight_kpis", kpi)
        for alert in output.alerts:
            self._write("alerts", alert)
        if output.unscheduled:
            self._write("unscheduled_flights", output.unscheduled)
        self._wake_up(flight.flight_id, output.wake_up)

    def _evaluate(self, itinerary: Itinerary, now: datetime) -> None:
        output = itinerary.evaluate(now)
        if output.status:
            self._write("itinerary_status", output.status)
        if output.notification:
            self._write("notifications", output.notification)
        self._wake_up(itinerary.itinerary_id, output.wake_up)

    def _wake_up(self, key: str, when: datetime | None) -> None:
        """Look at a flight or an itinerary at `when`, instead of when it was to be looked at before."""
        if when and self._wake_ups.get(key) != when:
            self._wake_ups[key] = when
            heappush(self._due, (when, key))


def simulate(calendar: Calendar, start: datetime, end: datetime, write: Write) -> None:
    """Write every row from `start` until `end`; what is in force at `start` is published then, at once."""
    simulation = Simulation(start, write)
    for publication in _publications(calendar, start, end):
        simulation.apply(publication)
    simulation.advance(end)


def _counts_after(counts: StageCounts, before: BagFacts | None, after: BagFacts) -> StageCounts:
    """The counts of a flight after one more event, of a bag with those facts before and after it."""
    gone, come = _BAG_AT[before.stage] if before else _NO_BAG, _BAG_AT[after.stage]
    moved = {name: getattr(counts, name) - getattr(gone, name) + getattr(come, name) for name in _COUNTS}
    return StageCounts(**moved | {"events": counts.events + 1})


def _publications(calendar: Calendar, start: datetime, end: datetime) -> Iterator[Publication]:
    yield from calendar.schedules(start)
    yield from (publication._replace(when=start) for publication in calendar.history(start))
    yield from calendar.assignments(start)
    yield from calendar.publications(start, end)
