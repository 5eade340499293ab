"""The ClickHouse engine with generated days in it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import clickhouse_connect
from clickhouse_connect.driver.client import Client

from baggage.domain.records import Record
from baggage.local import clickhouse_server
from baggage.provision.schema import apply_schema
from baggage.settings import ClickHouseSettings
from tests.servers import clickhouse, free_ports

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

    def write(self, table: str, record: Record) -> None:
        """Add a record to what `flush` inserts."""
        self._waiting[table].append(record.to_json())
        if len(self._waiting[table]) >= _BATCH:
            self._insert(table)

    def flush(self) -> None:
        """Insert what is waiting."""
        for table in list(self._waiting):
            self._insert(table)

    def _insert(self, table: str) -> None:
        """Insert as the jobs do: the table takes records to pieces itself."""
        records = b"\n".join(self._waiting.pop(table))
        self._client.raw_insert(table, ["record"], records, fmt="LineAsString")


@contextmanager
def engine(directory: Path) -> Iterator[Callable[[str], Tables]]:
    """A running engine with its data in a directory: makes databases with the schema."""
    (port,) = free_ports(1)
    with clickhouse(directory, port), ExitStack() as opened:

        def make(name: str) -> Tables:
            apply_schema(ClickHouseSettings(port=port, database=name))
            client = clickhouse_connect.get_client(
                host=clickhouse_server.HOST, port=port, database=name, autogenerate_session_id=False, compress=False
            )
            opened.callback(client.close)
            return Tables(client)

        yield make
