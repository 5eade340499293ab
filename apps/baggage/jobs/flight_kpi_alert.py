"""Job B, FlightKpiAlert: KPI rows and alerts of every active flight, every 10 seconds (specification section 6.2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from pyflink.common import Row, Types
from pyflink.datastream import KeyedBroadcastProcessFunction, RuntimeContext
from pyflink.datastream.state import MapStateDescriptor, ValueStateDescriptor
from pyflink.table import StreamTableEnvironment

from baggage.clock import Clock
from baggage.domain.alerts import evaluate
from baggage.domain.events import parse_event
from baggage.domain.kpis import (
    ACTIVE_BEFORE_DEPARTURE,
    KPI_INTERVAL,
    FlightKpi,
    StageCounts,
    flight_kpi,
    freshness,
    is_active,
    tick_at_or_after,
)
from baggage.domain.records import RecordError
from baggage.domain.schedule import RETENTION, FlightSchedule, is_done
from baggage.domain.stages import Stage, stage_of
from baggage.jobs import names
from baggage.jobs.dead_letters import DEAD_LETTERS, dead_letter_record, dead_letters_to_topic
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
    KAFKA_KEY,
    KEYED_RECORD_TYPE,
    RECORD,
    RECORD_TYPE,
    KafkaRecord,
    declare_topic,
    json_field,
    keyed_by_first_field,
    stream,
)
from baggage.jobs.timers import millis
from baggage.provision.topics import ALERTS, EVENTS, SCHEDULE
from baggage.settings import Settings

NAME = names.FLIGHT_KPI_ALERT
KPI_TABLE = "flight_kpis"
KPI_COLUMNS = columns_of(FlightKpi)
ALERT_TABLE = "alerts"
ALERT_COLUMNS = ("created_at", "alert_id", "flight_id", "severity", "rule_id", "payload_json")

# A restart makes up for the ticks of an outage of up to this real time; after a longer one they would only say, for
# every past minute, what was known before it.
_CATCH_UP = timedelta(minutes=2)
_SCHEDULE_RETRY = timedelta(seconds=1)
_SCHEDULE_RETRIES = 60


@dataclass
class _Flight:
    """What is known of a flight: the stage of each of its bags, their counts, and the next KPI tick."""

    stages: dict[str, Stage]
    next_tick: datetime | None
    counts: StageCounts = field(init=False)

    def __post_init__(self) -> None:
        self.counts = StageCounts(self.stages.values())


class FlightKpiAlertFunction(KeyedBroadcastProcessFunction):  # type: ignore[misc]
    """Keyed by flight: events count its bags, and its schedule starts its ticks, even if no bag ever comes.

    State: `stages`, bag id to stage; `next_tick`, in milliseconds; the schedules in the broadcast state. All are
    read once and then kept beside it, as a restart makes a new operator; every change is written through.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def open(self, runtime_context: RuntimeContext) -> None:
        """Declare the state."""
        self._stages = runtime_context.get_map_state(MapStateDescriptor("stages", Types.STRING(), Types.INT()))
        self._next_tick = runtime_context.get_state(ValueStateDescriptor("next_tick", Types.LONG()))
        self._flights: dict[str, _Flight] = {}
        self._retries: Counter[str] = Counter()
        self._book = ScheduleBook()
        self._newest_ingest = self._clock.now()

    def process_broadcast_element(self, value: Row, ctx: KeyedBroadcastProcessFunction.Context) -> Iterator[object]:
        """Take one record of flight.schedule.v1 as the schedule to look up."""
        record = KafkaRecord.of(value[0])
        error = self._book.apply(record, ctx.get_broadcast_state(SCHEDULES))
        if error is not None:
            yield DEAD_LETTERS, dead_letter_record(record, error, self._clock.now())

    def process_element(
        self, value: tuple[bytes, ...], ctx: KeyedBroadcastProcessFunction.ReadOnlyContext
    ) -> Iterator[object]:
        """Take one record of baggage.events.v1, or of flight.schedule.v1 as the start of the flight's ticks."""
        record = KafkaRecord.of(value)
        now = self._clock.now()
        if record.topic == SCHEDULE.name:
            flight_id = record.key_text
            if record.value is None:
                self._let_go(flight_id)
                self._retries.pop(flight_id, None)
            else:
                yield from self._tick(flight_id, now, ctx)
            return
        try:
            event = parse_event(record.key, record.value)
        except RecordError:
            return
        flight_id = event.flight_id
        self._newest_ingest = max(self._newest_ingest, event.ingest_time)
        flight = self._load(flight_id)
        before, after = flight.stages.get(event.bag_id, Stage.EXPECTED), stage_of(event.event_type)
        if after <= before:
            return
        schedule = self._schedule(flight_id, ctx)
        if schedule and is_done(schedule, now):
            self._let_go(flight_id)
            return
        if flight.next_tick and flight.next_tick <= now:
            # What is due is said before the event counts: a tick never knows what came after it.
            yield from self._tick(flight_id, now, ctx)
        self._stages.put(event.bag_id, int(after))
        flight.stages[event.bag_id] = after
        flight.counts.move(before, after)
        if schedule is None:
            self._wake(now + RETENTION, ctx)
        elif now >= schedule.dep_time:
            # The last row of a departed flight must count its late scans.
            self._wake(tick_at_or_after(now), ctx)

    def on_timer(self, _timestamp: int, ctx: KeyedBroadcastProcessFunction.OnTimerContext) -> Iterator[tuple[str, ...]]:
        """Say what is due. Timers only wake the flight up; its own state tells what there is to do."""
        now = self._clock.now()
        flight_id: str = ctx.get_current_key()
        yield from self._tick(flight_id, now, ctx)
        schedule = self._schedule(flight_id, ctx)
        if schedule and schedule.dep_time <= now and not is_done(schedule, now):
            kpi = self._kpi(self._load(flight_id), schedule, tick_at_or_after(now - KPI_INTERVAL))
            yield table_texts(KPI_TABLE, kpi, KPI_COLUMNS)

    def _tick(
        self, flight_id: str, now: datetime, ctx: KeyedBroadcastProcessFunction.ReadOnlyContext
    ) -> Iterator[tuple[str, ...]]:
        """Say the KPI row and the alerts of every tick that is due, and wake the flight for the next."""
        schedule = self._schedule(flight_id, ctx)
        if schedule is None:
            # The keyed side can be ahead of the broadcast side; a bad record never comes there.
            self._retries[flight_id] += 1
            if self._retries[flight_id] <= _SCHEDULE_RETRIES:
                self._wake(now + _SCHEDULE_RETRY * self._clock.speed, ctx)
            return
        self._retries.pop(flight_id, None)
        if is_done(schedule, now):
            self._let_go(flight_id)
            return
        flight = self._load(flight_id)
        due = flight.next_tick
        earliest = max(schedule.dep_time - ACTIVE_BEFORE_DEPARTURE, now - _CATCH_UP * self._clock.speed)
        tick = tick_at_or_after(now if due is None else due)
        tick = max(tick, tick_at_or_after(earliest))
        while tick <= now and is_active(schedule, tick):
            kpi = self._kpi(flight, schedule, tick)
            yield table_texts(KPI_TABLE, kpi, KPI_COLUMNS)
            for alert in evaluate(kpi):
                yield topic_texts(ALERTS, alert)
            tick += KPI_INTERVAL
        if tick != due:
            flight.next_tick = tick
            self._next_tick.update(millis(tick))
        # The tick at or after the departure is not active: `on_timer` makes it the flight's last row.
        self._wake(tick if tick > now else schedule.arr_time + RETENTION, ctx)

    def _kpi(self, flight: _Flight, schedule: FlightSchedule, tick: datetime) -> FlightKpi:
        return flight_kpi(schedule, flight.counts, freshness(self._newest_ingest, self._clock.now()), tick)

    def _schedule(self, flight_id: str, ctx: KeyedBroadcastProcessFunction.ReadOnlyContext) -> FlightSchedule | None:
        return self._book.read(lambda: ctx.get_broadcast_state(SCHEDULES))(flight_id)

    def _wake(self, when: datetime, ctx: KeyedBroadcastProcessFunction.ReadOnlyContext) -> None:
        ctx.timer_service().register_processing_time_timer(millis(self._clock.real(when)))

    def _load(self, flight_id: str) -> _Flight:
        """The flight of the current key."""
        flight = self._flights.get(flight_id)
        if flight is None:
            next_tick = self._next_tick.value()
            flight = _Flight(
                {bag_id: Stage(stage) for bag_id, stage in self._stages.items()},
                None if next_tick is None else datetime.fromtimestamp(next_tick / 1000, UTC),
            )
            self._flights[flight_id] = flight
        return flight

    def _let_go(self, flight_id: str) -> None:
        self._stages.clear()
        self._next_tick.clear()
        self._flights.pop(flight_id, None)


