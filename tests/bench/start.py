"""From `make run` to the first KPI row, and where the seconds go; watched from outside."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from rich.console import Console

from baggage.jobs.names import JOB_NAMES
from baggage.jobs.rest import FlinkError, FlinkRest
from baggage.local import clickhouse_server, kafka_broker
from baggage.local.flink_cluster import HOST
from baggage.local.processes import Process, ProcessError
from baggage.provision.schema import connect
from baggage.settings import Settings
from tests.bench.progress import progress
from tests.bench.report import Report

_BETWEEN_LOOKS = 0.2
_MOST_SECONDS = 600
_STOP_SECONDS = 180

#: What is to come about, by moment.
Conditions = dict[str, Callable[[], bool]]


def measure(settings: Settings, report: Report, console: Console, directory: Path) -> None:
    """Start on an empty state directory, and then again on what the first run left."""
    rows = []
    for what in ("first start", "start again"):
        with progress(console, f"start: {what}", 1):
            moments = _moments(settings, directory)
        rows += [{"start": what, "moment": moment, "after s": seconds} for moment, seconds in moments.items()]
    title = "From make run to the first KPI row"
    report.add("start", title, rows, f"each moment is seen within {_BETWEEN_LOOKS} s, that of Kafka within a second")


def _moments(settings: Settings, directory: Path) -> dict[str, float]:
    """Seconds after the start by moment, in order."""
    local = settings.local.model_copy(update={"state_dir": directory / "state"})
    environment = settings.model_copy(update={"local": local}).environment()
    log = directory / "run.log"
    log.unlink(missing_ok=True)
    process = Process("run", [sys.executable, "-m", "baggage.local", "run"], log, environment)
    tables, flink = _Tables(settings), _Flink(settings)
    # One thread for each server, so that none is looked at late because another does not answer.
    watched: tuple[Conditions, ...] = (
        {what: lambda what=what: log.exists() and what in log.read_text() for what in _SAID},  # type: ignore[misc]
        {"Kafka answers": lambda: kafka_broker.answers_metadata(local.kafka_port)},
        {"ClickHouse answers": tables.answer, "first KPI row": tables.have_a_row},
        {"Flink has its slots": flink.has_slots}
        | {f"{name} is submitted": lambda name=name: bool(flink.job(name)) for name in JOB_NAMES}
        | {f"{name} runs": lambda name=name: flink.runs(name) for name in JOB_NAMES},
    )
    started = time.monotonic()
    process.start()
    try:
        with ThreadPoolExecutor(len(watched)) as pool:
            watches = [pool.submit(_watch, process, started, conditions) for conditions in watched]
            moments = [moment for watch in watches for moment in watch.result().items()]
    finally:
        process.stop(_STOP_SECONDS)
    return dict(sorted(moments, key=lambda moment: moment[1]))


# Of what `make run` says, in its words.
_SAID = ("starting Kafka, ClickHouse and Flink", "topics and tables are there", "three jobs run")


def _watch(process: Process, started: float, conditions: Conditions) -> dict[str, float]:
    """When each condition came true, in seconds after the start."""
    moments: dict[str, float] = {}
    while len(moments) < len(conditions):
        if not process.alive() or time.monotonic() - started > _MOST_SECONDS:
            missing = ", ".join(conditions.keys() - moments.keys())
            raise ProcessError(f"it did not come to this: {missing}\n{process.log_tail()}")
        for moment, came in conditions.items():
            if moment not in moments and came():
                moments[moment] = time.monotonic() - started
        time.sleep(_BETWEEN_LOOKS)
    return moments


class _Tables:
    """ClickHouse, seen from outside."""

    def __init__(self, settings: Settings) -> None:
        self._port, self._begun = settings.local.clickhouse_port, int(time.time())
        self._settings = settings.clickhouse.model_copy(update={"host": clickhouse_server.HOST, "port": self._port})
        self._client: Client | None = None

    def answer(self) -> bool:
        """Whether the server answers."""
        return clickhouse_server.answers_ping(self._port)

    def have_a_row(self) -> bool:
        """Whether there is a KPI row of this run: of a tick after its start."""
        if not self.answer():
            return False
        try:
            self._client = self._client or connect(self._settings)
            table = f"{self._settings.database}.flight_kpis"
            return bool(self._client.command(f"SELECT count() FROM {table} WHERE ts >= toDateTime({self._begun})"))
        except ClickHouseError:
            return False


class _Flink:
    """Flink, seen from outside."""

    def __init__(self, settings: Settings) -> None:
        self._rest = FlinkRest(f"http://{HOST}:{settings.local.flink_port}")

    def has_slots(self) -> bool:
        """Whether a TaskManager is there."""
        return bool(self._get("/overview").get("slots-total"))

    def job(self, name: str) -> dict[str, Any]:
        """What the overview says of a job; nothing if it is not there."""
        return next((job for job in self._get("/jobs/overview").get("jobs", ()) if job["name"] == name), {})

    def runs(self, name: str) -> bool:
        """Whether all tasks of a job run."""
        tasks = self.job(name).get("tasks", {"running": 0, "total": 1})
        return bool(tasks["running"] == tasks["total"] > 0)

    def _get(self, path: str) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = self._rest.get(path)
        except FlinkError:
            return {}
        return answer
