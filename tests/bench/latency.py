"""How long it takes from an event on Kafka until its row can be read from ClickHouse.

A day's events are replayed at a rate; among them are probes, bags of our own with an event for being checked in and,
some seconds later, one for being inducted. Each makes a row of bag_latest, and the second changes the state of the
bag's itinerary, two jobs deep. Both tables are asked for the outstanding probes again and again, so a figure is too
high by up to the time between two looks.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import numpy as np
from clickhouse_connect.driver.client import Client
from rich.console import Console

from baggage.domain.events import BaggageEvent
from baggage.domain.journey import JourneyState
from baggage.domain.schedule import Assignment, FlightSchedule, Leg
from baggage.domain.stages import EventType, Stage, stage_of
from baggage.generator.day import Day
from baggage.provision.schema import connect
from baggage.provision.topics import ASSIGNMENT, EVENTS, SCHEDULE
from baggage.settings import KafkaSettings, Settings
from tests.bench.pipeline import Lag, processes, servers, start_jobs
from tests.bench.producer import produce, producer
from tests.bench.progress import Progress, progress
from tests.bench.replay import Recording, Replay, Stored
from tests.bench.report import Report
from tests.bench.usage import Meter

_PROBES_A_SECOND = 10
_BETWEEN_EVENTS = 3.0
_BETWEEN_LOOKS = 0.05
# A look asks for the oldest outstanding rows only; more are out when the pipeline is far behind.
_MOST_ASKED = 500
# The probes begin when the jobs have been no more than a second behind for a while, or after this time at most: just
# started, they work with an interpreted JVM.
_SETTLING_SECONDS = 240
_SETTLED_SECONDS = 45  # longer than the time between two checkpoints
_LAST_ROWS_SECONDS = 60


@dataclass
class Awaited:
    """The rows that are waited for in one table, each by its subject and what it says of it."""

    query: str
    #: What a row says, to what it says, too: what changes at once may come as one row.
    implied: Mapping[str, str] = field(default_factory=dict)
    #: (subject, what it says) to the second of the monotonic clock when its event was produced.
    outstanding: dict[tuple[str, str], float] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)

    def look(self, client: Client) -> None:
        """Note the rows that can be read by now."""
        asked = tuple({subject for subject, _ in list(self.outstanding)[:_MOST_ASKED]})
        if not asked:
            return
        rows = client.query(self.query, parameters={"asked": asked}).result_rows
        now = time.monotonic()
        for subject, said in rows:
            for what in (said, self.implied.get(said, said)):
                produced = self.outstanding.pop((subject, what), None)
                if produced is not None:
                    self.seconds.append(now - produced)


class Probes:
    """Bags of our own, each alone on its itinerary."""

    def __init__(self, kafka: KafkaSettings, database: str, flight: FlightSchedule, count: int) -> None:
        self._producer = producer(kafka, linger_ms=0)
        self._flight = flight
        self._ids = [uuid4().hex[:12] for _ in range(count)]
        self._begun = 0
        self._inductions: deque[tuple[float, str]] = deque()
        self.bags = Awaited(
            f"SELECT bag_id, stage FROM {database}.bag_latest WHERE bag_id IN %(asked)s",
            {Stage.INDUCTED.name: Stage.CHECKED_IN.name},
        )
        self.itineraries = Awaited(
            f"SELECT itinerary_id, journey_state FROM {database}.itinerary_status WHERE itinerary_id IN %(asked)s"
        )

    @property
    def all_sent(self) -> bool:
        """Whether no probe is left to send."""
        return self._begun == len(self._ids) and not self._inductions

    @property
    def outstanding(self) -> int:
        """The rows that have not come."""
        return len(self.bags.outstanding) + len(self.itineraries.outstanding)

    def assign(self) -> None:
        """Publish the assignments of all probes."""
        flight = self._flight
        leg = Leg(leg_index=0, flight_id=flight.flight_id, origin=flight.airport_origin, dest=flight.airport_dest)
        for probe in self._ids:
            assignment = Assignment(
                bag_id=f"BAG{probe}",
                itinerary_id=f"ITI{probe}",
                customer_id=f"CUST{probe}",
                bags_in_itinerary=1,
                legs=(leg,),
            )
            produce(self._producer, ASSIGNMENT.name, assignment.key(), assignment.to_json())
        self._producer.flush()

    def send(self, due: int) -> None:
        """Check in the bags up to number `due`, and induct those whose time has come."""
        for probe in self._ids[self._begun : due]:
            self._send(probe, EventType.CHECKED_IN)
            self._inductions.append((time.monotonic() + _BETWEEN_EVENTS, probe))
        self._begun = max(self._begun, min(due, len(self._ids)))
        while self._inductions and self._inductions[0][0] <= time.monotonic():
            _, probe = self._inductions.popleft()
            self._send(probe, EventType.INDUCTED)
            said = JourneyState.IN_ORIGIN_PROCESSING.value
            self.itineraries.outstanding[f"ITI{probe}", said] = time.monotonic()

    def _send(self, probe: str, event_type: EventType) -> None:
        now = datetime.now(UTC)
        event = BaggageEvent(
            event_id=uuid4(),
            bag_id=f"BAG{probe}",
            itinerary_id=f"ITI{probe}",
            customer_id=f"CUST{probe}",
            flight_id=self._flight.flight_id,
            leg_index=0,
            airport=self._flight.airport_origin,
            event_type=event_type,
            event_time=now,
            ingest_time=now,
            scan_point_id="LHR_BENCH_01",
            reader_type="RFID",
            confidence=0.99,
            attributes={},
        )
        produce(self._producer, EVENTS.name, event.key(), event.to_json())
        self._producer.poll(0)
        self.bags.outstanding[event.bag_id, stage_of(event_type).name] = time.monotonic()


def measure(
    settings: Settings, report: Report, console: Console, rates: tuple[float, ...], seconds: float, directory: Path
) -> None:
    """Measure at each rate (events a second) for so many seconds."""
    recording = Recording(settings.generator, directory / "recording")
    # A flight of tomorrow: no deadline of its bags is near.
    flight = Day(settings.generator, datetime.now(UTC).date() + timedelta(days=1)).plan.schedule(0)
    rows = []
    with servers(settings, directory / "state") as runtime:
        start_jobs(runtime, directory)
        kafka, lag = runtime.settings.kafka, Lag(runtime.flink.rest_url)
        replay = Replay(kafka)
        replay.all_at_once(iter([Stored(SCHEDULE.name, flight.key(), flight.to_json())]))
        for rate in rates:
            probes = Probes(kafka, runtime.settings.clickhouse.database, flight, round(seconds * _PROBES_A_SECOND))
            probes.assign()
            events = round(rate * (seconds + _SETTLING_SECONDS + _LAST_ROWS_SECONDS))
            with progress(console, f"latency: making {events:,} events", events) as shown:
                recording.write(events, shown)
            replay.start(rate - 2 * _PROBES_A_SECOND, recording.read())
            with progress(console, f"latency: settling at {rate:,.0f}/s", _SETTLING_SECONDS) as shown:
                _settle(lag, rate, shown)
            with Meter(processes(runtime)) as meter, progress(console, f"latency at {rate:,.0f}/s", seconds) as shown:
                elapsed = _probe(probes, runtime.settings, seconds, shown)
                cores = {name: cpu / elapsed for name, cpu in meter.cpu().items()}
            replay.stop()
            for name, awaited in (("bag_latest", probes.bags), ("itinerary_status", probes.itineraries)):
                p50, p95, p99 = np.percentile(awaited.seconds or [np.nan], [50, 95, 99])
                rows.append(
                    {
                        "table": name,
                        "events/s": round(rate),
                        "probes": len(awaited.seconds),
                        "p50 s": float(p50),
                        "p95 s": float(p95),
                        "p99 s": float(p99),
                        "max s": max(awaited.seconds, default=float("nan")),
                        "never came": len(awaited.outstanding),
                        "cores": cores,
                    }
                )
    report.add("latency", "From an event on Kafka until its row can be read from ClickHouse", rows, _NOTE)


def _settle(lag: Lag, rate: float, shown: Progress) -> None:
    """Wait until the jobs keep up with the rate, or it is plain that they do not: then the figures will say so."""
    started = behind = now = time.monotonic()
    while now - behind < _SETTLED_SECONDS and now - started < _SETTLING_SECONDS:
        now = time.monotonic()
        if max(lag.by_job().values(), default=0) > rate:
            behind = now
        shown.at(now - started)
        time.sleep(1)


def _probe(probes: Probes, settings: Settings, seconds: float, shown: Progress) -> float:
    """Send the probes over so many seconds and wait for their rows; return the seconds that it took."""
    started = time.monotonic()
    deadline = started + seconds + _LAST_ROWS_SECONDS
    with connect(settings.clickhouse) as client:
        while (not probes.all_sent or probes.outstanding) and time.monotonic() < deadline:
            begun = time.monotonic()
            probes.send(int((begun - started) * _PROBES_A_SECOND))
            probes.bags.look(client)
            probes.itineraries.look(client)
            shown.at(begun - started)
            time.sleep(max(_BETWEEN_LOOKS - (time.monotonic() - begun), 0))
    return time.monotonic() - started


_NOTE = f"with checkpoints every 30 s; both tables are looked at every {_BETWEEN_LOOKS * 1000:.0f} ms"
