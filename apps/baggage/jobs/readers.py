"""The scalar functions that read topics: a record becomes a row of what the domain finds in it, or of why it is bad.

A row of a reader has named columns, and two more that say why a record is rejected; where they are set, the others
are null. An error of our own code is such a reason, too: no record may restart a job (design: Bad input).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple, TypeVar

import msgspec
import structlog
from pyflink.common import Row
from pyflink.table import DataTypes
from pyflink.table.types import DataType
from pyflink.table.udf import FunctionContext, ScalarFunction

from baggage import log
from baggage.clock import Clock
from baggage.domain.bags import BagFacts, parse_bag_latest, time_text
from baggage.domain.dead_letters import dead_letter, internal_error
from baggage.domain.events import parse_event
from baggage.domain.notifications import Notified, parse_notification
from baggage.domain.records import Record, RecordError, tombstone_key
from baggage.domain.schedule import AssignmentNews, FlightNews, parse_assignment, parse_schedule

#: The offset in front of the text of news, which sorts as the offset does: the longest one has so many digits.
OFFSET_DIGITS = 19

_REJECTED = ("rejected_field", "rejected_reason")

_encode = msgspec.json.Encoder().encode
logger = structlog.get_logger()
R = TypeVar("R", bound=Record)


def row_of(columns: dict[str, DataType]) -> DataType:
    """The type of a row with these columns."""
    return DataTypes.ROW([DataTypes.FIELD(name, kind) for name, kind in columns.items()])


class KafkaRecord(NamedTuple):
    """A record of a topic; `appended` is when the broker appended it, in the pipeline's time, UTC."""

    key: bytes | None
    value: bytes | None
    offset: int
    appended: datetime


class Reader(ScalarFunction):  # type: ignore[misc]
    """A function of key, value, offset and append time of a record; its columns are those of `texts` and `lists`."""

    texts: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def open(self, _context: FunctionContext) -> None:
        """Log as all our programs do."""
        log.configure()

    @classmethod
    def columns(cls) -> dict[str, DataType]:
        """The columns of the row that it returns, by name."""
        return (
            dict.fromkeys(cls.texts, DataTypes.STRING())
            | dict.fromkeys(cls.lists, DataTypes.ARRAY(DataTypes.STRING()))
            | dict.fromkeys(_REJECTED, DataTypes.STRING())
        )

    @abstractmethod
    def read(self, record: KafkaRecord) -> tuple[object, ...]:
        """The values of the columns `texts` and `lists`."""

    def eval(self, key: bytes | None, value: bytes | None, offset: int, appended: datetime) -> Row:
        """Read one record."""
        try:
            # Flink gives times without a zone; they are in UTC (table.local-time-zone).
            record = KafkaRecord(key, value, offset, self._clock.at(appended.replace(tzinfo=UTC)))
            return Row(*self.read(record), None, None)
        except RecordError as error:
            problem = error
        except Exception as error:
            logger.exception("record rejected", reader=type(self).__name__, key=key, value=value)
            problem = internal_error(error)
        # PyFlink has no null lists.
        return Row(*[None] * len(self.texts), *[[] for _ in self.lists], problem.field, problem.reason)


class EventReader(Reader):
    """baggage.events.v1: the facts of an event, as texts.

    `arrived` is when it had come by the clocks of both its sender and the broker, `read_at` when it was read.
    """

    texts = (
        *("bag_id", "flight_id", "reached", "newest", "loaded", "removed", "alarmed", "cleared", "arrived", "read_at"),
    )

    def read(self, record: KafkaRecord) -> tuple[object, ...]:
        """The facts of one event."""
        event = parse_event(record.key, record.value)
        arrived = min(event.ingest_time, record.appended)
        return (
            event.bag_id,
            event.flight_id,
            *_texts(BagFacts.of(event, record.appended)),
            time_text(arrived),
            time_text(self._clock.now()),
        )


