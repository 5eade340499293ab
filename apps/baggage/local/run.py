"""`make run`: the servers, the topics and tables, the three jobs, the generator, and the board."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from clickhouse_connect.driver.exceptions import ClickHouseError
from confluent_kafka import Consumer, KafkaException, TopicPartition
from rich.console import Console
from rich.live import Live

from baggage.jobs.names import JOB_NAMES
from baggage.jobs.rest import FlinkError, FlinkRest
from baggage.jobs.submit import stop_all
from baggage.local import board, board_data, clock_file
from baggage.local.board import Health
from baggage.local.processes import Process, ProcessError
from baggage.local.runtime import Runtime
from baggage.monitor import table
from baggage.provision.kafka import create_topics
from baggage.provision.schema import apply_schema, connect
from baggage.provision.topics import EVENTS
from baggage.settings import Settings

_BOARD_SECONDS = 2
_BOARD_TIMEOUT = 20
_LINE_SECONDS = 10
_CLOCK_FILE = "clock"
#: The settings of the run, for programs that look at it from outside.
ENVIRONMENT_FILE = "environment.json"


def run(settings: Settings) -> None:
    """Run the pipeline until SIGINT or SIGTERM. Raises ProcessError or RuntimeStartError with what is wrong."""
    console = Console(stderr=not sys.stdout.isatty())
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with pipeline(settings, console, stop) as (runtime, _):
        _show(runtime, console, stop)


@dataclass(frozen=True)
class Programs:
    """Our own processes beside the servers."""

    generator: Process
    monitor: Process
    keeper: Process


@contextmanager
def pipeline(settings: Settings, console: Console, stop: threading.Event) -> Iterator[tuple[Runtime, Programs]]:
    """The whole pipeline, running: servers and programs; it goes on where the last one stopped."""
    started = time.monotonic()

    def say(what: str) -> None:
        console.print(f"[dim]{time.monotonic() - started:5.0f} s[/dim]  {what}", highlight=False)

    file = settings.local.state_dir.resolve() / _CLOCK_FILE
    if _speed_of_last_run(settings) not in (None, settings.clock.speed):
        say("the last run had another speed: the deadlines it noted come at its pace; `make clean` starts afresh")
    settings = settings.model_copy(update={"clock": clock_file.resumed(settings.clock, file)})
    runtime = Runtime(settings)
    say("starting Kafka, ClickHouse and Flink ...")
    with runtime:
        settings = runtime.settings
        create_topics(settings.kafka)
        apply_schema(settings.clickhouse)
        say("topics and tables are there; submitting the jobs and starting the generator ...")
        environment = runtime.environment()
        variables = json.dumps(settings.environment(), indent=1)
        clock_file.replace(settings.local.state_dir.resolve() / ENVIRONMENT_FILE, variables)
        ready = settings.local.state_dir.resolve() / "jobs-run"
        ready.unlink(missing_ok=True)

        def program(name: str, *module: str, restart: bool) -> Process:
            log = settings.local.state_dir.resolve() / "logs" / f"{name.lower()}.log"
            return Process(name, [sys.executable, "-m", *module], log, environment, restart=restart)

        generator = program("Generator", "baggage.generator", restart=True)
        monitor = program("Monitor", "baggage.monitor", restart=True)
        keeper = program("Jobs", "baggage.jobs.keeper", str(ready), restart=False)
        for process in (generator, monitor, keeper):
            process.start()
        try:
            _wait_for_jobs(keeper, ready, stop)
            say("three jobs run; waiting for the first KPI row ...")
            if _first_kpi_row(settings, stop):
                say(f"first KPI row after {time.monotonic() - started:.0f} s")
            yield runtime, Programs(generator, monitor, keeper)
        finally:
            say("stopping: the generator, the jobs with a savepoint, the servers ...")
            for process in (generator, keeper, monitor):
                process.stop()
            try:
                stop_all(settings)
            except FlinkError as error:
                say(f"no savepoint ({error}); the next run goes on from the last checkpoint")
            clock_file.save(settings.clock, file)


def _speed_of_last_run(settings: Settings) -> float | None:
    file = settings.local.state_dir / ENVIRONMENT_FILE
    return float(json.loads(file.read_text()).get("BAGGAGE_CLOCK__SPEED", 1)) if file.exists() else None


def _wait_for_jobs(keeper: Process, ready: Path, stop: threading.Event) -> None:
    while not ready.exists() and not stop.wait(0.1):
        if not keeper.alive():
            raise ProcessError(f"the jobs could not be submitted:\n{keeper.log_tail(5)}")


def _first_kpi_row(settings: Settings, stop: threading.Event) -> bool:
    with connect(settings.clickhouse) as client:
        while not stop.wait(0.2):
            if client.command(f"SELECT count() FROM {settings.clickhouse.database}.flight_kpis"):
                return True
    return False


def _show(runtime: Runtime, console: Console, stop: threading.Event) -> None:
    """Show the board until `stop`: live at a terminal, else a line now and then."""
    settings = runtime.settings
    clock, database = settings.clock.clock(), settings.clickhouse.database
    addresses = {
        "Flink": runtime.flink.rest_url,
        "ClickHouse": f"http://{settings.clickhouse.host}:{settings.clickhouse.port}",
        "Kafka": settings.kafka.bootstrap_servers,
        "logs": str(settings.local.state_dir / "logs"),
    }
    flink = FlinkRest(runtime.flink.rest_url)
    rate = EventRate(settings.kafka.bootstrap_servers)
    live = Live(console=console, screen=True, auto_refresh=False) if sys.stdout.isatty() else None
    with connect(settings.clickhouse, _BOARD_TIMEOUT) as client, live or nullcontext():
        while not stop.is_set():
            clock_file.save(settings.clock, settings.local.state_dir / _CLOCK_FILE)
            try:
                findings = table.findings(client, database)
                health = Health(flink.running_jobs(), len(JOB_NAMES), rate.per_second(), findings)
                now = board_data.read(client, database, clock.now())
            except (ClickHouseError, FlinkError) as error:
                console.print(f"the board cannot be read: {error}", markup=False)
            else:
                if live:
                    live.update(board.render(now, health, addresses), refresh=True)
                else:
                    sys.stdout.write(board.line(now, health) + "\n")
                    sys.stdout.flush()
            stop.wait(_BOARD_SECONDS if live else _LINE_SECONDS)


class EventRate:
    """The events that arrive a real second, by the end of the topic."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "board", "log_level": 0})
        self._end, self._at = self._events(), time.monotonic()

    def per_second(self) -> float:
        """The rate since the last call."""
        end, at = self._events(), time.monotonic()
        rate = (end - self._end) / max(at - self._at, 1e-3)
        self._end, self._at = end, at
        return rate

    def _events(self) -> int:
        try:
            partitions = [TopicPartition(EVENTS.name, number) for number in range(EVENTS.partitions)]
            return sum(self._consumer.get_watermark_offsets(p, timeout=5)[1] for p in partitions)
        except KafkaException:
            return self._end
