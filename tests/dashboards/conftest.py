"""The ClickHouse engine with a generated day in it, and an empty database for what a test seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from baggage.generator.publications import Calendar, midnight_before
from baggage.settings import GeneratorSettings
from tests.dashboards.engine import Tables, engine
from tests.dashboards.grafana import Variables, dashboards, first_options
from tests.dashboards.simulation import simulate


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Tables]]:
    """Makes databases with the schema in a running engine."""
    with engine(tmp_path_factory.mktemp("engine")) as make:
        yield make


@pytest.fixture
def tables(database: Callable[[str], Tables]) -> Tables:
    """Empty tables."""
    empty = database("seeded")
    for (table,) in empty.ask("SELECT name FROM system.tables WHERE database = 'seeded' AND engine = 'MergeTree'").rows:
        empty.command(f"TRUNCATE TABLE {table}")
    return empty


@pytest.fixture(scope="session")
def midnight() -> datetime:
    """The start of the generated day: today's, since the tables forget by the wall clock."""
    return midnight_before(datetime.now(UTC))


@pytest.fixture(scope="session")
def day(database: Callable[[str], Tables], midnight: datetime) -> Tables:
    """A whole day, and what the generator makes none of: dead letters, unknown flights, withheld alerts, a finding."""
    tables = database("generated_day")
    simulate(Calendar(GeneratorSettings()), midnight, midnight + timedelta(days=1), tables.write)
    tables.flush()
    at = f"{midnight + timedelta(hours=13, minutes=50):%F %T}"
    for offset in range(3):
        tables.command(
            f"INSERT INTO dead_letters VALUES ('{at}', 'baggage.events.v1', 0, {offset}, 'leg_index', "
            "'Expected `int`, got `str`')"
        )
    for second in range(0, 1200, 15):
        measured = f"{midnight + timedelta(hours=13, minutes=50, seconds=second):%F %T}"
        values = f"'{measured}', 'job_running', {{'flink_job': 'BagLatest'}}, 0, 'FAILING'"
        tables.command(f"INSERT INTO pipeline_health VALUES ({values})")
    wrong = f"BA9999|{midnight:%F}|LHR->AMS"
    tables.command(f"INSERT INTO unscheduled_flights VALUES ('{at}', '{wrong}', 3, 8)")
    tables.command(f"INSERT INTO withheld_alerts VALUES ('{at}', '{wrong}|x', '{wrong}', 'WARN', 'LOW_LOAD_RATE')")
    return tables


@pytest.fixture(scope="session")
def now(day: Tables, midnight: datetime) -> datetime:
    """A KPI tick of the early afternoon in whose second nothing else happens, so that all tables say the same."""
    afternoon = midnight + timedelta(hours=14)
    busy = {row[0] for row in day.ask(f"SELECT DISTINCT ts FROM bag_latest WHERE ts >= '{afternoon:%F %T}'").rows}
    ticks = (afternoon + timedelta(seconds=10 * n) for n in range(360))
    return next(tick for tick in ticks if tick.replace(tzinfo=None) not in busy and tick not in busy)


@pytest.fixture(scope="session")
def values(day: Tables, now: datetime) -> Variables:
    """The variables as a dashboard has them that was just opened: the first option of each."""
    return first_options(dashboards().values(), now, lambda sql: day.ask(sql).rows)
