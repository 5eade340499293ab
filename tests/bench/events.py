"""As many events as a benchmark wants, from the generator's days with all their imperfections."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import count

import msgspec

from baggage.domain.bags import BagFacts
from baggage.domain.events import BaggageEvent
from baggage.generator.day import Day
from baggage.provision.topics import EVENTS
from baggage.settings import GeneratorSettings

#: The bags of one day, about: 120 flights of 160 passengers with 1.2 bags each.
BAGS_A_DAY = 23_000
FIRST_DAY = date(2026, 1, 1)

_STEP = timedelta(hours=1)
_LEGS_A_DAY = 2


def events(settings: GeneratorSettings, bags: int) -> Iterator[BaggageEvent]:
    """The events of one day after the other, in the order in which they are published, for ever.

    All days are about the same bags: the n-th bag of every day is one bag, whose legs of a day follow those of the day
    before, so that its events go on to change its state. Where more than a day's bags are asked for, each is shared
    out among several, by a suffix of its id that the event's id decides. So the events are the same for any number of
    bags, but for their bag ids.
    """
    shares = max(round(bags / BAGS_A_DAY), 1)
    for number in count():
        for event in events_of_day(settings, FIRST_DAY + timedelta(days=number)):
            bag_id = f"BAG{event.bag_id[-6:]}"
            if shares > 1:
                bag_id += f"-{event.event_id.int % shares}"
            leg_index = number * _LEGS_A_DAY + event.leg_index
            yield msgspec.structs.replace(event, bag_id=bag_id, leg_index=leg_index)


def events_of_day(settings: GeneratorSettings, day: date) -> Iterator[BaggageEvent]:
    """The events of one day in the order in which they are published."""
    planned = Day(settings, day)
    start, end = planned.plan.midnight - timedelta(days=1), planned.plan.midnight + timedelta(days=2)
    while start < end:
        for publication in planned.publications(start, start + _STEP):
            if publication.topic is EVENTS and isinstance(publication.record, BaggageEvent):
                yield publication.record
        start += _STEP


@dataclass
class Expected:
    """What any correct BagLatest makes of the events so far: the facts of each bag, by the domain alone."""

    events: int = 0
    facts: dict[str, BagFacts] = field(default_factory=dict)

    def take(self, event: BaggageEvent, appended: datetime) -> None:
        """Take an event that the broker appended at `appended`; order does not matter."""
        facts, known = BagFacts.of(event, appended), self.facts.get(event.bag_id)
        self.facts[event.bag_id] = known.join(facts) if known else facts
        self.events += 1
