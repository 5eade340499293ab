"""Applies the schema to ClickHouse: numbered migrations, each once, and then the views (specification section 7).

A migration is a file `NNNN_name.sql`. ClickHouse has no transactions, so one that failed halfway goes on with the
statement that is not known to have run: each may be run twice in a row. The tools for this on PyPI speak the native
protocol, which the engine behind `make run` does not.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from importlib.resources import files

import clickhouse_connect
from clickhouse_connect.driver.client import Client

from baggage.settings import ClickHouseSettings

_COMMENT = re.compile(r"--[^\n]*")
_FILE = re.compile(r"(\d{4})_\w+\.sql\Z")
_RECORDS = """
CREATE TABLE IF NOT EXISTS {database}.schema_migrations
(
    number UInt16,
    name String,
    digest String,
    applied_at DateTime('UTC') DEFAULT now('UTC')
)
ENGINE = MergeTree
ORDER BY number
"""
_STEPS = """
CREATE TABLE IF NOT EXISTS {database}.schema_migration_steps
(
    number UInt16,
    statements UInt16
)
ENGINE = MergeTree
ORDER BY number
"""


class SchemaError(RuntimeError):
    """The database does not fit the migrations, and why."""


@dataclass(frozen=True)
class Migration:
    """A numbered change of the schema; its digest is that of its statements, comments and layout aside."""

    number: int
    name: str
    sql: str

    @property
    def digest(self) -> str:
        """What tells whether it was changed after it was applied."""
        return hashlib.sha256(" ".join(_COMMENT.sub("", self.sql).split()).encode()).hexdigest()[:16]


def migrations() -> list[Migration]:
    """All migrations, by number. Raises SchemaError if a number is left out or stands twice."""
    found = [
        Migration(int(match[1]), file.name.removesuffix(".sql"), file.read_text(encoding="utf-8"))
        for file in files(__package__).joinpath("migrations").iterdir()
        if (match := _FILE.match(file.name))
    ]
    found.sort(key=lambda migration: migration.number)
    numbers = [migration.number for migration in found]
    if numbers != list(range(1, len(found) + 1)):
        raise SchemaError(f"the migrations are not numbered 1, 2, 3, ...: {numbers}")
    return found


def views() -> str:
    """The text of views.sql."""
    return files(__package__).joinpath("views.sql").read_text(encoding="utf-8")


def statements(sql: str, database: str) -> list[str]:
    """The statements of a file for a database."""
    text = _COMMENT.sub("", sql).replace("{database}", database)
    return [statement.strip() for statement in text.split(";") if statement.strip()]


def connect(settings: ClickHouseSettings, timeout: float = 300) -> Client:
    """A client of the server that waits so many seconds for an answer.

    It is not bound to the database, which may not exist yet.
    """
    return clickhouse_connect.get_client(
        host=settings.host,
        port=settings.port,
        username=settings.user,
        password=settings.secret(),
        autogenerate_session_id=False,
        connect_timeout=min(timeout, 10),
        send_receive_timeout=timeout,
    )


def apply_schema(settings: ClickHouseSettings) -> list[str]:
    """Apply the migrations that the database lacks, and the views; return the names of these migrations.

    One that this version does not know is left alone: a newer version has applied it before it was taken back.
    Raises SchemaError if one was changed after it was applied.
    """
    with connect(settings) as client:
        client.command(f"CREATE DATABASE IF NOT EXISTS {settings.database}")
        for table in (_RECORDS, _STEPS):
            client.command(table.replace("{database}", settings.database))
        missing = _missing(client, settings.database)
        for migration in missing:
            _migrate(client, migration, settings.database)
        for statement in statements(views(), settings.database):
            client.command(statement)
    return [migration.name for migration in missing]


def _migrate(client: Client, migration: Migration, database: str) -> None:
    """Run the statements that are not known to have run, and record each, and then the migration."""
    known = f"SELECT max(statements) FROM {database}.schema_migration_steps WHERE number = {migration.number}"
    done = int(client.query(known).result_rows[0][0])
    for count, statement in enumerate(statements(migration.sql, database)[done:], done + 1):
        client.command(statement)
        client.insert("schema_migration_steps", [[migration.number, count]], database=database)
    client.insert(
        "schema_migrations",
        [[migration.number, migration.name, migration.digest]],
        column_names=["number", "name", "digest"],
        database=database,
    )


def _missing(client: Client, database: str) -> list[Migration]:
    rows = client.query(f"SELECT number, name, digest FROM {database}.schema_migrations").result_rows
    applied = {number: (name, digest) for number, name, digest in rows}
    known = migrations()
    for migration in known:
        if applied.get(migration.number, (migration.name, migration.digest)) != (migration.name, migration.digest):
            raise SchemaError(
                f"{migration.name} was changed after it was applied to {database}: take the change back, and write a "
                "new migration for it"
            )
    return [migration for migration in known if migration.number not in applied]
