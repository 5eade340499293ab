"""Job C, ItineraryStatus: journey states and notifications, transfer-aware (specification section 6.3).

Topics of bags and assignments -> the maximum of each fact by bag, with its newest assignment -> by itinerary, with the
schedules of its flights and what was notified of it before -> an operator that wakes up at the deadlines of the rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec
from pyflink.common import Row
from pyflink.datastream import KeyedBroadcastProcessFunction, RuntimeContext
from pyflink.table import StreamTableEnvironment

from baggage import log
from baggage.clock import Clock
from baggage.domain.itineraries import Itinerary, ItineraryNews
from baggage.domain.records import Record
from baggage.jobs import names
from baggage.jobs.dead_letters import dead_letters_of_operator, dead_letters_of_topics, operator_failure
from baggage.jobs.facts import FACTS, JOINED_FACTS, NO_FACTS, after_order, facts_json, news_json
from baggage.jobs.keyed_values import KeyedValues
from baggage.jobs.progress import PROGRESS, ProgressTracker, progress
from baggage.jobs.readers import AssignmentReader, BagReader, NotificationReader, ScheduleReader
from baggage.jobs.sinks import RECORD, results_to_clickhouse, results_to_topic, results_type, to_clickhouse
from baggage.jobs.sources import changes, keyed, read_topic, stream
from baggage.jobs.timers import millis
from baggage.provision.topics import ASSIGNMENT, BAG_LATEST, EVENTS, NOTIFICATIONS, SCHEDULE
from baggage.settings import KafkaSettings, RulesSettings, Settings

NAME = names.ITINERARY_STATUS
#: Raise it with every change of the state that is kept: the job then starts anew from the topics.
STATE_VERSION = 1
STATUS_TABLE = "itinerary_status"
NOTIFICATION_TABLE = "notifications"

_RETRY = timedelta(minutes=1)

_decode = msgspec.json.Decoder(ItineraryNews).decode


def build(tables: StreamTableEnvironment, settings: Settings) -> None:
    """Add the job to the environment of `tables`."""
    clock = settings.clock.clock()
    read_topic(tables, BAG_LATEST, BagReader(clock), "bags", settings, NAME)
    read_topic(tables, ASSIGNMENT, AssignmentReader(clock), "assignments", settings, NAME)
    read_topic(tables, SCHEDULE, ScheduleReader(clock), "schedules", settings, NAME)
    read_topic(tables, NOTIFICATIONS, NotificationReader(clock), "notified", settings, NAME)
    news = changes(tables, BAGS).union(stream(tables, MOVES), changes(tables, FLIGHTS), changes(tables, NOTIFIED))
    results = (
        keyed(news)
        .connect(progress(tables, ("assignments", "schedules", "notified"), ("bags",)))
        .process(ItineraryOperator(clock, settings.kafka, settings.rules), results_type(ItineraryResult._fields))
        .name("itinerary states and notifications")
        .uid("itinerary-status")
    )
    tables.create_temporary_view("results", tables.from_data_stream(results))
    results_to_clickhouse(tables, "results", "status", STATUS_TABLE, settings)
    statements = tables.create_statement_set()
    results_to_topic(tables, statements, "results", "notification", NOTIFICATIONS, "notification_id", settings)
    dead_letters_of_topics(tables, statements, ("bags", "assignments", "notified"), settings)
    dead_letters_of_operator(tables, statements, "results", settings)
    statements.attach_as_datastream()
    notified = "SELECT CAST(v AS STRING) FROM notified WHERE rejected_reason IS NULL"
    to_clickhouse(stream(tables, notified, RECORD), NOTIFICATION_TABLE, settings)


#: `ItineraryNews` of the facts of a bag and its newest assignment, for the itinerary that this names, or none.
BAGS = f"""
    SELECT COALESCE({after_order("newest_itinerary")}, '') AS k,
        '{{"bag_id":' || JSON_STRING(bag_id) || ',"facts":' || {facts_json()}
        || ',"assigned":' || {news_json("news")} || '}}' AS v,
        bag_id AS id
    FROM (
        SELECT bag_id, {JOINED_FACTS}, MAX(newest_itinerary) AS newest_itinerary, MAX(news) AS news
        FROM (
            SELECT bag_id, {FACTS}, CAST(NULL AS STRING) AS newest_itinerary, CAST(NULL AS STRING) AS news
            FROM bags WHERE bag_id IS NOT NULL
            UNION ALL
            SELECT bag_id, {NO_FACTS}, newest_itinerary, news FROM assignments WHERE rejected_reason IS NULL
        )
        GROUP BY bag_id
    )"""

#: `ItineraryNews` of the assignment of a bag to no or another itinerary, for those that it was assigned to.
MOVES = f"""
    SELECT former.itinerary_id AS k,
        '{{"bag_id":' || JSON_STRING(moved.bag_id) || ',"assigned":' || {news_json("moved.news")} || '}}' AS v,
        moved.bag_id AS id
    FROM assignments AS moved JOIN assignments AS former ON moved.bag_id = former.bag_id
    WHERE former.itinerary_id IS NOT NULL
        AND (moved.itinerary_id IS NULL OR moved.itinerary_id <> former.itinerary_id)
        AND moved.rejected_reason IS NULL"""

#: `ItineraryNews` of a flight, for every itinerary that a bag with that flight was assigned to: of its newest schedule,
#: and once for all bags of the itinerary.
FLIGHTS = f"""
    SELECT leg.itinerary_id AS k,
        '{{"flight_id":' || JSON_STRING(leg.flight_id) || ',"flight":' || {news_json("newest.news")} || '}}' AS v,
        leg.id
    FROM (
        SELECT itinerary_id || ' ' || flight_id AS id, MAX(itinerary_id) AS itinerary_id, MAX(flight_id) AS flight_id
        FROM assignments CROSS JOIN UNNEST(flights) AS flight (flight_id)
        WHERE rejected_reason IS NULL
        GROUP BY itinerary_id || ' ' || flight_id
    ) AS leg
    JOIN (
        SELECT flight_id, MAX(news) AS news FROM schedules WHERE rejected_reason IS NULL GROUP BY flight_id
    ) AS newest ON newest.flight_id = leg.flight_id"""

#: `ItineraryNews` of what was notified of an itinerary last.
NOTIFIED = f"""
    SELECT itinerary_id AS k, '{{"notified":' || {news_json("news")} || '}}' AS v, itinerary_id AS id
    FROM (
        SELECT itinerary_id, MAX(news) AS news FROM notified WHERE rejected_reason IS NULL GROUP BY itinerary_id
    )"""


class ItineraryResult(NamedTuple):
    """What the operator emits, in JSON."""

    status: str | None = None
    notification: str | None = None
    dead_letter: str | None = None


class ItineraryOperator(KeyedBroadcastProcessFunction):  # type: ignore[misc]
    """Keyed by itinerary: keeps an `Itinerary` for each, which says what to emit and when to wake up."""

    def __init__(self, clock: Clock, kafka: KafkaSettings, rules: RulesSettings) -> None:
        self._clock, self._kafka, self._rules = clock, kafka, rules

    def open(self, runtime_context: RuntimeContext) -> None:
        """Declare the state."""
        log.configure()
        self._itineraries = KeyedValues(runtime_context, "itinerary", Itinerary)
        self._progress = ProgressTracker(
            self._clock, self._kafka, BAG_LATEST, EVENTS.partitions, (ASSIGNMENT, SCHEDULE, NOTIFICATIONS)
        )

    def process_broadcast_element(self, value: Row, ctx: KeyedBroadcastProcessFunction.Context) -> Iterator[Row]:
        """Take the progress of an input."""
        self._progress.apply(value[1], ctx.get_broadcast_state(PROGRESS))
        yield from ()

    def process_element(self, value: str, ctx: KeyedBroadcastProcessFunction.ReadOnlyContext) -> Iterator[Row]:
        """Take `ItineraryNews`. What concerns no itinerary has the empty key."""
        itinerary_id: str = ctx.get_current_key()
        if not itinerary_id:
            return
        try:
            itinerary = self._itineraries.get(itinerary_id) or Itinerary(itinerary_id)
            changed = itinerary.apply(_decode(value), self._clock.now())
            emitted = list(self._evaluate(itinerary, ctx)) if changed else []
        except Exception as error:
            emitted = [self._failure(itinerary_id, value, error)]
        yield from (Row(*result) for result in emitted)

    def on_timer(self, _timestamp: int, ctx: KeyedBroadcastProcessFunction.OnTimerContext) -> Iterator[Row]:
        """Look at the rules again: the time has come at which one may match."""
        itinerary_id: str = ctx.get_current_key()
        try:
            itinerary = self._itineraries.get(itinerary_id)
            emitted = list(self._evaluate(itinerary, ctx)) if itinerary else []
        except Exception as error:
            emitted = [self._failure(itinerary_id, "", error)]
            self._wake_up(datetime.now(UTC) + _RETRY, ctx)
        yield from (Row(*result) for result in emitted)

    def _evaluate(
        self, itinerary: Itinerary, ctx: KeyedBroadcastProcessFunction.ReadOnlyContext
    ) -> Iterator[ItineraryResult]:
        """Store the itinerary and emit what has changed, but nothing from a backlog."""
        if not self._progress.is_backlog_read(ctx.get_broadcast_state(PROGRESS)):
            self._itineraries.put(itinerary.itinerary_id, itinerary)
            self._wake_up(self._progress.look_again_at(), ctx)
            return
        cleared_ends_exception = self._rules.cleared_ends_exception
        output = itinerary.evaluate(self._clock.now(), cleared_ends_exception=cleared_ends_exception)
        if itinerary.is_over(self._clock.now()):
            self._itineraries.clear(itinerary.itinerary_id)
        else:
            self._itineraries.put(itinerary.itinerary_id, itinerary)
        if output.wake_up:
            self._wake_up(self._clock.real(output.wake_up), ctx)
        if output.status or output.notification:
            yield ItineraryResult(status=_json(output.status), notification=_json(output.notification))

    @staticmethod
    def _wake_up(when: datetime, ctx: KeyedBroadcastProcessFunction.ReadOnlyContext) -> None:
        ctx.timer_service().register_processing_time_timer(millis(when))

    def _failure(self, itinerary_id: str, value: str, error: Exception) -> ItineraryResult:
        """Give up the change, and make the dead letter that says so."""
        self._itineraries.forget(itinerary_id)
        return ItineraryResult(dead_letter=operator_failure(NAME, itinerary_id, value, error, self._clock.now()))


def _json(record: Record | None) -> str | None:
    return record.to_json().decode() if record else None
