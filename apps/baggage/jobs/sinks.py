"""Where results go: Kafka topics and ClickHouse tables, at least once (design: ClickHouse).

Everything with an id goes to Kafka first, and ClickHouse is fed from the topic: so after any failure both hold the
same ids. Only the rows without an id (flight_kpis, itinerary_status) go to ClickHouse directly.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pyflink.common import TypeInformation, Types
from pyflink.datastream import DataStream
from pyflink.datastream.connectors import Sink
from pyflink.java_gateway import get_gateway
from pyflink.table import StatementSet, StreamTableEnvironment, Table
from pyflink.util.java_utils import to_jarray

from baggage.domain.records import Record
from baggage.jobs.sources import BYTES, complete, declare_topic, json_field, stream, table_name
from baggage.provision.topics import Topic
from baggage.settings import Settings

#: What an operator says for a topic: the key, and the value in the bytes that it has there. A tuple, which costs Python
#: a fifth of a row, but has no nulls: no bytes stand for a tombstone.
KEY_VALUE = Types.TUPLE([Types.STRING(), BYTES])
TOMBSTONE = b""
#: What an operator says that feeds a topic and a table: the name of either, then the texts of a record or a row.
#: An array, see `RECORD`.
TEXTS = Types.OBJECT_ARRAY(Types.STRING())

# java.sql.Types
_VARCHAR = 12
_INSERT_BATCH = 2_000
_INSERT_INTERVAL_MS = 500
_INSERT_RETRIES = 10


def to_topic(
    tables: StreamTableEnvironment, statements: StatementSet, topic: Topic, records: Table, settings: Settings
) -> None:
    """Write a table of two columns, key and value, to a topic; a null value is a tombstone."""
    name = table_name(topic, "sink")
    max_request = topic.max_message_bytes or 1024 * 1024
    tables.execute_sql(f"""
        CREATE TEMPORARY TABLE {name} (k STRING, v BYTES) WITH (
            'connector' = 'kafka',
            'topic' = '{topic.name}',
            'properties.bootstrap.servers' = '{settings.kafka.bootstrap_servers}',
            'properties.acks' = 'all',
            'properties.compression.type' = 'lz4',
            'properties.linger.ms' = '20',
            'properties.max.request.size' = '{max_request}',
            'properties.delivery.timeout.ms' = '600000',
            'sink.delivery-guarantee' = 'at-least-once',
            'key.format' = 'raw',
            'key.fields' = 'k',
            'value.format' = 'raw',
            'value.fields-include' = 'EXCEPT_KEY'
        )""")
    statements.add_insert(name, records)


def key_values(tables: StreamTableEnvironment, records: DataStream, name: str) -> Table:
    """A stream of `KEY_VALUE` as a table for `to_topic`; `name` is that of a view of it."""
    tables.create_temporary_view(name, tables.from_data_stream(records))
    return tables.sql_query(f"SELECT f0, NULLIF(f1, X'') FROM {name}")


def topic_texts(topic: Topic, record: Record) -> tuple[str, ...]:
    """A record for a topic, as `TEXTS`."""
    return topic.name, record.key(), record.to_json().decode()


def table_texts(table: str, record: Record, columns: tuple[str, ...]) -> tuple[str, ...]:
    """A record for a ClickHouse table, as `TEXTS`."""
    return table, *(_text(getattr(record, name)) for name in columns)


def texts_to_topic(
    tables: StreamTableEnvironment, statements: StatementSet, view: str, topic: Topic, settings: Settings
) -> None:
    """Write the records for a topic in a view of `TEXTS` to it."""
    records = f"SELECT f0[2], CAST(f0[3] AS BYTES) FROM {view} WHERE f0[1] = '{topic.name}'"
    to_topic(tables, statements, topic, tables.sql_query(records), settings)


def columns_of(record_type: type[Record], *, without: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The ClickHouse columns of a record that is a row: its fields, by name."""
    return tuple(name for name in record_type.__struct_fields__ if name not in without)


def row_type(columns: tuple[str, ...]) -> TypeInformation:
    """The type of a row on its way to ClickHouse: every column as text."""
    return Types.ROW_NAMED(list(columns), [Types.STRING()] * len(columns))


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return str(value)[: len("2026-01-31 23:59:59")]
    return str(int(value)) if isinstance(value, bool) else str(value)


