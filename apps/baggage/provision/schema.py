"""Applies schema.sql to ClickHouse; safe to run again (specification section 7)."""

from __future__ import annotations

import re
from importlib.resources import files

import clickhouse_connect
from clickhouse_connect.driver.client import Client

from baggage.settings import ClickHouseSettings

_VERSION = re.compile(r"^-- version: (\d+)$", re.MULTILINE)
_COMMENT = re.compile(r"--[^\n]*")


def schema_sql() -> str:
    """The text of schema.sql."""
    return files(__package__).joinpath("schema.sql").read_text(encoding="utf-8")


def schema_version() -> int:
    """The version that schema.sql says it is."""
    match = _VERSION.search(schema_sql())
    if match is None:
        raise ValueError("schema.sql has no line '-- version: N'")
    return int(match[1])


def statements(database: str) -> list[str]:
    """The statements of schema.sql for a database."""
    text = _COMMENT.sub("", schema_sql()).replace("{database}", database)
    return [statement.strip() for statement in text.split(";") if statement.strip()]


def connect(settings: ClickHouseSettings) -> Client:
    """A client of the server, not bound to the database, which may not exist yet."""
    return clickhouse_connect.get_client(
        host=settings.host,
        port=settings.port,
        username=settings.user,
        password=settings.password.get_secret_value(),
        autogenerate_session_id=False,
    )


def apply_schema(settings: ClickHouseSettings) -> int:
    """Run every statement and record the version, once; return the version."""
    version = schema_version()
    with connect(settings) as client:
        for statement in statements(settings.database):
            client.command(statement)
        table = f"{settings.database}.schema_version"
        known = client.command(f"SELECT count() FROM {table} WHERE version = {version}")
        if not known:
            client.insert(table, [[version]], column_names=["version"])
    return version
