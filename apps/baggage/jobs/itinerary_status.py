"""Job C, ItineraryStatus: journey states and notifications, transfer-aware (specification section 6.3)."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec
from pyflink.common import Row, Types
from pyflink.datastream import (
    KeyedBroadcastProcessFunction,
    KeyedProcessFunction,
    RuntimeContext,
)
from pyflink.table import StreamTableEnvironment

from baggage.clock import Clock
from baggage.domain.bags import parse_bag_latest
from baggage.domain.journey import (
    BagJourney,
    ItineraryState,
    ItineraryStatus,
    Progress,
    Schedules,
    bag_journey,
    itinerary_state,
    itinerary_status,
    next_deadline,
    recheck_period,
)
from baggage.domain.notifications import notification
from baggage.domain.records import RecordError
from baggage.domain.schedule import RETENTION, Assignment, is_done, parse_assignment
from baggage.domain.stages import Stage
from baggage.jobs import names
from baggage.jobs.dead_letters import DEAD_LETTERS, dead_letter_record, dead_letters_to_topic
from baggage.jobs.keyed_values import KeyedValues
from baggage.jobs.schedules import SCHEDULES, ScheduleBook
from baggage.jobs.sinks import (
    TEXTS,
    columns_of,
    table_texts,
    texts_to_clickhouse,
    texts_to_topic,
    topic_texts,
    topic_to_clickhouse,
)
from baggage.jobs.sources import (
    BYTES,
    KAFKA_KEY,
    KEYED_RECORD_TYPE,
    RECORD,
    RECORD_TYPE,
    KafkaRecord,
    declare_topic,
    keyed_by_first_field,
    stream,
)
from baggage.jobs.timers import millis
from baggage.provision.topics import ASSIGNMENT, BAG_LATEST, NOTIFICATIONS, SCHEDULE
from baggage.settings import Settings

NAME = names.ITINERARY_STATUS
STATUS_TABLE = "itinerary_status"
STATUS_COLUMNS = columns_of(ItineraryStatus)
NOTIFICATION_TABLE = "notifications"
NOTIFICATION_COLUMNS = (
    "created_at",
    "notification_id",
    "itinerary_id",
    "customer_id",
    "journey_state",
    "payload_json",
)

#: From the bags to their itinerary: keyed by itinerary, a packed `_BagUpdate`.
BAG_UPDATE = Types.ROW([Types.STRING(), BYTES])

# However fast the clock runs, a bag looks at the schedules no more often than this (real time).
_SHORTEST_RECHECK = timedelta(minutes=1)


class _BagUpdate(msgspec.Struct, array_like=True):
    """What a bag tells its itinerary; `journey` None: the bag is let go."""

    itinerary_id: str
    bag_id: str
    customer_id: str
    bags_in_itinerary: int
    journey: BagJourney | None


class _Bag(msgspec.Struct, array_like=True):
    """What is kept of a bag in one value: assignment, progress, what its itinerary was told last, and its timers."""

    assignment: Assignment | None = None
    leg_index: int = 0
    stage: Stage = Stage.EXPECTED
    alarm: bool = False
    told: BagJourney | None = None
    timers: list[int] = []

    def progress(self) -> Progress:
        return Progress(self.leg_index, self.stage, self.alarm)


class _Itinerary(msgspec.Struct, array_like=True):
    """What is kept of an itinerary in one value: its bags, the row that was said last, the notifications so far."""

    bags: dict[str, BagJourney]
    said: ItineraryState | None = None
    said_at: datetime | None = None
    notifications: int = 0


_encode = msgspec.msgpack.Encoder().encode
_decode_bag = msgspec.msgpack.Decoder(_Bag).decode
_decode_update = msgspec.msgpack.Decoder(_BagUpdate).decode
_decode_itinerary = msgspec.msgpack.Decoder(_Itinerary).decode


class BagJourneyFunction(KeyedBroadcastProcessFunction):  # type: ignore[misc]
    """Keyed by bag: joins bag, assignment and schedules, and tells the itinerary each change of the bag's journey.

    State: `bag`, the packed `_Bag`; the schedules in the broadcast state. Timers wake the bag up at the deadlines
    of the journey rules; those that it has are part of its value, since to set one again costs as much as to set it.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def open(self, runtime_context: RuntimeContext) -> None:
        """Declare the state."""
        self._bags = KeyedValues(runtime_context, "bag", _encode, _decode_bag)
        self._book = ScheduleBook()

    def process_broadcast_element(self, value: Row, ctx: KeyedBroadcastProcessFunction.Context) -> Iterator[object]:
        """Take one record of flight.schedule.v1; FlightKpiAlert reports the bad ones."""
        self._book.apply(KafkaRecord.of(value[0]), ctx.get_broadcast_state(SCHEDULES))
        yield from ()

    def process_element(
        self, value: tuple[bytes, ...], ctx: KeyedBroadcastProcessFunction.ReadOnlyContext
    ) -> Iterator[object]:
        """Take one record of baggage.bag.latest.v1 or baggage.assignment.v1; a tombstone lets the bag go."""
        record = KafkaRecord.of(value)
        bag_id = record.key_text
        bag = self._bags.get(bag_id) or _Bag()
        if record.value is None:
            yield from self._let_go(bag_id, bag)
            return
        try:
            if record.topic == ASSIGNMENT.name:
                assignment = parse_assignment(record.key, record.value)
                if bag.assignment and bag.assignment.itinerary_id != assignment.itinerary_id:
                    yield from self._leave(bag)
                bag.assignment = assignment
            else:
                latest = parse_bag_latest(record.key, record.value)
                bag.leg_index, bag.stage, bag.alarm = latest.leg_index, Stage[latest.stage], latest.alarm
        except RecordError as error:
            yield DEAD_LETTERS, dead_letter_record(record, error, self._clock.now())
            return
        yield from self._evaluate(bag, ctx)
        self._bags.put(bag_id, bag)

    def on_timer(self, timestamp: int, ctx: KeyedBroadcastProcessFunction.OnTimerContext) -> Iterator[Row]:
        """Look at the rules again: a deadline has passed, or a schedule may have changed."""
        bag_id: str = ctx.get_current_key()
        bag = self._bags.get(bag_id)
        if bag is None:
            return
        if self._is_done(bag, self._schedules(ctx)):
            yield from self._let_go(bag_id, bag)
            return
        told = bag.told
        bag.timers = [timer for timer in bag.timers if timer != timestamp]
        yield from self._evaluate(bag, ctx)
        if bag.told != told:
            # New timers alone are not worth a write: a bag that does not know its timers sets them again.
            self._bags.put(bag_id, bag)

    def _evaluate(self, bag: _Bag, ctx: KeyedBroadcastProcessFunction.ReadOnlyContext) -> Iterator[Row]:
        """Tell the itinerary if the bag's journey has changed, and wake the bag for the next deadline."""
        assignment = bag.assignment
        if assignment is None:
            return
        now, schedules, progress = self._clock.now(), self._schedules(ctx), bag.progress()
        journey = bag_journey(assignment.legs, progress, schedules, now)
        if journey != bag.told:
            bag.told = journey
            yield _update(assignment, journey)
        timers = []
        deadline = next_deadline(assignment.legs, progress, schedules, now)
        if deadline:
            timers.append(millis(self._clock.real(deadline)))
        last = schedules(assignment.legs[-1].flight_id)
        if last:
            timers.append(millis(self._clock.real(last.arr_time + RETENTION)))
        period = recheck_period(assignment.legs, progress, schedules, now)
        if period:
            timers.append(millis(_next_recheck(assignment.bag_id, period / self._clock.speed)))
        for timer in timers:
            if timer not in bag.timers:
                ctx.timer_service().register_processing_time_timer(timer)
        bag.timers = timers

    def _let_go(self, bag_id: str, bag: _Bag) -> Iterator[Row]:
        self._bags.clear(bag_id)
        yield from self._leave(bag)

    @staticmethod
    def _leave(bag: _Bag) -> Iterator[Row]:
        """Tell the itinerary that the bag is none of its own any more."""
        if bag.assignment and bag.told:
            yield _update(bag.assignment, None)
        bag.told = None

    def _is_done(self, bag: _Bag, schedules: Schedules) -> bool:
        last = schedules(bag.assignment.legs[-1].flight_id) if bag.assignment else None
        return last is not None and is_done(last, self._clock.now())

    def _schedules(self, ctx: KeyedBroadcastProcessFunction.ReadOnlyContext) -> Schedules:
        return self._book.read(lambda: ctx.get_broadcast_state(SCHEDULES))


