"""Job A, BagLatest: the latest state of every bag (specification section 6.1)."""

from __future__ import annotations

from collections.abc import Iterator

from pyflink.datastream import KeyedProcessFunction, RuntimeContext
from pyflink.table import StreamTableEnvironment

from baggage.clock import Clock
from baggage.domain.bags import Bag, BagLatest, pack_bag, unpack_bag
from baggage.domain.events import parse_event
from baggage.domain.records import RecordError
from baggage.domain.schedule import RETENTION
from baggage.jobs import names
from baggage.jobs.dead_letters import (
    DEAD_LETTERS,
    dead_letter_record,
    dead_letters_to_clickhouse,
    dead_letters_to_topic,
)
from baggage.jobs.keyed_values import KeyedValues
from baggage.jobs.sinks import (
    KEY_VALUE,
    TOMBSTONE,
    clickhouse_time,
    columns_of,
    key_values,
    row_type,
    to_clickhouse,
    to_topic,
)
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
from baggage.provision.topics import BAG_LATEST, EVENTS
from baggage.settings import Settings

NAME = names.BAG_LATEST
TABLE = "bag_latest"
# The table has no column for the alarm; it is for ItineraryStatus.
COLUMNS = columns_of(BagLatest, without=("alarm",))


class BagLatestFunction(KeyedProcessFunction):  # type: ignore[misc]
    """Keyed by bag: joins the events of a bag and says its state whenever it changes.

    State: `bag`, the packed `Bag`.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def open(self, runtime_context: RuntimeContext) -> None:
        """Declare the state."""
        self._bags = KeyedValues(runtime_context, "bag", pack_bag, unpack_bag)

    def process_element(self, value: tuple[bytes, ...], ctx: KeyedProcessFunction.Context) -> Iterator[object]:
        """Take one record of baggage.events.v1."""
        record = KafkaRecord.of(value)
        now = self._clock.now()
        try:
            event = parse_event(record.key, record.value)
        except RecordError as error:
            yield DEAD_LETTERS, dead_letter_record(record, error, now)
            return
        bag = self._bags.get(event.bag_id) or Bag()
        if bag.has_seen(event):
            return
        if bag.state is None:
            ctx.timer_service().register_processing_time_timer(millis(self._clock.real(now + RETENTION)))
        latest = bag.take(event, now)
        self._bags.put(event.bag_id, bag)
        if latest is not None:
            yield event.bag_id, latest.to_json()

    def on_timer(self, _timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Iterator[object]:
        """Let go of a bag that nothing was heard of for 48 hours, here and on the topic."""
        bag_id: str = ctx.get_current_key()
        bag = self._bags.get(bag_id)
        expiry = bag.expiry() if bag else None
        if expiry is None:
            return
        if self._clock.now() < expiry:
            ctx.timer_service().register_processing_time_timer(millis(self._clock.real(expiry)))
            return
        self._bags.clear(bag_id)
        yield bag_id, TOMBSTONE


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
        keyed_by_first_field(stream(tables, f"SELECT {KAFKA_KEY}, {RECORD} FROM {events}", KEYED_RECORD_TYPE))
        .process(BagLatestFunction(settings.clock.clock()), KEY_VALUE)
        .name("bag latest")
        .uid("bag-latest")
    )
    statements = tables.create_statement_set()
    to_topic(tables, statements, BAG_LATEST, key_values(tables, bags, "bag_records"), settings)
    dead_letters_to_topic(tables, statements, bags, settings)
    statements.attach_as_datastream()


_TIMES = ("ts", "last_event_time")