def build(tables: StreamTableEnvironment, settings: Settings) -> None:
    """Add the job to the environment of `tables`."""
    events = declare_topic(tables, EVENTS, settings, NAME, event_time=True)
    schedule = declare_topic(tables, SCHEDULE, settings, NAME)
    by_flight = stream(
        tables,
        f"SELECT COALESCE({json_field('flight_id')}, ''), {RECORD} FROM {events} "
        f"UNION ALL SELECT {KAFKA_KEY}, {RECORD} FROM {schedule}",
        KEYED_RECORD_TYPE,
    )
    schedules = stream(tables, f"SELECT {RECORD} FROM {schedule}", Types.ROW([RECORD_TYPE]))
    results = (
        keyed_by_first_field(by_flight)
        .connect(schedules.broadcast(SCHEDULES))
        .process(FlightKpiAlertFunction(settings.clock.clock()), TEXTS)
        .name("flight KPIs and alerts")
        .uid("flight-kpi-alert")
    )
    tables.create_temporary_view("results", tables.from_data_stream(results))
    statements = tables.create_statement_set()
    texts_to_topic(tables, statements, "results", ALERTS, settings)
    dead_letters_to_topic(tables, statements, results, settings)
    statements.attach_as_datastream()

    texts_to_clickhouse(tables, "results", KPI_TABLE, KPI_COLUMNS, settings)
    topic_to_clickhouse(tables, ALERTS, "now", ALERT_TABLE, ALERT_COLUMNS, settings, NAME)