def _update(assignment: Assignment, journey: BagJourney | None) -> Row:
    """A `BAG_UPDATE`."""
    itinerary_id = assignment.itinerary_id
    update = _BagUpdate(itinerary_id, assignment.bag_id, assignment.customer_id, assignment.bags_in_itinerary, journey)
    return Row(itinerary_id, _encode(update))


def _next_recheck(bag_id: str, period: timedelta) -> datetime:
    """The bag's next recheck, real time: always at the same offset, so that a bag has one such timer of a period.

    The offsets are whole seconds: Flink wakes up for an instant, not for each of the timers that end then.
    """
    step = int(max(period, _SHORTEST_RECHECK).total_seconds())
    offset = zlib.crc32(bag_id.encode()) % step
    seconds = int(datetime.now(UTC).timestamp()) - offset
    return datetime.fromtimestamp((seconds // step + 1) * step + offset, UTC)


class ItineraryStatusFunction(KeyedProcessFunction):  # type: ignore[misc]
    """Keyed by itinerary: takes the worst of its bags, says each change, and notifies of a new journey state.

    State: `itinerary`, the packed `_Itinerary`.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def open(self, runtime_context: RuntimeContext) -> None:
        """Declare the state."""
        self._itineraries = KeyedValues(runtime_context, "itinerary", _encode, _decode_itinerary)

    def process_element(self, value: bytes, _ctx: KeyedProcessFunction.Context) -> Iterator[tuple[str, ...]]:
        """Take the journey of one bag. A bag is let go in silence: its journey is over, nothing has changed."""
        update = _decode_update(value)
        itinerary_id = update.itinerary_id
        itinerary = self._itineraries.get(itinerary_id) or _Itinerary({})
        if update.journey is None:
            itinerary.bags.pop(update.bag_id, None)
            if itinerary.bags:
                self._itineraries.put(itinerary_id, itinerary)
            else:
                self._itineraries.clear(itinerary_id)
            return
        itinerary.bags[update.bag_id] = update.journey
        state = itinerary_state(itinerary_id, update.customer_id, update.bags_in_itinerary, itinerary.bags)
        yield from self._say(itinerary, state)
        itinerary.said = state
        self._itineraries.put(itinerary_id, itinerary)

    def _say(self, itinerary: _Itinerary, state: ItineraryState) -> Iterator[tuple[str, ...]]:
        now = self._clock.now()
        if state == itinerary.said:
            return
        # The table's times are whole seconds: rows of one second would have no order, so each gets a second of its own.
        said_at = now.replace(microsecond=0)
        if itinerary.said_at is not None:
            said_at = max(said_at, itinerary.said_at + timedelta(seconds=1))
        itinerary.said_at = said_at
        yield table_texts(STATUS_TABLE, itinerary_status(state, said_at), STATUS_COLUMNS)
        if itinerary.said is None:
            return
        notice = notification(itinerary.said.journey_state, state, itinerary.notifications + 1, now)
        if notice:
            itinerary.notifications += 1
            yield topic_texts(NOTIFICATIONS, notice)


def build(tables: StreamTableEnvironment, settings: Settings) -> None:
    """Add the job to the environment of `tables`."""
    clock = settings.clock.clock()
    latest = declare_topic(tables, BAG_LATEST, settings, NAME)
    assignment = declare_topic(tables, ASSIGNMENT, settings, NAME)
    schedule = declare_topic(tables, SCHEDULE, settings, NAME)
    by_bag = stream(
        tables,
        f"SELECT {KAFKA_KEY}, {RECORD} FROM {latest} UNION ALL SELECT {KAFKA_KEY}, {RECORD} FROM {assignment}",
        KEYED_RECORD_TYPE,
    )
    schedules = stream(tables, f"SELECT {RECORD} FROM {schedule}", Types.ROW([RECORD_TYPE]))
    bags = (
        keyed_by_first_field(by_bag)
        .connect(schedules.broadcast(SCHEDULES))
        .process(BagJourneyFunction(clock), BAG_UPDATE)
        .name("bag journeys")
        .uid("bag-journey")
    )
    results = (
        keyed_by_first_field(bags)
        .process(ItineraryStatusFunction(clock), TEXTS)
        .name("itinerary states and notifications")
        .uid("itinerary-status")
    )
    tables.create_temporary_view("results", tables.from_data_stream(results))
    statements = tables.create_statement_set()
    texts_to_topic(tables, statements, "results", NOTIFICATIONS, settings)
    dead_letters_to_topic(tables, statements, bags, settings)
    statements.attach_as_datastream()

    texts_to_clickhouse(tables, "results", STATUS_TABLE, STATUS_COLUMNS, settings)
    topic_to_clickhouse(tables, NOTIFICATIONS, "created_at", NOTIFICATION_TABLE, NOTIFICATION_COLUMNS, settings, NAME)
