"""Job A, BagLatest: the latest state of every bag (specification section 6.1)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

import msgspec
from pyflink.common import Row, Types
from pyflink.common.time import Time
from pyflink.datastream import KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import MapStateDescriptor, StateTtlConfig, ValueStateDescriptor
from pyflink.table import StreamTableEnvironment

from baggage.clock import Clock
from baggage.domain.bags import BagLatest, BagState, bag_latest
from baggage.domain.events import BaggageEvent, parse_event
from baggage.domain.records import RecordError
from baggage.domain.schedule import RETENTION
from baggage.jobs import names
from baggage.jobs.dead_letters import DEAD_LETTERS, dead_letter_row, dead_letters_to_clickhouse
from baggage.jobs.sinks import KEY_VALUE, clickhouse_time, columns_of, row_type, to_clickhouse, to_topic
from baggage.jobs.sources import (
    KAFKA_KEY,
    KEYED_RECORD_TYPE,
    RECORD,
    KafkaRecord,
    complete,
    declare_json_topic,
    declare_topic,
    keyed_by_first_field,
    stream,
)
from baggage.jobs.timers import millis
from baggage.provision.topics import BAG_LATEST, DEAD_LETTER, EVENTS
from baggage.settings import Settings

NAME = names.BAG_LATEST
TABLE = "bag_latest"
# The table has no column for the alarm; it is for ItineraryStatus.
COLUMNS = columns_of(BagLatest, without=("alarm",))

_CACHED_BAGS = 50_000


class _Bag(msgspec.Struct, array_like=True):
    """What is kept of a bag in one value: its state and when it was last written."""

    state: BagState
    touched: datetime


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Bag).decode


class BagLatestFunction(KeyedProcessFunction):  # type: ignore[misc]
    """Keyed by bag: joins the events of a bag and says its state whenever it changes.

    State: `bag`, the packed `_Bag`; `seen`, the event ids of the last 48 hours. Both are read once and then kept in
    a cache, which a restart empties; every change is written through.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def open(self, runtime_context: RuntimeContext) -> None:
        """Declare the state."""
        self._bag = runtime_context.get_state(ValueStateDescriptor("bag", Types.PICKLED_BYTE_ARRAY()))
        seen = MapStateDescriptor("seen", Types.LONG(), Types.BOOLEAN())
        retention = Time.milliseconds(int(RETENTION.total_seconds() * 1000 / self._clock.speed))
        seen.enable_time_to_live(
            StateTtlConfig.new_builder(retention).cleanup_in_rocksdb_compact_filter(1000, Time.days(30)).build()
        )
        self._seen = runtime_context.get_map_state(seen)
        self._cache: OrderedDict[str, tuple[_Bag | None, set[int]]] = OrderedDict()

    def process_element(self, value: Row, ctx: KeyedProcessFunction.Context) -> Iterator[object]:
        """Take one record of baggage.events.v1."""
        record = KafkaRecord.of(value)
        now = self._clock.now()
        try:
            event = parse_event(record.key, record.value)
        except RecordError as error:
            yield DEAD_LETTERS, dead_letter_row(record, error, now)
            return
        bag, seen = self._load(event.bag_id)
        event_id = _short(event.event_id)
        if event_id in seen:
            return
        self._seen.put(event_id, True)
        seen.add(event_id)
        yield from self._join(event, bag, seen, now, ctx)

    def _join(
        self, event: BaggageEvent, bag: _Bag | None, seen: set[int], now: datetime, ctx: KeyedProcessFunction.Context
    ) -> Iterator[Row]:
        state = BagState.of(event)
        if bag is None:
            ctx.timer_service().register_processing_time_timer(millis(self._clock.real(now + RETENTION)))
        else:
            state = bag.state.join(state)
            if state == bag.state:
                return
        bag = _Bag(state, now)
        self._bag.update(_encode(bag))
        self._cache[event.bag_id] = (bag, seen)
        yield Row(event.bag_id, bag_latest(event.bag_id, state, now).to_json().decode())

    def on_timer(self, _timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Iterator[Row]:
        """Let go of a bag that nothing was heard of for 48 hours, here and on the topic."""
        bag_id: str = ctx.get_current_key()
        bag, _ = self._load(bag_id)
        if bag is None:
            return
        expiry = bag.touched + RETENTION
        if self._clock.now() < expiry:
            ctx.timer_service().register_processing_time_timer(millis(self._clock.real(expiry)))
            return
        self._bag.clear()
        self._seen.clear()
        self._cache.pop(bag_id, None)
        yield Row(bag_id, None)

    def _load(self, bag_id: str) -> tuple[_Bag | None, set[int]]:
        """The bag of the current key, from the cache or else from the state."""
        cached = self._cache.get(bag_id)
        if cached is not None:
            self._cache.move_to_end(bag_id)
            return cached
        packed = self._bag.value()
        loaded = (_decode(packed), set(self._seen.keys())) if packed else (None, set[int]())
        self._cache[bag_id] = loaded
        if len(self._cache) > _CACHED_BAGS:
            self._cache.popitem(last=False)
        return loaded


def _short(event_id: UUID) -> int:
    """Eight of the sixteen bytes of an event id, as a signed long: enough among the few events of one bag."""
    return int.from_bytes(event_id.bytes[8:], signed=True)


def build(tables: StreamTableEnvironment, settings: Settings) -> None:
    """Add the job to the environment of `tables`."""
    build_topic(tables, settings)
    latest = declare_json_topic(tables, BAG_LATEST, COLUMNS, settings, NAME)
    selected = ", ".join(clickhouse_time(c) if c in _TIMES else c for c in COLUMNS)
    to_clickhouse(
        stream(tables, f"SELECT {selected} FROM {latest} WHERE {complete(COLUMNS)}", row_type(COLUMNS)),
        TABLE,
        COLUMNS,
        settings,
    )
    dead_letters_to_clickhouse(tables, settings, NAME)


def build_topic(tables: StreamTableEnvironment, settings: Settings) -> None:
    """The part of the job from Kafka to Kafka, which ClickHouse is fed from."""
    events = declare_topic(tables, EVENTS, settings, NAME, event_time=True)
    bags = (
        keyed_by_first_field(stream(tables, f"SELECT {KAFKA_KEY}, ROW({RECORD}) FROM {events}", KEYED_RECORD_TYPE))
        .process(BagLatestFunction(settings.clock.clock()), KEY_VALUE)
        .name("bag latest")
        .uid("bag-latest")
    )
    statements = tables.create_statement_set()
    to_topic(tables, statements, BAG_LATEST, bags, settings)
    to_topic(tables, statements, DEAD_LETTER, bags.get_side_output(DEAD_LETTERS), settings)
    statements.attach_as_datastream()


_TIMES = ("ts", "last_event_time")
