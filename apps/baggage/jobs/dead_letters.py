"""Dead letters: written once, by the job that owns the topic (design: Bad input).

BagLatest owns baggage.events.v1, FlightKpiAlert flight.schedule.v1, ItineraryStatus baggage.assignment.v1,
baggage.bag.latest.v1 and baggage.notifications.v1; where another job reads one of these topics, too, it passes over a
bad record in silence.
"""

from __future__ import annotations

from datetime import UTC, datetime

import structlog
from pyflink.table import StatementSet, StreamTableEnvironment

from baggage.domain.dead_letters import DeadLetter, dead_letter, internal_error
from baggage.jobs.sinks import clickhouse_from_topic, results_to_topic
from baggage.provision.topics import DEAD_LETTER
from baggage.settings import Settings

TABLE = "dead_letters"

logger = structlog.get_logger()


def operator_failure(operator: str, key: str, value: str, error: Exception, now: datetime) -> str:
    """Log that the code of an operator has failed on a value (or a timer, without one); return its dead letter in JSON.

    What goes between operators has no offset of its own, so the real time in microseconds stands for it.
    """
    logger.error("operator failed", operator=operator, key=key, value=value, exc_info=error)
    offset = int(datetime.now(UTC).timestamp() * 1_000_000)
    return (
        dead_letter(operator, 0, offset, key.encode(), (value or "").encode(), internal_error(error), now)
        .to_json()
        .decode()
    )


def write_dead_letters(
    tables: StreamTableEnvironment, statements: StatementSet, views: tuple[str, ...], settings: Settings
) -> None:
    """Write the column `dead_letter` of these views to the topic of dead letters."""
    letters = " UNION ALL ".join(f"SELECT dead_letter FROM {view}" for view in views)
    id_fields = ("source_topic", "source_partition", "source_offset")
    results_to_topic(tables, statements, f"({letters})", "dead_letter", DEAD_LETTER, id_fields, settings)


def dead_letters_to_clickhouse(tables: StreamTableEnvironment, settings: Settings, group: str) -> None:
    """Feed the table of dead letters from their topic."""
    clickhouse_from_topic(tables, DEAD_LETTER, DeadLetter, TABLE, settings, group)
