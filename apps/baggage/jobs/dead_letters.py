"""Dead letters: reported once, by the job that owns the topic (design: Bad input).

BagLatest owns baggage.events.v1, FlightKpiAlert flight.schedule.v1, ItineraryStatus baggage.assignment.v1 and
baggage.bag.latest.v1; where another job reads one of these topics too, it passes over a bad record in silence.
"""

from __future__ import annotations

from datetime import datetime

from pyflink.datastream import DataStream, OutputTag
from pyflink.table import StatementSet, StreamTableEnvironment

from baggage.domain.dead_letters import DeadLetter, dead_letter
from baggage.domain.records import RecordError
from baggage.jobs.sinks import KEY_VALUE, clickhouse_time, columns_of, key_values, row_type, to_clickhouse, to_topic
from baggage.jobs.sources import KafkaRecord, complete, declare_json_topic, stream
from baggage.provision.topics import DEAD_LETTER
from baggage.settings import Settings

DEAD_LETTERS = OutputTag("dead-letters", KEY_VALUE)

TABLE = "dead_letters"
# The records themselves stay on the topic.
COLUMNS = columns_of(DeadLetter, without=("key_base64", "value_base64"))


def dead_letter_record(record: KafkaRecord, error: RecordError, now: datetime) -> tuple[str, bytes]:
    """The dead letter of a record, as `KEY_VALUE`."""
    letter = dead_letter(record.topic, *record.position, record.key, record.value, error, now)
    return letter.key(), letter.to_json()


def dead_letters_to_topic(
    tables: StreamTableEnvironment, statements: StatementSet, results: DataStream, settings: Settings
) -> None:
    """Write the dead letters among an operator's results to their topic."""
    letters = key_values(tables, results.get_side_output(DEAD_LETTERS), "dead_letter_records")
    to_topic(tables, statements, DEAD_LETTER, letters, settings)


def dead_letters_to_clickhouse(tables: StreamTableEnvironment, settings: Settings, group: str) -> None:
    """Feed the table of dead letters from their topic."""
    letters = declare_json_topic(tables, DEAD_LETTER, COLUMNS, settings, group)
    selected = ", ".join(clickhouse_time(c) if c == "ts" else c for c in COLUMNS)
    to_clickhouse(
        stream(tables, f"SELECT {selected} FROM {letters} WHERE {complete(COLUMNS)}", row_type(COLUMNS)),
        TABLE,
        COLUMNS,
        settings,
    )
