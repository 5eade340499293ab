"""The ClickHouse engine with a generated day in it, and an empty database for what a test seeds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client

from baggage.generator.publications import Calendar, midnight_before
from baggage.local import clickhouse_server
from baggage.provision.schema import apply_schema
from baggage.settings import ClickHouseSettings, GeneratorSettings
from tests.dashboards.grafana import ALL, Variables, dashboards, interpolate, variables
from tests.dashboards.simulation import simulate

_PORT = 18423
_BATCH = 50_000


@dataclass(frozen=True)
class Answer:
    """The answer to a query: names and ClickHouse types of its columns, and its rows; times are UTC."""

    columns: list[str]
    types: list[str]
    rows: list[tuple[Any, ...]]


class Tables:
    """A database of the engine."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._waiting: dict[str, list[bytes]] = defaultdict(list)

    def ask(self, sql: str) -> Answer:
        """Run a query."""
        result = self._client.query(sql)
        rows = [tuple(row) for row in result.result_rows]
        return Answer(list(result.column_names), [kind.name for kind in result.column_types], rows)

    def command(self, sql: str) -> None:
        """Run a statement."""
        self._client.command(sql)

    def write(self, table: str, row: bytes) -> None:
        """Add a row, in JSON, to what `flush` inserts."""
        self._waiting[table].append(row)
        if len(self._waiting[table]) >= _BATCH:
            self._insert(table)

    def flush(self) -> None:
        """Insert what is waiting."""
        for table in list(self._waiting):
            self._insert(table)

    def _insert(self, table: str) -> None:
        self._client.raw_insert(
            table,
            insert_block=b"\n".join(self._waiting.pop(table)),
            fmt="JSONEachRow",
            settings={"date_time_input_format": "best_effort", "input_format_skip_unknown_fields": 1},
        )


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Tables]]:
    """Makes databases with the schema in a running engine."""
    directory = tmp_path_factory.mktemp("engine")
    server = clickhouse_server.process(directory / "data", directory, _PORT)
    clients = []

    def make(name: str) -> Tables:
        apply_schema(ClickHouseSettings(port=_PORT, database=name))
        client = clickhouse_connect.get_client(
            host=clickhouse_server.HOST, port=_PORT, database=name, autogenerate_session_id=False, compress=False
        )
        clients.append(client)
        return Tables(client)

    server.start()
    try:
        server.wait_until(lambda: clickhouse_server.answers_ping(_PORT), 60)
        yield make
    finally:
        for client in clients:
            client.close()
        server.stop()


@pytest.fixture(scope="session")
def midnight() -> datetime:
    """The start of the generated day: today's, since the tables forget by the wall clock."""
    return midnight_before(datetime.now(UTC))


@pytest.fixture(scope="session")
def day(database: Callable[[str], Tables], midnight: datetime) -> Tables:
    """A whole day, with a few dead letters, which the generator makes none of."""
    tables = database("generated_day")
    simulate(Calendar(GeneratorSettings()), midnight, midnight + timedelta(days=1), tables.write)
    tables.flush()
    for offset in range(3):
        tables.command(
            "INSERT INTO dead_letters VALUES "
            f"('{midnight + timedelta(hours=13, minutes=50):%F %T}', 'baggage.events.v1', 0, {offset}, 'leg_index', "
            "'Expected `int`, got `str`')"
        )
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
    chosen: Variables = {}
    for dashboard in dashboards().values():
        for variable in variables(dashboard):
            if variable["type"] == "custom":
                chosen[variable["name"]] = variable["current"]["value"]
            elif variable.get("includeAll"):
                chosen[variable["name"]] = ALL
            else:
                sql = interpolate(variable["query"], now - timedelta(hours=6), now, chosen)
                chosen[variable["name"]] = [day.ask(sql).rows[0][0]]
    return chosen
