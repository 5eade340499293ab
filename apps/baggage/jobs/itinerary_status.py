"""Job C, ItineraryStatus: journey states and notifications, transfer-aware (specification section 6.3).

Topics of bags and assignments -> the maximum of each fact by bag, with its newest assignment -> by itinerary, with the
schedules of its flights and what was notified of it before -> an operator that wakes up at the deadlines of the rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

import msgspec
from pyflink.table import StreamTableEnvironment

from baggage.clock import Clock
from baggage.domain.itineraries import Itinerary, ItineraryNews
from baggage.jobs import names
from baggage.jobs.dead_letters import write_dead_letters
from baggage.jobs.facts import FACTS, JOINED_FACTS, NO_FACTS, after_order, facts_json, keep, news_json
from baggage.jobs.operators import Context, StateMachineOperator, json_text
from baggage.jobs.progress import ProgressTracker, progress
from baggage.jobs.readers import AssignmentReader, BagReader, NotificationReader, ScheduleReader
from baggage.jobs.sinks import RECORD, results_to_clickhouse, results_to_topic, results_type, to_clickhouse
from baggage.jobs.sources import changes, keyed, share_topic, stream
from baggage.jobs.times import time_json
from baggage.provision.topics import ASSIGNMENT, BAG_LATEST, EVENTS, NOTIFICATIONS, SCHEDULE
from baggage.settings import KafkaSettings, RulesSettings, Settings

NAME = names.ITINERARY_STATUS
#: Raise it with every change of the state that is kept: the job then starts anew from the topics.
STATE_VERSION = 3
STATUS_TABLE = "itinerary_status"
NOTIFICATION_TABLE = "notifications"


class _News(ItineraryNews, frozen=True, kw_only=True):
    """News that says of which itinerary it is: empty for a bag without one."""

    itinerary_id: str


_decode = msgspec.json.Decoder(_News).decode


def build(tables: StreamTableEnvironment, settings: Settings) -> None:
    """Add the job to the environment of `tables`."""
    clock = settings.clock.clock()
    share_topic(tables, BagReader(clock), "bags", settings, NAME)
    share_topic(tables, AssignmentReader(clock), "assignments", settings, NAME)
    share_topic(tables, ScheduleReader(clock), "schedules", settings, NAME)
    share_topic(tables, NotificationReader(clock), "notified", settings, NAME)
    news = changes(tables, BAGS).union(stream(tables, MOVES), changes(tables, FLIGHTS), changes(tables, NOTIFIED))
    results = (
        keyed(news)
        .connect(progress(tables, ("bags", "assignments", "schedules", "notified"), {"bags": EVENTS}))
        .process(ItineraryOperator(clock, settings.kafka, settings.rules), results_type(ItineraryResult._fields))
        .name("itinerary states and notifications")
        .uid("itinerary-status")
    )
    tables.create_temporary_view("results", tables.from_data_stream(results))
    results_to_clickhouse(tables, "results", "status", STATUS_TABLE, settings)
    statements = tables.create_statement_set()
    results_to_topic(tables, statements, "results", "notification", NOTIFICATIONS, ("notification_id",), settings)
    write_dead_letters(tables, statements, ("bags", "assignments", "notified", "results"), settings)
    statements.attach_as_datastream()
    notified = "SELECT record FROM notified WHERE dead_letter IS NULL"
    to_clickhouse(stream(tables, notified, RECORD), NOTIFICATION_TABLE, settings)


# SQL for the itinerary that the newest assignment of a bag names, empty if none.
_NEWEST_ITINERARY = f"""COALESCE({after_order("newest_itinerary")}, '')"""

#: `_News` of the facts of a bag and its newest assignment, for the itinerary that this names, or none.
BAGS = f"""
    SELECT {_NEWEST_ITINERARY} AS k,
        '{{"itinerary_id":' || JSON_STRING({_NEWEST_ITINERARY})
        || ',"bag_id":' || JSON_STRING(bag_id) || ',"facts":' || {facts_json()}
        || ',"assigned":' || {news_json("news")} || ',"arrived":' || {time_json("arrived")} || '}}' AS v,
        bag_id AS id
    FROM (
        SELECT bag_id, {JOINED_FACTS}, MAX(newest_itinerary) AS newest_itinerary, MAX(news) AS news,
            MAX(arrived) AS arrived
        FROM (
            SELECT k AS bag_id, {FACTS}, CAST(NULL AS STRING) AS newest_itinerary, CAST(NULL AS STRING) AS news, arrived
            FROM bags WHERE reached IS NOT NULL
            UNION ALL
            SELECT k, {NO_FACTS}, newest_itinerary, news, arrived FROM assignments WHERE dead_letter IS NULL
        )
        GROUP BY bag_id
    )"""

#: `_News` of the assignment of a bag to no or another itinerary, for those that it was assigned to.
MOVES = f"""
    SELECT former.itinerary_id AS k,
        '{{"itinerary_id":' || JSON_STRING(former.itinerary_id)
        || ',"bag_id":' || JSON_STRING(moved.k) || ',"assigned":' || {news_json("moved.news")}
        || ',"arrived":' || {time_json("moved.arrived")} || '}}' AS v,
        moved.k AS id
    FROM assignments AS moved JOIN assignments AS former ON moved.k = former.k
    WHERE former.itinerary_id IS NOT NULL
        AND (moved.itinerary_id IS NULL OR moved.itinerary_id <> former.itinerary_id)
        AND moved.dead_letter IS NULL"""

#: `_News` of a flight, for every itinerary that a bag with that flight was assigned to: of its newest schedule,
#: and once for all bags of the itinerary.
FLIGHTS = f"""
    SELECT {keep("newest")} leg.itinerary_id AS k,
        '{{"itinerary_id":' || JSON_STRING(leg.itinerary_id)
        || ',"flight_id":' || JSON_STRING(leg.flight_id) || ',"flight":' || {news_json("newest.news")}
        || ',"arrived":' || {time_json("newest.arrived")} || '}}' AS v,
        leg.id
    FROM (
        SELECT itinerary_id || ' ' || flight_id AS id, MAX(itinerary_id) AS itinerary_id, MAX(flight_id) AS flight_id
        FROM assignments CROSS JOIN UNNEST(flights) AS flight (flight_id)
        WHERE dead_letter IS NULL
        GROUP BY itinerary_id || ' ' || flight_id
    ) AS leg
    JOIN (
        SELECT {keep("schedules")} k AS flight_id, MAX(news) AS news, MAX(arrived) AS arrived
        FROM schedules WHERE dead_letter IS NULL GROUP BY k
    ) AS newest ON newest.flight_id = leg.flight_id"""

#: `_News` of what was notified of an itinerary last.
NOTIFIED = f"""
    SELECT itinerary_id AS k,
        '{{"itinerary_id":' || JSON_STRING(itinerary_id)
        || ',"notified":' || {news_json("news")} || ',"arrived":' || {time_json("arrived")} || '}}' AS v,
        itinerary_id AS id
    FROM (
        SELECT itinerary_id, MAX(news) AS news, MAX(arrived) AS arrived
        FROM notified WHERE dead_letter IS NULL GROUP BY itinerary_id
    )"""


class ItineraryResult(NamedTuple):
    """What the operator emits, in JSON."""

    status: str | None = None
    notification: str | None = None
    dead_letter: str | None = None


class ItineraryOperator(StateMachineOperator[Itinerary]):
    """Keyed by itinerary: takes `_News`, and looks at the rules when there is any or a deadline has passed."""

    job, state, kept, results = NAME, "itinerary", Itinerary, ItineraryResult

    def __init__(self, clock: Clock, kafka: KafkaSettings, rules: RulesSettings) -> None:
        super().__init__(clock)
        self._kafka, self._rules = kafka, rules

    def track_progress(self) -> ProgressTracker:
        """Bags are known when BagLatest has read the events, and we have read what it wrote of them."""
        topics = (ASSIGNMENT, SCHEDULE, NOTIFICATIONS)
        return ProgressTracker(self._clock, self._kafka, topics, then=(BAG_LATEST,))

    def apply(self, value: str, ctx: Context) -> Iterator[ItineraryResult]:
        """Take `_News`."""
        news = _decode(value)
        if not news.itinerary_id:
            return
        itinerary, real_now = self._kept.get(news.itinerary_id) or Itinerary(news.itinerary_id), self.real_now(ctx)
        now = self._clock.at(real_now)
        if not itinerary.apply(news, now):
            return
        if self._waits(itinerary, real_now, ctx):
            self._kept.put(news.itinerary_id, itinerary)
        else:
            yield from self._evaluate(itinerary, now, ctx)

    def wake(self, kept: Itinerary, ctx: Context) -> Iterator[ItineraryResult]:
        """Look at the rules."""
        real_now = self.real_now(ctx)
        if not self._waits(kept, real_now, ctx):
            yield from self._evaluate(kept, self._clock.at(real_now), ctx)

    def _waits(self, kept: Itinerary, real_now: datetime, ctx: Context) -> bool:
        """Whether nothing may be concluded yet; the itinerary is woken up to ask again."""
        if self._progress.is_backlog_read(real_now, ctx):
            return False
        self.wake_up(kept.itinerary_id, self._progress.look_again_at(real_now), ctx)
        return True

    def _evaluate(self, kept: Itinerary, now: datetime, ctx: Context) -> Iterator[ItineraryResult]:
        """Store the itinerary, set its timer, and emit what has changed."""
        output = kept.evaluate(now, cleared_ends_exception=self._rules.cleared_ends_exception)
        if kept.is_over(now):
            self._kept.clear(kept.itinerary_id)
        else:
            self._kept.put(kept.itinerary_id, kept)
        if output.wake_up:
            self.wake_up(kept.itinerary_id, self._clock.real(output.wake_up), ctx)
        if output.status or output.notification:
            yield ItineraryResult(status=json_text(output.status), notification=json_text(output.notification))
