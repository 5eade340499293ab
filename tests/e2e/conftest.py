"""The whole pipeline on real Kafka, Flink and ClickHouse, at a chosen time of the day and at high speed."""

from __future__ import annotations

import datetime as dt
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

import pytest
from rich.console import Console

from baggage.local.run import Programs, pipeline
from baggage.local.runtime import Runtime
from baggage.monitor import table
from baggage.provision.schema import connect
from baggage.settings import ClockSettings, FlinkSettings, LocalSettings, MonitorSettings, Settings
from baggage.verify.compare import Query, querying
from tests.servers import free_ports

SPEED = 60
ROOT = Path(__file__).parents[2]


T = TypeVar("T")


def wait_until(condition: Callable[[], T], timeout: float = 120, what: str = "the condition") -> T:
    """Wait until a condition is true, and return what it says."""
    deadline = time.monotonic() + timeout
    while not (result := condition()):
        assert time.monotonic() < deadline, f"waited {timeout} s for {what}"
        time.sleep(0.2)
    return result


class Pipeline:
    """A running pipeline, and what a test does with it."""

    def __init__(self, runtime: Runtime, programs: Programs) -> None:
        self.runtime = runtime
        self.generator = programs.generator
        self.monitor = programs.monitor
        self.keeper = programs.keeper
        self.settings = runtime.settings

    def now(self) -> dt.datetime:
        return self.settings.clock.clock().now()

    def wait_until_clock(self, when: dt.datetime) -> None:
        self.settings.clock.clock().sleep_until(when)

    def query(self, text: str) -> list[tuple[object, ...]]:
        with connect(self.settings.clickhouse) as client:
            query: Query = querying(client, self.settings.clickhouse.database)
            return query(text)

    def findings(self, at: dt.datetime | None = None) -> list[str]:
        """What is wrong, but for the disk of the machine that runs the tests."""
        with connect(self.settings.clickhouse) as client:
            found = table.findings(client, self.settings.clickhouse.database, at)
        return [finding for finding in found if not finding.startswith("the disk of ")]

    def findings_so_far(self) -> dict[dt.datetime, list[str]]:
        """What was wrong at each moment at which the monitor measured."""
        moments = self.query("SELECT DISTINCT ts FROM {database}.pipeline_health ORDER BY ts")
        assert moments
        found = {at: self.findings(at) for (at,) in moments if isinstance(at, dt.datetime)}
        return {at: sentences for at, sentences in found.items() if sentences}

    def wait_for_rows(self, query: str, timeout: float = 360) -> int:
        """Wait until a count is not 0, and return it.

        On a slow machine the jobs take minutes to work off the assignments of two days, with which they begin.
        """
        count = wait_until(lambda: self.query(query)[0][0], timeout, query)
        assert isinstance(count, int)
        return count


@contextmanager
def running(settings: Settings) -> Iterator[Pipeline]:
    """Start the pipeline, and stop it in the end."""
    with pipeline(settings, Console(stderr=True), threading.Event()) as (runtime, programs):
        yield Pipeline(runtime, programs)


class SettingsAt(Protocol):
    """Settings of a pipeline with its clock at a time of today."""

    def __call__(self, time_of_day: str, speed: float = SPEED) -> Settings: ...


@pytest.fixture(autouse=True)
def _no_settings_of_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("BAGGAGE_"):
            monkeypatch.delenv(name)


@pytest.fixture
def settings_at(tmp_path: Path) -> SettingsAt:
    """Settings with the clock at a time of the day; all of one test store in one place, with the same ports."""
    # The ones after Kafka's and Flink's are the runtime's, too.
    monitor, kafka, _, clickhouse, flink, _ = free_ports(6)

    def settings(time_of_day: str, speed: float = SPEED) -> Settings:
        # Of today: the tables forget what is older than their TTL.
        anchor = dt.datetime.combine(dt.datetime.now(dt.UTC), dt.time.fromisoformat(time_of_day), dt.UTC)
        return Settings(
            clock=ClockSettings(speed=speed, anchor=anchor, started=dt.datetime.now(dt.UTC)),
            flink=FlinkSettings(checkpoint_interval=dt.timedelta(seconds=10)),
            monitor=MonitorSettings(port=monitor),
            local=LocalSettings(
                state_dir=tmp_path / "state",
                jar_dir=ROOT / LocalSettings().jar_dir,
                kafka_port=kafka,
                clickhouse_port=clickhouse,
                flink_port=flink,
            ),
        )

    return settings
