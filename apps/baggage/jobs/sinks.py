"""Where results go: Kafka topics and ClickHouse tables, at least once (design: ClickHouse).

What has an id goes to Kafka first, and ClickHouse is fed from the topic: so after any failure both hold the same
ids. A table takes a record whole, in JSON, and takes it to pieces itself: which columns there are is known to
schema.sql alone.
"""

from __future__ import annotations

from typing import Any

from pyflink.common import Types
from pyflink.common.typeinfo import RowTypeInfo
from pyflink.datastream import DataStream
from pyflink.datastream.connectors import Sink
from pyflink.java_gateway import get_gateway
from pyflink.table import StatementSet, StreamTableEnvironment
from pyflink.util.java_utils import to_jarray

from baggage.domain.records import Record
from baggage.jobs.sources import RAW, declare_topic, stream, table_name
from baggage.provision.topics import Topic
from baggage.settings import Settings

#: What goes to a table: a record in JSON.
RECORD = Types.ROW_NAMED(["record"], [Types.STRING()])

_JAVA_SQL_TYPES_VARCHAR = 12
_INSERT_BATCH = 2_000
_INSERT_INTERVAL_MS = 300
_INSERT_RETRIES = 10


def to_topic(
    tables: StreamTableEnvironment, statements: StatementSet, topic: Topic, query: str, settings: Settings
) -> None:
    """Write the rows of a query of two texts, key and value, to a topic."""
    name = table_name(topic, "sink")
    tables.execute_sql(f"""
        CREATE TEMPORARY TABLE IF NOT EXISTS {name} (k STRING, v STRING) WITH (
            'connector' = 'kafka',
            {_producer(topic, settings)},
            'key.fields' = 'k',
            {RAW}
        )""")
    statements.add_insert(name, tables.sql_query(query))


def to_compacted_topic(
    tables: StreamTableEnvironment, statements: StatementSet, topic: Topic, query: str, settings: Settings
) -> None:
    """Write the changes of a query with the columns k, its key, and v to a topic."""
    name = table_name(topic, "upsert_sink")
    tables.execute_sql(f"""
        CREATE TEMPORARY TABLE {name} (k STRING, v STRING, PRIMARY KEY (k) NOT ENFORCED) WITH (
            'connector' = 'upsert-kafka',
            {_producer(topic, settings)},
            {RAW}
        )""")
    statements.add_insert(name, tables.sql_query(query))


def _producer(topic: Topic, settings: Settings) -> str:
    """The options of Kafka that all sinks share."""
    max_request = topic.max_message_bytes or 1024 * 1024
    return f"""
            'topic' = '{topic.name}',
            'properties.bootstrap.servers' = '{settings.kafka.bootstrap_servers}',
            'properties.acks' = 'all',
            'properties.compression.type' = 'lz4',
            'properties.linger.ms' = '20',
            'properties.max.request.size' = '{max_request}',
            'properties.delivery.timeout.ms' = '600000',
            'sink.delivery-guarantee' = 'at-least-once'"""


def results_type(columns: tuple[str, ...]) -> RowTypeInfo:
    """The type of an operator's results: of these columns, each a record in JSON, those are set that there are.

    PyFlink takes side outputs of a broadcast operator from its elements only, not from its timers.
    """
    return Types.ROW_NAMED(list(columns), [Types.STRING()] * len(columns))


def results_to_topic(
    tables: StreamTableEnvironment,
    statements: StatementSet,
    results: str,
    column: str,
    topic: Topic,
    id_fields: tuple[str, ...],
    settings: Settings,
) -> None:
    """Write a column of an operator's results to a topic, with some of its fields, between bars, as the key."""
    key = " || '|' || ".join(f"JSON_VALUE({column}, '$.{field}')" for field in id_fields)
    records = f"SELECT {key}, {column} FROM {results} WHERE {column} IS NOT NULL"
    to_topic(tables, statements, topic, records, settings)


def results_to_clickhouse(
    tables: StreamTableEnvironment, results: str, column: str, table: str, settings: Settings
) -> None:
    """Append a column of an operator's results to a ClickHouse table."""
    records = f"SELECT {column} FROM {results} WHERE {column} IS NOT NULL"
    to_clickhouse(stream(tables, records, RECORD), table, settings)


def clickhouse_from_topic(
    tables: StreamTableEnvironment, topic: Topic, record_type: type[Record], table: str, settings: Settings, group: str
) -> None:
    """Feed a ClickHouse table from a topic of our own; what does not begin as our records do is somebody else's."""
    first, second, *_ = record_type.__struct_fields__
    records = declare_topic(tables, topic, settings, group)
    query = f"""SELECT CAST(v AS STRING) FROM {records} WHERE CAST(v AS STRING) LIKE '{{"{first}":"%","{second}":"%'"""
    to_clickhouse(stream(tables, query, RECORD), table, settings)


def to_clickhouse(records: DataStream, table: str, settings: Settings) -> None:
    """Append a stream of `RECORD` to a ClickHouse table.

    Batches are flushed on every checkpoint; a failed insert is tried again and then fails the job, which replays it.
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
        .withPassword(clickhouse.secret())
        .build()
    )
    sink = (
        jvm.org.apache.flink.connector.jdbc.core.datastream.sink.JdbcSink.builder()
        .withQueryStatement(f"INSERT INTO {table} (record) VALUES (?)", _statement_of_one_text())
        .withExecutionOptions(execution)
        .buildAtLeastOnce(connection)
    )
    records.sink_to(Sink(sink)).name(f"clickhouse {table}").uid(f"clickhouse-{table}")


def _statement_of_one_text() -> Any:  # noqa: ANN401 (a Java object)
    """The statement builder for rows of one string.

    It is package-private in the connector, which has no other builder that Python could pass (an own one would be a
    Java class), and PyFlink's JDBC sink reaches it through reflection, too.
    """
    gateway = get_gateway()
    jvm = gateway.jvm
    loader = jvm.Thread.currentThread().getContextClassLoader()
    row_format = jvm.Class.forName("org.apache.flink.connector.jdbc.internal.RowJdbcOutputFormat", False, loader)
    int_array = to_jarray(jvm.int, []).getClass()
    method = row_format.getDeclaredMethod("createRowJdbcStatementBuilder", to_jarray(jvm.Class, [int_array]))
    method.setAccessible(True)
    return method.invoke(None, to_jarray(jvm.Object, [to_jarray(jvm.int, [_JAVA_SQL_TYPES_VARCHAR])]))
