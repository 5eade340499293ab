"""Kafka topics as Flink streams, keyed inside the JVM (specification section 6, common settings).

A Python key selector costs more than the work on an event, so SQL extracts the key and PyFlink's own Java
selector reads it from the first field of the row.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import NamedTuple

from pyflink.common import Types
from pyflink.common.typeinfo import RowTypeInfo
from pyflink.datastream import DataStream, KeyedStream
from pyflink.java_gateway import get_gateway
from pyflink.table import StreamTableEnvironment

from baggage.provision.topics import Topic
from baggage.settings import Settings


class KafkaRecord(NamedTuple):
    """A record as it came from Kafka: a null value is a tombstone. `source` is topic|partition|offset."""

    key: bytes | None
    value: bytes | None
    source: bytes

    @classmethod
    def of(cls, parts: tuple[bytes, ...]) -> KafkaRecord:
        """Read a value of `RECORD_TYPE`."""
        return cls(*parts)

    @property
    def key_text(self) -> str:
        """Its key as `KAFKA_KEY` says it, for every key that is UTF-8."""
        return (self.key or b"").decode(errors="replace")

    @property
    def topic(self) -> str:
        """Where it was."""
        return self.source.decode().split("|")[0]

    @property
    def position(self) -> tuple[int, int]:
        """Its partition and offset."""
        _, partition, offset = self.source.split(b"|")
        return int(partition), int(offset)


BYTES = Types.PRIMITIVE_ARRAY(Types.BYTE())
#: SQL for a record in the parts of `KafkaRecord`, and its type. An array: a row costs Python five times as much.
RECORD = "ARRAY[k, v, CAST(CONCAT_WS('|', topic, CAST(`partition` AS STRING), CAST(`offset` AS STRING)) AS BYTES)]"
RECORD_TYPE = Types.OBJECT_ARRAY(BYTES)
#: What `keyed_by_first_field` takes: the key and the record.
KEYED_RECORD_TYPE = Types.ROW([Types.STRING(), RECORD_TYPE])
#: The Kafka key as text; a record without one is keyed by the empty string.
KAFKA_KEY = "COALESCE(CAST(k AS STRING), '')"


def json_field(name: str) -> str:
    """SQL for a string field of a JSON value, NULL where the value is not JSON or has no such field."""
    return f"JSON_VALUE(CAST(v AS STRING), '$.{name}')"


def _start_of_json_field(name: str, characters: int) -> str:
    """SQL for the first characters of a string field of a JSON value.

    Where the value is written as most programs write it, the field is found without reading the JSON, which would
    cost more than all else that is done for the watermark.
    """
    text, sign = "CAST(v AS STRING)", f'"{name}":"'
    found = f"SUBSTRING({text}, POSITION('{sign}' IN {text}) + {len(sign)}, {characters})"
    return f"IF(POSITION('{sign}' IN {text}) > 0, {found}, SUBSTRING({json_field(name)}, 1, {characters}))"


def table_name(topic: Topic, use: str) -> str:
    """The name of the table that declares a topic for one use."""
    return f"{topic.name}_{use}".replace(".", "_").replace("-", "_")


def _kafka(topic: Topic, settings: Settings, group: str) -> str:
    """The options of a Kafka source table that all uses share."""
    return f"""
        'connector' = 'kafka',
        'topic' = '{topic.name}',
        'properties.bootstrap.servers' = '{settings.kafka.bootstrap_servers}',
        'properties.group.id' = '{group}',
        'properties.max.partition.fetch.bytes' = '8388608',
        'scan.startup.mode' = 'earliest-offset'"""


def declare_topic(
    tables: StreamTableEnvironment, topic: Topic, settings: Settings, group: str, *, event_time: bool = False
) -> str:
    """Declare a topic as a table with the columns k, v, topic, partition, offset; return its name.

    With `event_time`, the field event_time drives the watermark (the time of the Kafka record where the value
    has none, since a row without a time stops Flink).
    """
    name = table_name(topic, "records")
    rowtime = ""
    if event_time:
        delay = settings.flink.out_of_orderness
        days, clock_time = delay.days, timedelta(seconds=delay.seconds)
        seconds = f"UNIX_TIMESTAMP(REPLACE({_start_of_json_field('event_time', 19)}, 'T', ' '))"
        rowtime = f""",
            kafka_time TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL,
            rowtime AS COALESCE(TO_TIMESTAMP_LTZ({seconds}, 0), kafka_time),
            WATERMARK FOR rowtime AS rowtime - INTERVAL '{days} {clock_time}' DAY TO SECOND"""
    tables.execute_sql(f"""
        CREATE TEMPORARY TABLE {name} (
            k BYTES,
            v BYTES,
            topic STRING METADATA VIRTUAL,
            `partition` INT METADATA VIRTUAL,
            `offset` BIGINT METADATA VIRTUAL{rowtime}
        ) WITH ({_kafka(topic, settings, group)},
            'key.format' = 'raw',
            'key.fields' = 'k',
            'value.format' = 'raw',
            'value.fields-include' = 'EXCEPT_KEY'
        )""")
    return name


def declare_json_topic(
    tables: StreamTableEnvironment, topic: Topic, fields: tuple[str, ...], settings: Settings, group: str
) -> str:
    """Declare a topic of our own as a table of JSON fields, all as text; tombstones are left out; return its name."""
    name = table_name(topic, "fields")
    columns = ", ".join(f"{field} STRING" for field in fields)
    tables.execute_sql(
        f"CREATE TEMPORARY TABLE {name} ({columns}) WITH ({_kafka(topic, settings, group)}, "
        "'value.format' = 'json', 'value.json.ignore-parse-errors' = 'true')"
    )
    return name


def complete(expressions: Iterable[str]) -> str:
    """SQL that is true where no expression is NULL: a record of somebody else's on a topic of ours makes no row."""
    return " AND ".join(f"{expression} IS NOT NULL" for expression in expressions)


def stream(tables: StreamTableEnvironment, query: str, row_type: RowTypeInfo) -> DataStream:
    """Run a query as a stream of rows of `row_type`.

    The Table API leaves its own kind of type on the stream, which the operators of thread mode refuse
    (`ExternalTypeInfo cannot be cast to RowTypeInfo`); the rows themselves are the same.
    """
    rows = tables.to_data_stream(tables.sql_query(query))
    rows._j_data_stream.getTransformation().setOutputType(row_type.get_java_type_info())
    return rows


def keyed_by_first_field(rows: DataStream) -> KeyedStream:
    """Key a stream of Row(key: str, record) by its first field, without leaving the JVM.

    The keyed functions receive the record alone, as they would behind `DataStream.key_by`.
    """
    j_stream = rows._j_data_stream
    selector = get_gateway().jvm.org.apache.flink.streaming.api.functions.python.KeyByKeySelector()
    key_type = Types.ROW([Types.STRING()]).get_java_type_info()
    return KeyedStream(j_stream.keyBy(selector, key_type), rows.get_type(), rows)
