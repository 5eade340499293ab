"""What every table must hold: the topics' records through `baggage.domain`, with no stream processor in between.

Of the domain it uses the facts, the rules and the parsers, but not the state machines (`Flight`, `Itinerary`): these
are judged here, and an oracle that used them would agree with whatever they do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Generic, NamedTuple, TypeVar

import msgspec

from baggage.clock import Clock
from baggage.domain.bags import BagFacts, parse_bag_latest
from baggage.domain.events import BaggageEvent, parse_event
from baggage.domain.itineraries import ItineraryState, itinerary_state
from baggage.domain.journey import Flights, Journey
from baggage.domain.kpis import StageCounts
from baggage.domain.records import tombstone_key
from baggage.domain.schedule import (
    RETENTION,
    Assignment,
    AssignmentNews,
    FlightNews,
    FlightSchedule,
    latest_arrival,
    parse_assignment,
    parse_schedule,
)
from baggage.provision.topics import ASSIGNMENT, BAG_LATEST, EVENTS, SCHEDULE, Topic
from baggage.verify.rejections import Rejections
from baggage.verify.topics import RawRecord

N = TypeVar("N", FlightNews, AssignmentNews)


class Seen(NamedTuple):
    """An event of a bag: its facts, by when it had happened by all clocks, and when the broker appended it."""

    happened: datetime
    appended: datetime
    facts: BagFacts


class History(Generic[N]):
    """All news of one key, by offset, each with the time at which the broker appended it; at least one."""

    def __init__(self) -> None:
        self._entries: list[tuple[datetime, N]] = []

    def apply(self, appended: datetime, news: N) -> None:
        """Add news."""
        self._entries.append((appended, news))
        if len(self._entries) > 1 and news.offset < self._entries[-2][1].offset:
            self._entries.sort(key=lambda entry: entry[1].offset)

    def __bool__(self) -> bool:
        return bool(self._entries)

    def __iter__(self) -> Iterator[tuple[datetime, N]]:
        return iter(self._entries)

    @property
    def newest(self) -> N:
        """What holds now."""
        return self._entries[-1][1]

    def between(self, since: datetime, until: datetime) -> list[N]:
        """What may have been known at some time from `since` to `until`.

        Of what was appended later nothing was known, but where that is all there is, the oldest holds: a feed may
        publish late what was true before.
        """
        before = [news for appended, news in self._entries if appended <= since]
        known = before[-1:] + [news for appended, news in self._entries if since < appended <= until]
        return known or [news for appended, news in self._entries if appended == self._entries[0][0]]


@dataclass
class Oracle:
    """The state of everything, record by record.

    `facts` and `seen` (its events) by bag, `on_flights` the facts by flight and bag of the events that name both,
    `flights` and `assignments` the news by flight and by bag, `assigned` all bags that were ever assigned to an
    itinerary. Times are those of the pipeline's clock.
    """

    clock: Clock = field(default_factory=Clock)
    cleared_ends_exception: bool = False
    rejections: Rejections = field(default_factory=Rejections)
    facts: dict[str, BagFacts] = field(default_factory=dict)
    seen: dict[str, list[Seen]] = field(default_factory=dict)
    on_flights: dict[str, dict[str, BagFacts]] = field(default_factory=dict)
    flights: dict[str, History[FlightNews]] = field(default_factory=dict)
    assignments: dict[str, History[AssignmentNews]] = field(default_factory=dict)
    assigned: dict[str, set[str]] = field(default_factory=dict)
    events: int = 0
    _events_on: dict[str, int] = field(default_factory=dict)
    _newest_on: dict[str, datetime] = field(default_factory=dict)

    def apply(self, topic: Topic, records: Iterable[RawRecord]) -> None:
        """Add records of one of the topics that the jobs read."""
        valid = self.rejections.valid
        if topic is EVENTS:
            for record, event in valid(topic, records, lambda r: parse_event(r.key, r.value)):
                self._apply_event(event, self.clock.at(record.appended))
        elif topic is SCHEDULE:
            for record, (flight_id, flight_news) in valid(topic, records, _flight_news):
                self.flights.setdefault(flight_id, History()).apply(self.clock.at(record.appended), flight_news)
        elif topic is ASSIGNMENT:
            for record, (bag_id, news) in valid(topic, records, _assignment_news):
                history = self.assignments.setdefault(bag_id, History())
                history.apply(self.clock.at(record.appended), _sharing(news, history))
                if news.assignment:
                    self.assigned.setdefault(news.assignment.itinerary_id, set()).add(bag_id)
        elif topic is BAG_LATEST:
            # Only for those that are not valid: the events say the rest.
            for _ in valid(topic, records, lambda r: r.value is None or parse_bag_latest(r.key, r.value)):
                pass
        else:
            raise ValueError(f"{topic.name} is no input")

    def _apply_event(self, event: BaggageEvent, appended: datetime) -> None:
        facts, bag_id, flight_id = BagFacts.of(event, appended), event.bag_id, event.flight_id
        self.events += 1
        known = self.facts.get(bag_id)
        self.facts[bag_id] = known.join(facts) if known else facts
        self.seen.setdefault(bag_id, []).append(Seen(min(event.ingest_time, appended), appended, facts))
        bags = self.on_flights.setdefault(flight_id, {})
        known = bags.get(bag_id)
        bags[bag_id] = known.join(facts) if known else facts
        self._events_on[flight_id] = self._events_on.get(flight_id, 0) + 1
        newest = self._newest_on.get(flight_id)
        self._newest_on[flight_id] = max(newest, appended) if newest else appended

    def counts(self, flight_id: str) -> StageCounts:
        """The bags of a flight by the stage of each on it, all its bags, and all events that name it."""
        stages = [facts.stage for facts in self.on_flights.get(flight_id, {}).values()]
        return msgspec.structs.replace(StageCounts.of(stages), events=self._events_on.get(flight_id, 0))

    def schedules(self) -> dict[str, FlightSchedule]:
        """The schedules of the flights that are not cancelled."""
        newest = {flight_id: history.newest for flight_id, history in self.flights.items()}
        return {key: news.schedule for key, news in newest.items() if news.schedule and not news.is_cancelled}

    def cancelled(self) -> dict[str, datetime]:
        """The flights that are cancelled, and since when: since the first record that says so."""
        since: dict[str, datetime] = {}
        for flight_id, history in self.flights.items():
            for appended, news in history:
                if not news.is_cancelled:
                    since.pop(flight_id, None)
                else:
                    since.setdefault(flight_id, appended)
        return since

    def unscheduled(self) -> dict[str, datetime]:
        """The flights that events name and no schedule ever did, and when the broker appended the newest event."""
        return {flight_id: newest for flight_id, newest in self._newest_on.items() if flight_id not in self.flights}

    def news_of(self, flight_id: str) -> FlightNews | None:
        """What is known of a flight now."""
        history = self.flights.get(flight_id)
        return history.newest if history else None

    def assignment(self, bag_id: str) -> Assignment | None:
        """The assignment of a bag that holds now."""
        history = self.assignments.get(bag_id)
        return history.newest.assignment if history else None

    def journey(self, assignment: Assignment, facts: BagFacts | None, flights: Flights) -> Journey:
        """The journey of a bag, by the rules that are set."""
        return Journey(assignment.legs, facts, flights, cleared_ends_exception=self.cleared_ends_exception)

    def itineraries(self, now: datetime) -> dict[str, ItineraryState]:
        """The state at `now` of each itinerary that has bags and cannot have expired."""
        states = {}
        for itinerary_id, bag_ids in self.assigned.items():
            own = {
                bag_id: assignment
                for bag_id in bag_ids
                if (assignment := self.assignment(bag_id)) and assignment.itinerary_id == itinerary_id
            }
            if not own or now >= self._earliest_expiry(own.values()):
                continue
            journeys = {
                bag_id: self.journey(assignment, self.facts.get(bag_id), self.news_of).at(now)
                for bag_id, assignment in own.items()
            }
            states[itinerary_id] = itinerary_state(
                itinerary_id,
                max(assignment.customer_id for assignment in own.values()),
                max(assignment.bags_in_itinerary for assignment in own.values()),
                journeys,
            )
        return states

    def left(self) -> set[str]:
        """The itineraries that all their bags have left before they can have expired."""
        return {itinerary_id for itinerary_id, bag_ids in self.assigned.items() if self._is_left(itinerary_id, bag_ids)}

    def _is_left(self, itinerary_id: str, bag_ids: set[str]) -> bool:
        """Whether all bags have left in time: a bag has left with the first record since that names another one.

        Where a schedule is not known any more, nor is when that was.
        """
        former: list[Assignment] = []
        left_at: list[datetime] = []
        for bag_id in bag_ids:
            since = None
            for appended, news in self.assignments[bag_id]:
                if news.assignment and news.assignment.itinerary_id == itinerary_id:
                    since = None
                    former.append(news.assignment)
                else:
                    since = since or appended
            if since is None:
                return False
            left_at.append(since)
        flights = {leg.flight_id for assignment in former for leg in assignment.legs}
        return flights <= self.flights.keys() and max(left_at) < self._earliest_expiry(former)

    def _earliest_expiry(self, assignments: Iterable[Assignment]) -> datetime:
        """The earliest time at which an itinerary with these assignments can have expired."""
        flights = {leg.flight_id for assignment in assignments for leg in assignment.legs}
        times = [
            news.schedule.arr_time
            for flight_id in flights & self.flights.keys()
            for _, news in self.flights[flight_id]
            if news.schedule
        ]
        times += [time for flight_id in flights - self.flights.keys() if (time := latest_arrival(flight_id))]
        return max(times) + RETENTION if times else datetime.min.replace(tzinfo=UTC)


def _sharing(news: AssignmentNews, history: History[AssignmentNews]) -> AssignmentNews:
    """The same news; what it repeats word for word, as a feed does at each start, takes no memory again."""
    known = history.newest if history else None
    return AssignmentNews(news.offset, known.assignment) if known and known.assignment == news.assignment else news


def _flight_news(record: RawRecord) -> tuple[str, FlightNews]:
    """The news of a record of flight.schedule.v1."""
    if record.value is None:
        return tombstone_key(record.key), FlightNews(record.offset, None)
    schedule = parse_schedule(record.key, record.value)
    return schedule.flight_id, FlightNews(record.offset, schedule)


def _assignment_news(record: RawRecord) -> tuple[str, AssignmentNews]:
    """The news of a record of baggage.assignment.v1."""
    if record.value is None:
        return tombstone_key(record.key), AssignmentNews(record.offset, None)
    assignment = parse_assignment(record.key, record.value)
    return assignment.bag_id, AssignmentNews(record.offset, assignment)
