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
from pyflink.datastream.state import ValueStateDescriptor
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
    connecting_leg,
    itinerary_state,
    itinerary_status,
    next_deadline,
)
from baggage.domain.notifications import notification
from baggage.domain.records import RecordError
from baggage.domain.schedule import RETENTION, Assignment, is_done, parse_assignment
from baggage.domain.stages import Stage
from baggage.jobs import names
from baggage.jobs.dead_letters import DEAD_LETTERS, dead_letter_record, dead_letters_to_topic
from baggage.jobs.schedules import SCHEDULES, ScheduleBook
from baggage.jobs.sinks import clickhouse_row, clickhouse_time, columns_of, row_type, to_clickhouse, to_topic
from baggage.jobs.sources import (
    BYTES,
    KAFKA_KEY,
    KEYED_RECORD_TYPE,
    RECORD,
    RECORD_TYPE,
    KafkaRecord,
    complete,
    declare_topic,
    json_field,
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
BAG_UPDATE = Types.ROW([Types.STRING(), Types.PICKLED_BYTE_ARRAY()])
#: One result: a notification for Kafka (k, v) or a row for itinerary_status.
RESULT = Types.ROW_NAMED(["k", "v", "status"], [Types.STRING(), BYTES, row_type(STATUS_COLUMNS)])

# A bag that waits for a connection looks at the schedules this often (real time), as they may change.
_RECHECK = timedelta(minutes=1)


class _BagUpdate(msgspec.Struct, array_like=True):
    """What a bag tells its itinerary; `journey` None: the bag is let go."""

    bag_id: str
    customer_id: str
    bags_in_itinerary: int
    journey: BagJourney | None


class _Bag(msgspec.Struct, array_like=True):
    """What is kept of a bag in one value: assignment, progress, and what its itinerary was told last."""

    assignment: Assignment | None = None
    leg_index: int = 0
    stage: Stage = Stage.EXPECTED
    alarm: bool = False
    told: BagJourney | None = None

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
    of the journey rules.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def open(self, runtime_context: RuntimeContext) -> None:
        """Declare the state."""
        self._bag = runtime_context.get_state(ValueStateDescriptor("bag", Types.PICKLED_BYTE_ARRAY()))
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
        packed = self._bag.value()
        bag = _decode_bag(packed) if packed else _Bag()
        if record.value is None:
            yield from self._let_go(bag)
            return
        try:
            if record.topic == ASSIGNMENT.name:
                assignment = parse_assignment(record.key, record.value)
                if bag.assignment and bag.assignment.itinerary_id != assignment.itinerary_id:
                    yield from self._let_go(bag)
                    bag.told = None
                bag.assignment = assignment
            else:
                latest = parse_bag_latest(record.key, record.value)
                bag.leg_index, bag.stage, bag.alarm = latest.leg_index, Stage[latest.stage], latest.alarm
        except RecordError as error:
            yield DEAD_LETTERS, dead_letter_record(record, error, self._clock.now())
            return
        yield from self._evaluate(bag, ctx)
        self._bag.update(_encode(bag))

    def on_timer(self, _timestamp: int, ctx: KeyedBroadcastProcessFunction.OnTimerContext) -> Iterator[Row]:
        """Look at the rules again: a deadline has passed, or a schedule may have changed."""
        packed = self._bag.value()
        if not packed:
            return
        bag = _decode_bag(packed)
        told = bag.told
        done = self._is_done(bag, self._schedules(ctx))
        yield from self._let_go(bag) if done else self._evaluate(bag, ctx)
        if not done and bag.told != told:
            self._bag.update(_encode(bag))

    def _evaluate(self, bag: _Bag, ctx: KeyedBroadcastProcessFunction.ReadOnlyContext) -> Iterator[Row]:
        """Tell the itinerary if the bag's journey has changed, and wake the bag for the next deadline."""
        assignment = bag.assignment
        if assignment is None:
            return
        now, schedules, progress = self._clock.now(), self._schedules(ctx), bag.progress()
        journey = bag_journey(assignment.legs, progress, schedules, now)
        if journey != bag.told:
            bag.told = journey
            update = _BagUpdate(assignment.bag_id, assignment.customer_id, assignment.bags_in_itinerary, journey)
            yield Row(assignment.itinerary_id, _encode(update))
        deadline = next_deadline(assignment.legs, progress, schedules, now)
        if deadline:
            self._wake(self._clock.real(deadline), ctx)
        last = schedules(assignment.legs[-1].flight_id)
        if last:
            self._wake(self._clock.real(last.arr_time + RETENTION), ctx)
        if last is None or connecting_leg(assignment.legs, progress):
            self._wake(_next_recheck(assignment.bag_id), ctx)

    def _let_go(self, bag: _Bag) -> Iterator[Row]:
        self._bag.clear()
        assignment = bag.assignment
        if assignment and bag.told:
            update = _BagUpdate(assignment.bag_id, assignment.customer_id, assignment.bags_in_itinerary, None)
            yield Row(assignment.itinerary_id, _encode(update))

    def _is_done(self, bag: _Bag, schedules: Schedules) -> bool:
        last = schedules(bag.assignment.legs[-1].flight_id) if bag.assignment else None
        return last is not None and is_done(last, self._clock.now())

    def _schedules(self, ctx: KeyedBroadcastProcessFunction.ReadOnlyContext) -> Schedules:
        return self._book.read(lambda: ctx.get_broadcast_state(SCHEDULES))

    def _wake(self, real: datetime, ctx: KeyedBroadcastProcessFunction.ReadOnlyContext) -> None:
        ctx.timer_service().register_processing_time_timer(millis(real))


def _next_recheck(bag_id: str) -> datetime:
    """The bag's next recheck, real time: always at the same offset, so that a bag has one such timer only."""
    period = _RECHECK.total_seconds()
    offset = zlib.crc32(bag_id.encode()) % 60_000 / 60_000 * period
    seconds = datetime.now(UTC).timestamp() - offset
    return datetime.fromtimestamp((seconds // period + 1) * period + offset, UTC)


class ItineraryStatusFunction(KeyedProcessFunction):  # type: ignore[misc]
    """Keyed by itinerary: takes the worst of its bags, says each change, and notifies of a new journey state.

    State: `itinerary`, the packed `_Itinerary`.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def open(self, runtime_context: RuntimeContext) -> None:
        """Declare the state."""
        self._itinerary = runtime_context.get_state(ValueStateDescriptor("itinerary", Types.PICKLED_BYTE_ARRAY()))

    def process_element(self, value: Row, ctx: KeyedProcessFunction.Context) -> Iterator[Row]:
        """Take the journey of one bag. A bag is let go in silence: its journey is over, nothing has changed."""
        itinerary_id: str = ctx.get_current_key()
        update = _decode_update(value)
        packed = self._itinerary.value()
        itinerary = _decode_itinerary(packed) if packed else _Itinerary({})
        if update.journey is None:
            itinerary.bags.pop(update.bag_id, None)
            if itinerary.bags:
                self._itinerary.update(_encode(itinerary))
            else:
                self._itinerary.clear()
            return
        itinerary.bags[update.bag_id] = update.journey
        state = itinerary_state(itinerary_id, update.customer_id, update.bags_in_itinerary, itinerary.bags)
        yield from self._say(itinerary, state)
        itinerary.said = state
        self._itinerary.update(_encode(itinerary))

    def _say(self, itinerary: _Itinerary, state: ItineraryState) -> Iterator[Row]:
        now = self._clock.now()
        if state == itinerary.said:
            return
        # The table's times are whole seconds: rows of one second would have no order, so each gets a second of its own.
        said_at = now.replace(microsecond=0)
        if itinerary.said_at is not None:
            said_at = max(said_at, itinerary.said_at + timedelta(seconds=1))
        itinerary.said_at = said_at
        yield Row(None, None, clickhouse_row(itinerary_status(state, said_at), STATUS_COLUMNS))
        if itinerary.said is None:
            return
        notice = notification(itinerary.said.journey_state, state, itinerary.notifications + 1, now)
        if notice:
            itinerary.notifications += 1
            yield Row(notice.key(), notice.to_json(), None)


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
        .process(ItineraryStatusFunction(clock), RESULT)
        .name("itinerary states and notifications")
        .uid("itinerary-status")
    )
    tables.create_temporary_view("results", tables.from_data_stream(results))
    statements = tables.create_statement_set()
    to_topic(
        tables,
        statements,
        NOTIFICATIONS,
        tables.sql_query("SELECT k, v FROM results WHERE k IS NOT NULL"),
        settings,
    )
    dead_letters_to_topic(tables, statements, bags, settings)
    statements.attach_as_datastream()

    columns = ", ".join(f"status.{column}" for column in STATUS_COLUMNS)
    statuses = stream(tables, f"SELECT {columns} FROM results WHERE status IS NOT NULL", row_type(STATUS_COLUMNS))
    to_clickhouse(statuses, STATUS_TABLE, STATUS_COLUMNS, settings)

    records = declare_topic(tables, NOTIFICATIONS, settings, NAME)
    columns = ", ".join(
        [clickhouse_time(json_field("created_at")), *map(json_field, NOTIFICATION_COLUMNS[1:-1]), "CAST(v AS STRING)"]
    )
    rows = stream(
        tables,
        f"SELECT {columns} FROM {records} WHERE {complete(map(json_field, NOTIFICATION_COLUMNS[1:-1]))}",
        row_type(NOTIFICATION_COLUMNS),
    )
    to_clickhouse(rows, NOTIFICATION_TABLE, NOTIFICATION_COLUMNS, settings)
