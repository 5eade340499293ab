"""Kafka topics as tables of what the domain reads in them (specification section 6, common settings).

Every topic is read once a job: a scalar function calls the domain's parser, which is the cheapest way from a record
into Python, and everything else of the job starts from the rows that it returns.
"""

from __future__ import annotations

from pyflink.common import Types
from pyflink.common.typeinfo import RowTypeInfo
from pyflink.datastream import DataStream, KeyedStream
from pyflink.java_gateway import get_gateway
from pyflink.table import DataTypes, Schema, StreamTableEnvironment
from pyflink.table.changelog_mode import ChangelogMode
from pyflink.table.udf import udf

from baggage.jobs.readers import Reader
from baggage.jobs.times import unix_ms
from baggage.provision.topics import Topic
from baggage.settings import Settings

#: What goes to an operator: the key that it is keyed by, a record in JSON, and what the record is of.
KEYED = Types.ROW_NAMED(["k", "v", "id"], [Types.STRING(), Types.STRING(), Types.STRING()])

# A fetch waits so long for more records: without that a busy topic is asked for a few at a time, which took a tenth of
# the pipeline's CPU time at 2,000 events/s.
_FETCH_BYTES = 1024 * 1024
# A fetch is read into direct memory, of which a TaskManager has 192 MiB for the dozen consumers of its jobs: with the
# default of 50 MiB each they ran out of it for good when they had days to read.
_MAX_FETCH_BYTES = 4 * 1024 * 1024
_FETCH_WAIT_MS = 50

#: The options of a topic as a table of keys and values as they are.
RAW = "'key.format' = 'raw', 'value.format' = 'raw', 'value.fields-include' = 'EXCEPT_KEY'"


def table_name(topic: Topic, use: str) -> str:
    """The name of the table that declares a topic for one use."""
    return f"{topic.name}_{use}".replace(".", "_").replace("-", "_")


def declare_topic(tables: StreamTableEnvironment, topic: Topic, settings: Settings, group: str) -> str:
    """Declare a topic as a table: key and value as bytes, and where and when the broker appended it; return its name.

    There is no watermark: an event time is part of a fact, facts are joined whatever their order, and what is late by
    up to the specified ten minutes is a rule of the domain (`LATE_SCANS`).
    """
    name = table_name(topic, "records")
    tables.execute_sql(f"""
        CREATE TEMPORARY TABLE {name} (
            k BYTES,
            v BYTES,
            topic STRING METADATA VIRTUAL,
            `partition` INT METADATA VIRTUAL,
            `offset` BIGINT METADATA VIRTUAL,
            appended TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL
        ) WITH (
            'connector' = 'kafka',
            'topic' = '{topic.name}',
            'properties.bootstrap.servers' = '{settings.kafka.bootstrap_servers}',
            'properties.group.id' = '{group}',
            'properties.fetch.max.bytes' = '{_MAX_FETCH_BYTES}',
            'properties.max.partition.fetch.bytes' = '{_MAX_FETCH_BYTES}',
            'properties.fetch.min.bytes' = '{_FETCH_BYTES}',
            'properties.fetch.max.wait.ms' = '{_FETCH_WAIT_MS}',
            'scan.startup.mode' = 'earliest-offset',
            'key.fields' = 'k',
            {RAW}
        )""")
    return name


def read_topic(tables: StreamTableEnvironment, reader: Reader, view: str, settings: Settings, group: str) -> None:
    """Read a reader's topic into a view: the key, the reader's columns, where and when (Unix time) a record came.

    The queries of one set of statements share what is read.
    """
    function = f"read_{view}"
    result_type = DataTypes.ROW([DataTypes.FIELD(name, kind) for name, kind in reader.columns().items()])
    tables.create_temporary_function(function, udf(reader, result_type=result_type))
    records = declare_topic(tables, reader.topic, settings, group)
    read = ", ".join(f"parsed.r.{name} AS {name}" for name in reader.columns())
    rows = tables.sql_query(f"""
        SELECT CAST(k AS STRING) AS k, {read}, topic, `partition`, `offset`, appended_ms
        FROM (
            SELECT *, {function}(k, v, `partition`, `offset`, appended_ms) AS r
            FROM (SELECT *, {unix_ms("appended")} AS appended_ms FROM {records})
        ) AS parsed""")
    tables.create_temporary_view(view, rows)


def share_topic(tables: StreamTableEnvironment, reader: Reader, view: str, settings: Settings, group: str) -> None:
    """Read a topic as `read_topic` does, for queries that become streams: each of them is planned by itself.

    So the view goes over a stream, too, or the planner would read the topic for each of them anew.
    """
    rows = f"{view}_read"
    read_topic(tables, reader, rows, settings, group)
    tables.create_temporary_view(view, tables.from_data_stream(tables.to_data_stream(tables.from_path(rows))))


def changes(tables: StreamTableEnvironment, query: str) -> DataStream:
    """The changes of a query with the columns of `KEYED`, of which `id` is its key: each new or changed row."""
    schema = (
        Schema.new_builder()
        .column("k", DataTypes.STRING())
        .column("v", DataTypes.STRING())
        .column("id", DataTypes.STRING().not_null())
        .primary_key("id")
        .build()
    )
    return _typed(tables.to_changelog_stream(tables.sql_query(query), schema, ChangelogMode.upsert()), KEYED)


def stream(tables: StreamTableEnvironment, query: str, row_type: RowTypeInfo = KEYED) -> DataStream:
    """The rows of a query that never changes one, as a stream of `row_type`."""
    return _typed(tables.to_data_stream(tables.sql_query(query)), row_type)


def _typed(rows: DataStream, row_type: RowTypeInfo) -> DataStream:
    """The Table API leaves its own kind of type on a stream, which the operators of thread mode refuse.

    (`ExternalTypeInfo cannot be cast to RowTypeInfo`.) The rows themselves are the same.
    """
    rows._j_data_stream.getTransformation().setOutputType(row_type.get_java_type_info())
    return rows


def keyed(rows: DataStream) -> KeyedStream:
    """Key a stream of `KEYED` by its key, without leaving the JVM; the operator receives the record alone.

    A Python key selector costs more than the work on a record, so PyFlink's own Java selector, which it puts behind
    `DataStream.key_by`, reads the key from the row.
    """
    selector = get_gateway().jvm.org.apache.flink.streaming.api.functions.python.KeyByKeySelector()
    key_type = Types.ROW([Types.STRING()]).get_java_type_info()
    return KeyedStream(rows._j_data_stream.keyBy(selector, key_type), rows.get_type(), rows)
