"""Whatever the parsers let through: records as JSON, extreme but legal values first, and what is made of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from hypothesis import strategies as st

from baggage.domain.bags import BagFacts, bag_facts, parse_bag_latest
from baggage.domain.events import parse_event
from baggage.domain.kpis import StageCounts
from baggage.domain.notifications import Notified, parse_notification
from baggage.domain.records import MAX_COUNT, Record
from baggage.domain.schedule import AssignmentNews, FlightNews, parse_assignment, parse_schedule
from baggage.domain.stages import EventType, Stage
from tests.builders import DEPARTURE, INBOUND, ONWARD

FIRST = datetime(2000, 1, 1, tzinfo=UTC)
LAST = datetime(2099, 12, 31, 23, 59, 59, 999_999, UTC)
ITINERARIES = ["I1", "\N{AIRPLANE}" * 256]
BAGS = ["B1", "\N{BAGGAGE CLAIM}" * 256, '"' * 256]
FLIGHT_IDS = [
    INBOUND,
    ONWARD,
    "AA1|2000-01-01|AAA->AAA",
    "ZZ9999Z|2099-12-31|ZZZ->ZZZ",
    "BR027|2098-12-31|LHR->AMS",
    "BR027|0000-00-00|LHR->AMS",
    "BR027|9999-99-99|AMS->LHR",
]

R = TypeVar("R", bound=Record)
Json = dict[str, Any]

times = st.one_of(
    st.sampled_from([DEPARTURE, FIRST, LAST, FIRST + timedelta.resolution, LAST - timedelta(days=2)]),
    st.integers(-600, 600).map(lambda minutes: DEPARTURE + timedelta(minutes=minutes)),
    st.datetimes(FIRST.replace(tzinfo=None), LAST.replace(tzinfo=None)).map(lambda time: time.replace(tzinfo=UTC)),
)
texts = st.one_of(
    st.sampled_from(["X", "x" * 256, "\N{BAGGAGE CLAIM}" * 256, '"' * 256, "\\" * 256, "\uffff", "\U0010ffff", " !"]),
    st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=12),
)
bag_ids, itinerary_ids = st.sampled_from(BAGS), st.sampled_from(ITINERARIES)
flight_ids = st.sampled_from(FLIGHT_IDS)
airports = st.sampled_from(["LHR", "AMS", "FRA", "FNC", "AAA", "ZZZ"])
legs = st.sampled_from([0, 1, 2, 254, 255])
counts = st.sampled_from([0, 1, 2, 19, 20, 220, MAX_COUNT - 1, MAX_COUNT])


@st.composite
def time_texts(draw: st.DrawFn, when: st.SearchStrategy[datetime] = times) -> str:
    """A time as some producer writes it, with any offset."""
    time = draw(when)
    minutes = draw(st.sampled_from([0, 60, -300, 330, 1439, -1439]))
    if not FIRST <= time + timedelta(minutes=minutes) <= LAST:
        minutes = 0
    hour, minute = divmod(abs(minutes), 60)
    offset = f"{'-' if minutes < 0 else '+'}{hour:02}:{minute:02}"
    return (time + timedelta(minutes=minutes)).replace(tzinfo=None).isoformat() + (offset if minutes else "Z")


def parsed(
    parse: Callable[[bytes, bytes], R], records: st.SearchStrategy[Json], key: Callable[[Json], str]
) -> st.SearchStrategy[R]:
    """What the parser makes of records."""

    def read(record: Json) -> R:
        return parse(key(record).encode(), json.dumps(record).encode())

    return records.map(read)


events = parsed(
    parse_event,
    st.fixed_dictionaries(
        {
            "event_id": st.uuids().map(str),
            "bag_id": bag_ids,
            "itinerary_id": itinerary_ids,
            "customer_id": texts,
            "flight_id": flight_ids,
            "leg_index": legs,
            "airport": airports,
            "event_type": st.sampled_from([str(kind) for kind in EventType]),
            "event_time": time_texts(),
            "ingest_time": time_texts(),
            "scan_point_id": texts,
            "reader_type": texts,
            "confidence": st.sampled_from([0, 1, 0.5, 5e-324]),
            "attributes": st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
        }
    ),
    lambda record: record["bag_id"],
)


@st.composite
def schedule_records(draw: st.DrawFn, flights: st.SearchStrategy[str] = flight_ids) -> Json:
    near = st.sampled_from([0, 0, 1, 40, 45, 600])
    departure = draw(times)
    cutoff = max(FIRST, departure - timedelta(minutes=draw(near)))
    arrival = min(LAST, departure + timedelta(minutes=draw(near)))
    cutoff, arrival = draw(st.sampled_from([(cutoff, arrival), (FIRST, LAST), (departure, departure)]))
    record: Json = {
        "flight_id": draw(flights),
        "airport_origin": draw(airports),
        "airport_dest": draw(airports),
        "dep_time": draw(time_texts(st.just(departure))),
        "arr_time": draw(time_texts(st.just(arrival))),
        "bag_cutoff_time": draw(time_texts(st.just(cutoff))),
        "expected_bags": draw(counts),
    }
    return record | draw(st.sampled_from([{}, {}, {"status": "SCHEDULED"}, {"status": "CANCELLED"}]))


schedules = parsed(parse_schedule, schedule_records(), lambda record: record["flight_id"])


@st.composite
def assignment_records(draw: st.DrawFn) -> Json:
    number = draw(st.sampled_from([1, 1, 2, 2, 3, 255, 256]))
    stops = draw(st.lists(airports, min_size=1, max_size=4))
    flights = draw(st.lists(flight_ids, min_size=1, max_size=3))
    return {
        "bag_id": draw(bag_ids),
        "itinerary_id": draw(itinerary_ids),
        "customer_id": draw(texts),
        "bags_in_itinerary": draw(st.sampled_from([1, 2, 255])),
        "legs": [
            {
                "leg_index": n,
                "flight_id": flights[n % len(flights)],
                "origin": stops[n % len(stops)],
                "dest": stops[(n + 1) % len(stops)],
            }
            for n in range(number)
        ],
    }


assignments = parsed(parse_assignment, assignment_records(), lambda record: record["bag_id"])

stage_names = st.sampled_from([stage.name for stage in Stage])
bags_latest = parsed(
    parse_bag_latest,
    st.fixed_dictionaries(
        {
            "ts": time_texts(),
            "arrived": time_texts(),
            "stage": stage_names,
            "source": st.integers(0, 2),
            "reached": stage_names,
            "loaded": st.none()
            | st.fixed_dictionaries({"leg_index": legs, "time": time_texts(), "flight_id": flight_ids}),
            "removed": st.none() | st.fixed_dictionaries({"leg_index": legs, "time": time_texts()}),
            "alarmed": st.none() | time_texts(),
            "cleared": st.none() | time_texts(),
            "leg_index": legs,
            "last_event_time": time_texts(),
            "flight_id": flight_ids,
            "last_scan_point": texts,
            "airport": airports,
            "itinerary_id": itinerary_ids,
            "customer_id": texts,
            "bag_id": bag_ids,
        }
    ),
    lambda record: record["bag_id"],
)
journey_states = st.sampled_from(
    ["CHECKED_IN", "IN_ORIGIN_PROCESSING", "ON_FLIGHT", "AT_RISK_FOR_CONNECTION", "DELAYED_OR_REROUTED", "EXCEPTION"]
)
notifications = parsed(
    parse_notification,
    st.fixed_dictionaries(
        {
            "created_at": time_texts(),
            "notification_id": st.just("N"),
            "itinerary_id": itinerary_ids,
            "customer_id": texts,
            "previous_state": journey_states,
            "journey_state": journey_states,
            # After the very last version none can come.
            "version": st.sampled_from([0, 1, 2, MAX_COUNT - 20]),
            "bags_total": counts,
            "current_leg_index": counts,
        }
    ),
    lambda record: record["notification_id"],
)

facts: st.SearchStrategy[BagFacts] = st.one_of(
    st.lists(events, min_size=1, max_size=4).map(bag_facts), bags_latest.map(lambda latest: latest.facts)
)
offsets = st.integers(0, 5)
flight_news = st.builds(FlightNews, offsets, st.one_of(schedules, schedules, st.none()))
assignment_news = st.builds(AssignmentNews, offsets, st.one_of(assignments, assignments, st.none()))
notified = notifications.map(lambda notice: Notified(notice.version, notice.journey_state))
stage_counts = st.lists(counts, min_size=7, max_size=7).map(
    lambda some: StageCounts(
        **dict(zip(("events", "bags", "checked_in", "inducted", "cleared", "makeup", "loaded"), some, strict=True))
    )
)