class BagReader(Reader):
    """baggage.bag.latest.v1: the facts of a bag, as texts; nothing of a tombstone."""

    texts = ("bag_id", "reached", "newest", "loaded", "removed", "alarmed", "cleared", "arrived", "source")

    def read(self, record: KafkaRecord) -> tuple[object, ...]:
        """The facts of one bag."""
        if record.value is None:
            return (None,) * len(self.texts)
        latest = parse_bag_latest(record.key, record.value)
        arrived = time_text(min(latest.arrived, record.appended))
        return latest.bag_id, *_texts(latest.facts), arrived, str(latest.source)


class ScheduleReader(Reader):
    """flight.schedule.v1: the news of a flight."""

    texts = ("flight_id", "news", "arrived")

    def read(self, record: KafkaRecord) -> tuple[object, ...]:
        """The news of one flight."""
        schedule = _unless_tombstone(parse_schedule, record)
        flight_id = schedule.flight_id if schedule else tombstone_key(record.key)
        return flight_id, news_text(record.offset, FlightNews(record.offset, schedule)), time_text(record.appended)


class AssignmentReader(Reader):
    """baggage.assignment.v1: the news of a bag's assignment; a tombstone has no itinerary and no flights.

    `newest_itinerary` is a text that sorts as the news do: what follows the offset is the itinerary, or empty.
    """

    texts = ("bag_id", "itinerary_id", "newest_itinerary", "news", "arrived")
    lists = ("flights",)

    def read(self, record: KafkaRecord) -> tuple[object, ...]:
        """The news of one bag."""
        assignment = _unless_tombstone(parse_assignment, record)
        news = news_text(record.offset, AssignmentNews(record.offset, assignment))
        if assignment is None:
            return tombstone_key(record.key), None, _order(record.offset), news, time_text(record.appended), []
        itinerary_id, flights = assignment.itinerary_id, [leg.flight_id for leg in assignment.legs]
        newest = f"{_order(record.offset)}{itinerary_id}"
        return assignment.bag_id, itinerary_id, newest, news, time_text(record.appended), flights


class NotificationReader(Reader):
    """baggage.notifications.v1: what was notified of an itinerary."""

    texts = ("itinerary_id", "news", "arrived")

    def read(self, record: KafkaRecord) -> tuple[object, ...]:
        """One notification."""
        notification = parse_notification(record.key, record.value)
        notified = Notified(notification.version, notification.journey_state)
        return notification.itinerary_id, news_text(notification.version, notified), time_text(record.appended)


class DeadLetterWriter(ScalarFunction):  # type: ignore[misc]
    """Makes the key and the value of a dead letter from a record that a reader rejected."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    @staticmethod
    def columns() -> dict[str, DataType]:
        """The columns of the row that it returns, by name."""
        return {"k": DataTypes.STRING(), "v": DataTypes.STRING()}

    def eval(
        self,
        topic: str,
        partition: int,
        offset: int,
        key: bytes | None,
        value: bytes | None,
        field: str,
        reason: str,
    ) -> Row:
        """The dead letter of one record."""
        letter = dead_letter(topic, partition, offset, key, value, RecordError(field, reason), self._clock.now())
        return Row(letter.key(), letter.to_json().decode())


def news_text(order: int, news: msgspec.Struct) -> str:
    """The text of news: a sort key by their order, then the news in JSON."""
    return f"{_order(order)}{_encode(news).decode()}"


def _order(order: int) -> str:
    return f"{order:0{OFFSET_DIGITS}}"


def _texts(facts: BagFacts) -> tuple[str | None, ...]:
    return (
        facts.reached.text(),
        facts.newest.text(),
        facts.loaded.text() if facts.loaded else None,
        facts.removed.text() if facts.removed else None,
        time_text(facts.alarmed) if facts.alarmed else None,
        time_text(facts.cleared) if facts.cleared else None,
    )


def _unless_tombstone(parse: Callable[[bytes | None, bytes | None], R], record: KafkaRecord) -> R | None:
    return None if record.value is None else parse(record.key, record.value)
