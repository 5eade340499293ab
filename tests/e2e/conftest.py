"""The whole pipeline on real Kafka, Flink and ClickHouse, at a chosen time of the day and at high speed."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

import pytest
from rich.console import Console

from baggage.local.processes import Process
from baggage.local.run import pipeline
from baggage.local.runtime import Runtime
from baggage.provision.schema import connect
from baggage.settings import ClockSettings, FlinkSettings, LocalSettings, Settings
from baggage.verify.compare import Query, querying

SPEED = 60
ROOT = Path(__file__).parents[2]


class Pipeline:
    """A running pipeline, and what a test does with it."""

    def __init__(self, runtime: Runtime, generator: Process) -> None:
        self.runtime = runtime
        self.generator = generator
        self.settings = runtime.settings

    def now(self) -> dt.datetime:
        return self.settings.clock.clock().now()

    def wait_until_clock(self, when: dt.datetime) -> None:
        self.settings.clock.clock().sleep_until(when)

    def query(self, text: str) -> list[tuple[object, ...]]:
        with connect(self.settings.clickhouse) as client:
            query: Query = querying(client, self.settings.clickhouse.database)
            return query(text)

    def wait_for_rows(self, query: str, timeout: float = 120) -> int:
        """Wait until a count is not 0, and return it."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            count = self.query(query)[0][0]
            if count:
                assert isinstance(count, int)
                return count
            time.sleep(0.5)
        pytest.fail(f"no rows after {timeout} s: {query}")


class Start(Protocol):
    """Starts the pipeline with its clock at a time of today."""

    def __call__(self, time_of_day: str, speed: float = SPEED) -> AbstractContextManager[Pipeline]: ...


@pytest.fixture
def pipeline_at(tmp_path: Path) -> Start:
    """Start the pipeline with its clock at a time of the day."""

    @contextmanager
    def start(time_of_day: str, speed: float = SPEED) -> Iterator[Pipeline]:
        # Of today: the tables forget what is older than their TTL.
        anchor = dt.datetime.combine(dt.datetime.now(dt.UTC), dt.time.fromisoformat(time_of_day), dt.UTC)
        settings = Settings(
            clock=ClockSettings(speed=speed, anchor=anchor, started=dt.datetime.now(dt.UTC)),
            flink=FlinkSettings(checkpoint_interval=dt.timedelta(seconds=10)),
            local=LocalSettings(
                state_dir=tmp_path / "state",
                jar_dir=ROOT / LocalSettings().jar_dir,
                kafka_port=19092,
                clickhouse_port=18123,
                flink_port=18081,
            ),
        )
        with pipeline(settings, Console(stderr=True), threading.Event()) as (runtime, generator):
            yield Pipeline(runtime, generator)

    return start
