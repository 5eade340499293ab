"""Job B, FlightKpiAlert: KPI rows and alerts of every active flight, every 10 seconds (specification section 6.2).

Topic of events -> the facts of each event -> the maximum of each fact by flight and bag -> counts by flight, with the
flight's schedule -> an operator that ticks.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import NamedTuple

import msgspec
from pyflink.table import StreamTableEnvironment

from baggage.clock import Clock
from baggage.domain.alerts import Alert
from baggage.domain.flights import Conditions, Flight, FlightOutput, FlightReport
from baggage.domain.stages import Stage
from baggage.jobs import names
from baggage.jobs.dead_letters import write_dead_letters
from baggage.jobs.facts import STAGE_NUMBER, news_json
from baggage.jobs.operators import Context, StateMachineOperator, json_text
from baggage.jobs.progress import ProgressTracker, progress
from baggage.jobs.readers import FlightEventReader, ScheduleReader
from baggage.jobs.sinks import clickhouse_from_topic, results_to_clickhouse, results_to_topic, results_type
from baggage.jobs.sources import changes, keyed, share_topic
from baggage.provision.topics import ALERTS, SCHEDULE
from baggage.settings import KafkaSettings, Settings

NAME = names.FLIGHT_KPI_ALERT
#: Raise it with every change of the state that is kept: the job then starts anew from the topics.
STATE_VERSION = 3
KPI_TABLE = "flight_kpis"
ALERT_TABLE = "alerts"
WITHHELD_TABLE = "withheld_alerts"
UNSCHEDULED_TABLE = "unscheduled_flights"

# A restart makes up for the ticks of an outage of up to this real time.
_CATCH_UP = timedelta(minutes=2)


class _Report(FlightReport, frozen=True, kw_only=True):
    """A report that says of which flight it is."""

    flight_id: str


_decode = msgspec.json.Decoder(_Report).decode


def build(tables: StreamTableEnvironment, settings: Settings) -> None:
    """Add the job to the environment of `tables`."""
    clock = settings.clock.clock()
    share_topic(tables, FlightEventReader(clock), "events", settings, NAME)
    share_topic(tables, ScheduleReader(clock), "schedules", settings, NAME)
    reports = changes(tables, REPORTS)
    results = (
        keyed(reports)
        .connect(progress(tables, ("events", "schedules")))
        .process(FlightOperator(clock, settings.kafka), results_type(FlightResult._fields))
        .name("flight KPIs and alerts")
        .uid("flight-kpi-alert")
    )
    tables.create_temporary_view("results", tables.from_data_stream(results))
    results_to_clickhouse(tables, "results", "kpi", KPI_TABLE, settings)
    results_to_clickhouse(tables, "results", "withheld", WITHHELD_TABLE, settings)
    results_to_clickhouse(tables, "results", "unscheduled", UNSCHEDULED_TABLE, settings)
    statements = tables.create_statement_set()
    results_to_topic(tables, statements, "results", "alert", ALERTS, ("alert_id",), settings)
    write_dead_letters(tables, statements, ("schedules", "results"), settings)
    statements.attach_as_datastream()
    clickhouse_from_topic(tables, ALERTS, Alert, ALERT_TABLE, settings, NAME)


def _counts() -> tuple[str, str]:
    """SQL that counts the bags of a flight that have reached each stage, and that puts the counts in JSON."""
    columns = {
        stage.name.lower(): f"SUM(CASE WHEN stage >= {stage:d} THEN 1 ELSE 0 END)"
        for stage in (Stage.CHECKED_IN, Stage.INDUCTED, Stage.CLEARED, Stage.MAKEUP, Stage.LOADED)
    } | {"bags": "SUM(CASE WHEN stage IS NULL THEN 0 ELSE 1 END)", "events": "SUM(events)"}
    counts = ", ".join(f"{counted} AS {name}" for name, counted in columns.items())
    members = " || ',' || ".join(f"'\"{name}\":' || CAST({name} AS STRING)" for name in columns)
    return counts, f"'{{' || {members} || '}}'"


_COUNTS, _COUNTS_JSON = _counts()
#: A `_Report` for each flight that has bags or a schedule.
REPORTS = f"""
    SELECT flight_id AS k,
        '{{"flight_id":' || JSON_STRING(flight_id)
        || ',"counts":' || {_COUNTS_JSON} || ',"news":' || {news_json("news")} || '}}' AS v,
        flight_id AS id
    FROM (
        SELECT flight_id, {_COUNTS}, MAX(news) AS news
        FROM (
            SELECT flight_id, {STAGE_NUMBER} AS stage, events, CAST(NULL AS STRING) AS news
            FROM (
                SELECT flight_id, COUNT(*) AS events,
                    MAX(reached) AS reached, MAX(loaded) AS loaded, MAX(removed) AS removed
                FROM events WHERE dead_letter IS NULL GROUP BY flight_id, k
            )
            UNION ALL
            SELECT k, CAST(NULL AS INT), CAST(0 AS BIGINT), news
            FROM schedules WHERE dead_letter IS NULL
        )
        GROUP BY flight_id
    )"""


class FlightResult(NamedTuple):
    """What the operator emits: one of these records, in JSON."""

    kpi: str | None = None
    alert: str | None = None
    withheld: str | None = None
    unscheduled: str | None = None
    dead_letter: str | None = None


class FlightOperator(StateMachineOperator[Flight]):
    """Keyed by flight: takes each `_Report`, and emits what is due."""

    job, state, kept, results = NAME, "flight", Flight, FlightResult

    def __init__(self, clock: Clock, kafka: KafkaSettings) -> None:
        super().__init__(clock)
        self._kafka = kafka

    def track_progress(self) -> ProgressTracker:
        """Events and schedules are read here."""
        return ProgressTracker(self._clock, self._kafka, (SCHEDULE,))

    def apply(self, value: str, ctx: Context) -> Iterator[FlightResult]:
        """Take a `_Report`."""
        report = _decode(value)
        flight = self._kept.get(report.flight_id) or Flight(report.flight_id)
        conditions = self._conditions(ctx)
        yield from self._finish(flight, flight.apply(report, conditions), conditions, ctx)

    def wake(self, kept: Flight, ctx: Context) -> Iterator[FlightResult]:
        """Emit what is due."""
        conditions = self._conditions(ctx)
        yield from self._finish(kept, kept.evaluate(conditions), conditions, ctx)

    def _conditions(self, ctx: Context) -> Conditions:
        real_now = self.real_now(ctx)
        return Conditions(
            now=self._clock.at(real_now),
            freshness_sec=self._progress.freshness_sec(ctx),
            backlog_is_read=self._progress.is_backlog_read(real_now, ctx),
            catch_up=_CATCH_UP * self._clock.speed,
        )

    def _finish(
        self, flight: Flight, output: FlightOutput, conditions: Conditions, ctx: Context
    ) -> Iterator[FlightResult]:
        """Store the flight, set its timer, and emit."""
        if flight.is_expired(conditions.now):
            self._kept.clear(flight.flight_id)
        else:
            self._kept.put(flight.flight_id, flight)
        if output.wake_up:
            self.wake_up(flight.flight_id, self._clock.real(output.wake_up), ctx)
        yield from (FlightResult(kpi=json_text(kpi)) for kpi in output.kpis)
        yield from (FlightResult(alert=json_text(alert)) for alert in output.alerts)
        yield from (FlightResult(withheld=json_text(alert)) for alert in output.withheld)
        if output.unscheduled:
            yield FlightResult(unscheduled=json_text(output.unscheduled))
