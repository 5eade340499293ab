"""The schema over the time of a database: each migration once, on data, from every version there was."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError
from clickhouse_connect.driver.httpclient import HttpClient

from baggage.provision import schema
from baggage.provision.schema import Migration, SchemaError, apply_schema, connect, migrations, statements
from baggage.settings import ClickHouseSettings
from tests.servers import clickhouse, free_ports

(PORT,) = free_ports(1)
ALL = migrations()
KPI = '{"ts": "2099-01-04T10:00:00Z", "flight_id": "BR025|2099-01-04|LHR->AMS", "expected_bags": 3, "missing": 1}'
COLUMNS = "SELECT table, name, type, default_kind, default_expression FROM system.columns WHERE database = '{}'"


@pytest.fixture(scope="module", autouse=True)
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with (
        clickhouse(tmp_path_factory.mktemp("clickhouse"), PORT),
        connect(ClickHouseSettings(port=PORT)) as client,
    ):
        yield client


@pytest.fixture
def database(request: pytest.FixtureRequest) -> ClickHouseSettings:
    name = "".join(letter if letter.isalnum() else "_" for letter in request.node.name.lower())
    return ClickHouseSettings(port=PORT, database=name)


def run(server: Client, settings: ClickHouseSettings, sql: str) -> None:
    for statement in statements(sql, settings.database):
        server.command(statement)


def columns(server: Client, database: str) -> list[tuple[str, ...]]:
    return sorted(tuple(row) for row in server.query(COLUMNS.format(database)).result_rows)


def applied(server: Client, settings: ClickHouseSettings) -> list[str]:
    rows = server.query(f"SELECT name FROM {settings.database}.schema_migrations ORDER BY number").result_rows
    return [name for (name,) in rows]


@pytest.mark.parametrize("version", range(1, len(ALL) + 1))
def test_a_database_of_an_older_version_keeps_its_rows(
    server: Client, database: ClickHouseSettings, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    monkeypatch.setattr(schema, "migrations", lambda: ALL[:version])
    assert apply_schema(database) == [migration.name for migration in ALL[:version]]
    server.command(f"INSERT INTO {database.database}.flight_kpis (record) VALUES ('{KPI}')")
    before = server.query(f"SELECT * FROM {database.database}.flight_current").result_rows
    monkeypatch.undo()
    assert apply_schema(database) == [migration.name for migration in ALL[version:]]
    assert server.query(f"SELECT * FROM {database.database}.flight_current").result_rows == before
    fresh = ClickHouseSettings(port=PORT, database="fresh")
    apply_schema(fresh)
    assert columns(server, database.database) == columns(server, fresh.database)
    assert apply_schema(database) == []
    assert applied(server, database) == [migration.name for migration in ALL]


def test_a_database_from_before_the_migrations_is_taken_over(server: Client, database: ClickHouseSettings) -> None:
    name = database.database
    server.command(f"CREATE DATABASE {name}")
    server.command(
        f"CREATE TABLE {name}.schema_version (version UInt32, applied_at DateTime DEFAULT now('UTC')) "
        "ENGINE = MergeTree ORDER BY version"
    )
    server.command(f"INSERT INTO {name}.schema_version (version) VALUES (3)")
    run(server, database, ALL[0].sql)
    server.command(f"INSERT INTO {name}.flight_kpis (record) VALUES ('{KPI}')")
    apply_schema(database)
    assert server.command(f"SELECT sum(missing) FROM {name}.flight_current") == 1
    assert not server.query(f"EXISTS TABLE {name}.schema_version").result_rows[0][0]
    assert applied(server, database) == [migration.name for migration in ALL]


def test_a_migration_that_failed_halfway_runs_again(server: Client, database: ClickHouseSettings) -> None:
    server.command(f"CREATE DATABASE {database.database}")
    for migration in ALL:
        for statement in statements(migration.sql, database.database):
            run(server, database, statement)
            run(server, database, statement)
    assert apply_schema(database) == [migration.name for migration in ALL]


@pytest.mark.parametrize("recorded", range(4))
def test_what_ran_without_being_recorded_changes_no_row_when_it_runs_again(
    server: Client, database: ClickHouseSettings, monkeypatch: pytest.MonkeyPatch, recorded: int
) -> None:
    monkeypatch.setattr(schema, "migrations", lambda: ALL[:3])
    apply_schema(database)
    server.command(f"INSERT INTO {database.database}.flight_kpis (record) VALUES ('{KPI}')")
    monkeypatch.setattr(schema, "migrations", lambda: ALL)
    insert, calls = HttpClient.insert, count()

    def insert_or_fail(client: HttpClient, *arguments: Any, **options: Any) -> Any:
        if next(calls) == recorded:
            raise DatabaseError("killed")
        return insert(client, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(HttpClient, "insert", insert_or_fail)
        with pytest.raises(DatabaseError, match="killed"):
            apply_schema(database)
    apply_schema(database)
    assert server.query(f"SELECT inserted_at = ts FROM {database.database}.flight_kpis").result_rows == [(1,)]
    assert applied(server, database) == [migration.name for migration in ALL]


def test_a_change_of_an_applied_migration_is_refused(
    database: ClickHouseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply_schema(database)
    first = ALL[0]
    commented = [Migration(first.number, first.name, f"-- a word\n{first.sql}\n"), *ALL[1:]]
    monkeypatch.setattr(schema, "migrations", lambda: commented)
    assert apply_schema(database) == []
    changed = [Migration(first.number, first.name, first.sql.replace("90 DAY", "30 DAY")), *ALL[1:]]
    monkeypatch.setattr(schema, "migrations", lambda: changed)
    with pytest.raises(SchemaError, match=f"{first.name} was changed after it was applied"):
        apply_schema(database)


def test_a_version_that_was_taken_back_leaves_newer_migrations_alone(
    server: Client, database: ClickHouseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply_schema(database)
    monkeypatch.setattr(schema, "migrations", lambda: ALL[:-1])
    assert apply_schema(database) == []
    assert applied(server, database) == [migration.name for migration in ALL]