def clickhouse_time(expression: str) -> str:
    """SQL that turns an RFC 3339 text into the text of a ClickHouse DateTime."""
    return f"REPLACE(SUBSTRING({expression}, 1, 19), 'T', ' ')"


def to_clickhouse(rows: DataStream, table: str, columns: tuple[str, ...], settings: Settings) -> None:
    """Append rows of strings, one for each column, to a ClickHouse table.

    ClickHouse reads numbers and times from their text, so that its schema alone decides the types. Batches are
    flushed on every checkpoint; a failed insert is tried again and then fails the job, which replays it.
    """
    jvm = get_gateway().jvm
    clickhouse = settings.clickhouse
    execution = (
        jvm.org.apache.flink.connector.jdbc.JdbcExecutionOptions.builder()
        .withBatchSize(_INSERT_BATCH)
        .withBatchIntervalMs(_INSERT_INTERVAL_MS)
        .withMaxRetries(_INSERT_RETRIES)
        .build()
    )
    connection = (
        jvm.org.apache.flink.connector.jdbc.JdbcConnectionOptions.JdbcConnectionOptionsBuilder()
        .withUrl(
            f"jdbc:clickhouse://{clickhouse.host}:{clickhouse.port}/{clickhouse.database}"
            f"?compress={int(clickhouse.compress)}"
        )
        .withDriverName("com.clickhouse.jdbc.ClickHouseDriver")
        .withUsername(clickhouse.user)
        .withPassword(clickhouse.password.get_secret_value())
        .build()
    )
    insert = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
    sink = (
        jvm.org.apache.flink.connector.jdbc.core.datastream.sink.JdbcSink.builder()
        .withQueryStatement(insert, _row_statement(len(columns)))
        .withExecutionOptions(execution)
        .buildAtLeastOnce(connection)
    )
    rows.sink_to(Sink(sink)).name(f"clickhouse {table}").uid(f"clickhouse-{table}")


def texts_to_clickhouse(
    tables: StreamTableEnvironment, view: str, table: str, columns: tuple[str, ...], settings: Settings
) -> None:
    """Append the rows for a ClickHouse table in a view of `TEXTS` to it."""
    selected = ", ".join(f"f0[{number}]" for number in range(2, 2 + len(columns)))
    rows = stream(tables, f"SELECT {selected} FROM {view} WHERE f0[1] = '{table}'", row_type(columns))
    to_clickhouse(rows, table, columns, settings)


def topic_to_clickhouse(
    tables: StreamTableEnvironment,
    topic: Topic,
    time_field: str,
    table: str,
    columns: tuple[str, ...],
    settings: Settings,
    group: str,
) -> None:
    """Feed a ClickHouse table from a topic of our own.

    The first of the columns is the time in `time_field`, the last the whole record, the others fields by their names.
    """
    records = declare_topic(tables, topic, settings, group)
    fields = [json_field(column) for column in columns[1:-1]]
    selected = ", ".join([clickhouse_time(json_field(time_field)), *fields, "CAST(v AS STRING)"])
    rows = stream(tables, f"SELECT {selected} FROM {records} WHERE {complete(fields)}", row_type(columns))
    to_clickhouse(rows, table, columns, settings)


def _row_statement(columns: int) -> Any:  # noqa: ANN401 (a Java object)
    """The statement builder for rows of strings.

    It is package-private in the connector, and PyFlink's own JDBC sink reaches it through reflection, too.
    """
    gateway = get_gateway()
    jvm = gateway.jvm
    loader = jvm.Thread.currentThread().getContextClassLoader()
    row_format = jvm.Class.forName("org.apache.flink.connector.jdbc.internal.RowJdbcOutputFormat", False, loader)
    int_array = to_jarray(jvm.int, []).getClass()
    method = row_format.getDeclaredMethod("createRowJdbcStatementBuilder", to_jarray(jvm.Class, [int_array]))
    method.setAccessible(True)
    return method.invoke(None, to_jarray(jvm.Object, [to_jarray(jvm.int, [_VARCHAR] * columns)]))
