"""The KPI tick with many active flights: how long until all their rows can be read, and the CPU that a tick takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from clickhouse_connect.driver.client import Client
from rich.console import Console

from baggage.domain.events import BaggageEvent
from baggage.domain.kpis import ACTIVE_BEFORE_DEPARTURE, KPI_INTERVAL, tick_at_or_after
from baggage.domain.schedule import FlightSchedule
from baggage.domain.stages import EventType
from baggage.provision.schema import connect
from baggage.provision.topics import EVENTS, SCHEDULE
from baggage.settings import Settings
from tests.bench.pipeline import processes, servers
from tests.bench.producer import produce, producer
from tests.bench.progress import Progress, progress
from tests.bench.report import Report
from tests.bench.servers import submit
from tests.bench.usage import Meter

_BAGS_A_FLIGHT = 10
_EXPECTED_BAGS = 190
# No flight becomes active or departs so close to the measurement.
_MARGIN = timedelta(minutes=15)
_CUTOFF = timedelta(minutes=40)
_FLIGHT_TIME = timedelta(hours=1)
_REST_SECONDS = 60
_IDLE_SECONDS = 30
_SETTLING_TICKS = 6
_BETWEEN_LOOKS = 0.1


def measure(settings: Settings, report: Report, console: Console, flights: int, ticks: int, directory: Path) -> None:
    """Measure so many ticks of so many flights; those near their cutoff, a sixth, have alerts, too."""
    interval = KPI_INTERVAL.total_seconds()
    with servers(settings, directory / "state") as runtime:
        submit("tests.bench.flink_flight_kpi_alert", runtime.environment(), directory)
        with progress(console, "tick: the job comes to rest", _REST_SECONDS):
            time.sleep(_REST_SECONDS)
        with progress(console, "tick: the job without a flight", _IDLE_SECONDS), Meter(processes(runtime)) as meter:
            time.sleep(_IDLE_SECONDS)
            idle = {name: cpu / _IDLE_SECONDS for name, cpu in meter.cpu().items()}
        sender = producer(runtime.settings.kafka, linger_ms=20)
        schedules = list(_schedules(flights, datetime.now(UTC)))
        for schedule in schedules:
            produce(sender, SCHEDULE.name, schedule.key(), schedule.to_json())
        sender.flush()
        for event in _loadings(schedules):
            produce(sender, EVENTS.name, event.key(), event.to_json())
        sender.flush()
        database = runtime.settings.clickhouse.database
        with connect(runtime.settings.clickhouse) as client:
            with progress(console, f"tick: {flights:,} flights become active", _SETTLING_TICKS) as shown:
                _delays(client, database, flights, _SETTLING_TICKS, shown)
            with progress(console, f"tick: {flights:,} flights", ticks) as shown, Meter(processes(runtime)) as meter:
                started = time.monotonic()
                delays = _delays(client, database, flights, ticks, shown)
                elapsed = time.monotonic() - started
                cores = {name: cpu / elapsed for name, cpu in meter.cpu().items()}
            newest = f"(SELECT max(created_at) FROM {database}.alerts)"
            alerts = client.command(f"SELECT count() FROM {database}.alerts WHERE created_at = {newest}")
    row = {
        "flights": flights,
        "ticks": len(delays),
        "alerts": alerts,
        "all rows readable, median s": sorted(delays)[len(delays) // 2],
        "max s": max(delays),
        "CPU s/tick": {name: (cores[name] - idle[name]) * interval for name in cores},
        "idle cores": idle,
    }
    report.add(
        "tick", f"A KPI tick of {flights:,} active flights", [row], "CPU: above that of the job without a flight"
    )


def _schedules(flights: int, now: datetime) -> Iterator[FlightSchedule]:
    """Flights that are active now, their departures spread evenly."""
    first, last = now + _MARGIN, now + ACTIVE_BEFORE_DEPARTURE - _MARGIN
    for number in range(flights):
        departure = (first + (last - first) * number / flights).replace(microsecond=0)
        yield FlightSchedule(
            flight_id=f"BA{number:04d}|{departure:%Y-%m-%d}|LHR->AMS",
            airport_origin="LHR",
            airport_dest="AMS",
            dep_time=departure,
            arr_time=departure + _FLIGHT_TIME,
            bag_cutoff_time=departure - _CUTOFF,
            expected_bags=_EXPECTED_BAGS,
        )


def _loadings(schedules: list[FlightSchedule]) -> Iterator[BaggageEvent]:
    """Some loaded bags of each flight."""
    now = datetime.now(UTC)
    for schedule in schedules:
        for _ in range(_BAGS_A_FLIGHT):
            event_id = uuid4()
            yield BaggageEvent(
                event_id=event_id,
                bag_id=f"BAG{event_id.hex[:12]}",
                itinerary_id=f"ITI{event_id.hex[:12]}",
                customer_id=f"CUST{event_id.hex[:12]}",
                flight_id=schedule.flight_id,
                leg_index=0,
                airport=schedule.airport_origin,
                event_type=EventType.LOADED_ON_AIRCRAFT,
                event_time=now,
                ingest_time=now,
                scan_point_id="LHR_RAMP_01",
                reader_type="HANDHELD",
                confidence=0.97,
                attributes={},
            )


def _delays(client: Client, database: str, flights: int, ticks: int, shown: Progress) -> list[float]:
    """For each of the next ticks the seconds from its time until the rows of all flights can be read."""
    tick = tick_at_or_after(datetime.now(UTC))
    delays: list[float] = []
    query = f"SELECT uniqExact(flight_id) FROM {database}.flight_kpis WHERE ts = %(tick)s"
    deadline = time.monotonic() + 60 + 5 * ticks * KPI_INTERVAL.total_seconds()
    while len(delays) < ticks:
        if time.monotonic() > deadline:
            raise TimeoutError(f"the rows of {tick} are not complete")
        late = (datetime.now(UTC) - tick).total_seconds()
        if late > 0 and client.query(query, parameters={"tick": tick}).result_rows[0][0] >= flights:
            delays.append((datetime.now(UTC) - tick).total_seconds())
            tick += KPI_INTERVAL
            shown.at(len(delays))
        time.sleep(_BETWEEN_LOOKS)
    return delays
