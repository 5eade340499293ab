"""The queries of the dashboards on a month of data: `--days` generated days in the ClickHouse engine."""

from __future__ import annotations

import statistics
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console

from baggage.generator.publications import Calendar, midnight_before
from baggage.settings import Settings
from tests.bench.progress import progress
from tests.bench.report import Report
from tests.dashboards.engine import Tables, engine
from tests.dashboards.grafana import (
    dashboards,
    expand_macros,
    first_options,
    interpolate,
    other_queries,
    panel_queries,
    rule_queries,
    time_range,
)
from tests.dashboards.simulation import simulate

_RUNS = 5
# In the night, and at both peaks.
_HOURS = (3, 8, 18)
_SLOWEST = 5


def measure(settings: Settings, report: Report, console: Console, days: int, directory: Path) -> None:
    """Measure every query of panels, variables, annotations and rules, as on the last of so many days."""
    directory.mkdir(parents=True, exist_ok=True)
    last = midnight_before(datetime.now(UTC)) - timedelta(days=1)
    with engine(directory) as database:
        tables = database(settings.clickhouse.database)
        calendar = Calendar(settings.generator)
        with progress(console, f"generating {days} days", days) as shown:
            for n in range(days):
                day = last - timedelta(days=days - 1 - n)
                simulate(calendar, day, day + timedelta(days=1), tables.write)
                shown.at(n + 1)
        tables.flush()
        timings = [row for hour in _HOURS for row in _timings(tables, last + timedelta(hours=hour))]
    slowest = sorted(timings, key=lambda row: row[1], reverse=True)
    rows = [{"query": where, "at": f"{at:%H:%M}", "median ms": ms} for where, ms, at in slowest[:_SLOWEST]]
    report.add(
        "queries",
        f"The slowest of {len(timings) // len(_HOURS)} queries, {days} days of rows",
        rows,
        f"median of {_RUNS} runs over HTTP, at {len(_HOURS)} hours of the last day",
    )


def _timings(tables: Tables, now: datetime) -> list[tuple[str, float, datetime]]:
    values = first_options(dashboards().values(), now, lambda sql: tables.ask(sql).rows)
    queries = [
        (query.where, interpolate(query.sql, *time_range(dashboard, now), values))
        for name, dashboard in dashboards().items()
        for query in (*panel_queries(name, dashboard), *other_queries(name, dashboard))
    ]
    two_minutes_ago = now - timedelta(minutes=2)
    queries += [(query.where, expand_macros(query.sql, two_minutes_ago, now)) for query in rule_queries()]
    return [(where, _milliseconds(tables, sql), now) for where, sql in queries]


def _milliseconds(tables: Tables, sql: str) -> float:
    seconds = []
    for _ in range(_RUNS):
        started = time.perf_counter()
        tables.ask(sql)
        seconds.append(time.perf_counter() - started)
    return 1000 * statistics.median(seconds)
