"""From `make run` to the first KPI row, and where the seconds go; watched from outside."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

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

_BETWEEN_LOOKS = 0.1
_MOST_SECONDS = 600
_STOP_SECONDS = 180


def measure(settings: Settings, report: Report, console: Console, directory: Path) -> None:
    """Start on an empty state directory, and then again on what the first run left."""
    rows = []
    for what in ("first start", "start again"):
        with progress(console, f"start: {what}", 1):
            moments = _moments(settings, directory)
        rows += [{"start": what, "moment": moment, "after s": seconds} for moment, seconds in moments.items()]
    report.add("start", "From make run to the first KPI row", rows, "the moments are seen within 0.1 s or so")


def _moments(settings: Settings, directory: Path) -> dict[str, float]:
    """Seconds after the start by moment, in order."""
    local = settings.local.model_copy(update={"state_dir": directory / "state"})
    environment = settings.model_copy(update={"local": local}).environment()
    process = Process("run", [sys.executable, "-m", "baggage.local", "run"], directory / "run.log", environment)
    watched = _Watched(settings)
    moments: dict[str, float] = {}
    started, begun = time.monotonic(), time.time()
    process.start()
    try:
        while "first KPI row" not in moments:
            if not process.alive() or time.monotonic() - started > _MOST_SECONDS:
                raise ProcessError(f"make run did not come to its first KPI row:\n{process.log_tail()}")
            for moment, came in watched.conditions(begun).items():
                if moment not in moments and came():
                    moments[moment] = time.monotonic() - started
            time.sleep(_BETWEEN_LOOKS)
    finally:
        process.stop(_STOP_SECONDS)
    return dict(sorted(moments.items(), key=lambda item: item[1]))


class _Watched:
    """The run, seen through the ports of its servers."""

    def __init__(self, settings: Settings) -> None:
        local = settings.local
        self._kafka, self._clickhouse = local.kafka_port, local.clickhouse_port
        self._settings = settings.clickhouse.model_copy(
            update={"host": clickhouse_server.HOST, "port": local.clickhouse_port}
        )
        self._rest = FlinkRest(f"http://{HOST}:{local.flink_port}")

    def conditions(self, begun: float) -> dict[str, Callable[[], bool]]:
        """What is to come about after the start at the time `begun` (seconds since 1970)."""
        jobs = {f"{name} is submitted": lambda name=name: name in self._jobs() for name in JOB_NAMES}
        run = {f"{name} runs": lambda name=name: self._runs(name) for name in JOB_NAMES}
        return {
            "Kafka answers": lambda: kafka_broker.answers_metadata(self._kafka),
            "ClickHouse answers": lambda: clickhouse_server.answers_ping(self._clickhouse),
            "Flink has its slots": self._slots,
            **jobs,
            **run,
            "first KPI row": lambda: self._kpi_row(begun),
        }

    def _slots(self) -> bool:
        try:
            return bool(self._rest.get("/overview")["slots-total"] > 0)
        except FlinkError:
            return False

    def _jobs(self) -> dict[str, Any]:
        try:
            return {job["name"]: job for job in self._rest.get("/jobs/overview")["jobs"]}
        except FlinkError:
            return {}

    def _runs(self, name: str) -> bool:
        tasks = self._jobs().get(name, {}).get("tasks", {})
        return bool(tasks) and tasks["running"] == tasks["total"] > 0

    def _kpi_row(self, begun: float) -> bool:
        """Whether there is a row of this run: of a tick after its start."""
        if not clickhouse_server.answers_ping(self._clickhouse):
            return False
        try:
            with connect(self._settings) as client:
                table = f"{self._settings.database}.flight_kpis"
                return bool(client.command(f"SELECT count() FROM {table} WHERE ts >= toDateTime({int(begun)})"))
        except ClickHouseError:
            return False
