"""Dead letters: reported once, by the job that owns the topic (design: Bad input).

BagLatest owns baggage.events.v1, FlightKpiAlert flight.schedule.v1, ItineraryStatus baggage.assignment.v1 and
baggage.bag.latest.v1; where another job reads one of these topics too, it passes over a bad record in silence.
"""

from __future__ import annotations

from datetime import datetime

from pyflink.common import Row
from pyflink.datastream import OutputTag
from pyflink.table import StreamTableEnvironment

from baggage.domain.dead_letters import DeadLetter, dead_letter
from baggage.domain.records import RecordError
from baggage.jobs.sinks import KEY_VALUE, clickhouse_time, columns_of, row_type, to_clickhouse
from baggage.jobs.sources import KafkaRecord, complete, declare_json_topic, stream
from baggage.provision.topics import DEAD_LETTER
from baggage.settings import Settings

DEAD_LETTERS = OutputTag("dead-letters", KEY_VALUE)

TABLE = "dead_letters"
# The records themselves stay on the topic.
COLUMNS = columns_of(DeadLetter, without=("key_base64", "value_base64"))


def dead_letter_row(record: KafkaRecord, error: RecordError, now: datetime) -> Row:
    """The dead letter of a record as a `KEY_VALUE` row."""
    letter = dead_letter(record.topic, record.partition, record.offset, record.key, record.value, error, now)
    return Row(letter.key(), letter.to_json())


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
