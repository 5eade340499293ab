"""The scalar functions that read topics: a record becomes a row of what the domain finds in it, or of why it is bad.

An error of our own code is a reason to reject a record, too: none may restart a job (design: Bad input).
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
from baggage.provision.topics import ASSIGNMENT, BAG_LATEST, EVENTS, NOTIFICATIONS, SCHEDULE, Topic

#: The offset in front of the text of news, which sorts as the offset does: the longest one has so many digits.
OFFSET_DIGITS = 19

_encode = msgspec.json.Encoder().encode
logger = structlog.get_logger()
R = TypeVar("R", bound=Record)


class KafkaRecord(NamedTuple):
    """A record of a topic; `appended` is when the broker appended it, in the pipeline's time, UTC."""

    key: bytes | None
    value: bytes | None
    offset: int
    appended: datetime


class Reader(ScalarFunction):  # type: ignore[misc]
    """A function of a record of `topic`; its columns are `texts`, `lists` and `dead_letter`.

    `dead_letter` says why a record is rejected; where it is set, the others are null. Where it is not, the key of the
    record is known to be the id of what it is of, so no column repeats that.
    """

    topic: Topic
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
            | {"dead_letter": DataTypes.STRING()}
        )

    @abstractmethod
    def read(self, record: KafkaRecord) -> tuple[object, ...]:
        """The values of the columns `texts` and `lists`."""

    def eval(self, key: bytes | None, value: bytes | None, partition: int, offset: int, appended_ms: int) -> Row:
        """Read one record, which the broker appended at a Unix time."""
        try:
            appended = self._clock.at(datetime.fromtimestamp(appended_ms / 1000, UTC))
            return Row(*self.read(KafkaRecord(key, value, offset, appended)), None)
        except RecordError as error:
            problem = error
        except Exception as error:
            logger.exception("record rejected", reader=type(self).__name__, key=key, value=value)
            problem = internal_error(error)
        letter = dead_letter(self.topic.name, partition, offset, key, value, problem, self._clock.now())
        # PyFlink has no null lists.
        return Row(*[None] * len(self.texts), *[[] for _ in self.lists], letter.to_json().decode())


class EventReader(Reader):
    """baggage.events.v1: the facts of an event, as texts.

    `arrived` is when it had come by the clocks of both its sender and the broker.
    """

    topic = EVENTS
    texts = ("reached", "newest", "loaded", "removed", "alarmed", "cleared", "arrived")

    def read(self, record: KafkaRecord) -> tuple[object, ...]:
        """The facts of one event."""
        event = parse_event(record.key, record.value)
        return *_texts(BagFacts.of(event, record.appended)), time_text(min(event.ingest_time, record.appended))


class FlightEventReader(Reader):
    """baggage.events.v1: those facts of an event that say how far the bag is on the way to its flight, as texts."""

    topic = EVENTS
    texts = ("flight_id", "reached", "loaded", "removed", "arrived")

    def read(self, record: KafkaRecord) -> tuple[object, ...]:
        """The facts of one event."""
        event = parse_event(record.key, record.value)
        facts = BagFacts.of(event, record.appended)
        return (
            event.flight_id,
            facts.reached.text(),
            facts.loaded.text() if facts.loaded else None,
            facts.removed.text() if facts.removed else None,
            time_text(min(event.ingest_time, record.appended)),
        )


class BagReader(Reader):
    """baggage.bag.latest.v1: the facts of a bag, as texts; nothing of a tombstone."""

    topic = BAG_LATEST
    texts = ("reached", "newest", "loaded", "removed", "alarmed", "cleared", "arrived", "source")

    def read(self, record: KafkaRecord) -> tuple[object, ...]:
        """The facts of one bag."""
        if record.value is None:
            return (None,) * len(self.texts)
        latest = parse_bag_latest(record.key, record.value)
        arrived = time_text(min(latest.arrived, record.appended))
        return *_texts(latest.facts), arrived, str(latest.source)


class ScheduleReader(Reader):
    """flight.schedule.v1: the news of a flight."""

    topic = SCHEDULE
    texts = ("news", "arrived")

    def read(self, record: KafkaRecord) -> tuple[object, ...]:
        """The news of one flight."""
        schedule = _unless_tombstone(parse_schedule, record)
        return news_text(record.offset, FlightNews(record.offset, schedule)), time_text(record.appended)


class AssignmentReader(Reader):
    """baggage.assignment.v1: the news of a bag's assignment; a tombstone has no itinerary and no flights.

    `newest_itinerary` is a text that sorts as the news do: what follows the offset is the itinerary, or empty.
    """

    topic = ASSIGNMENT
    texts = ("itinerary_id", "newest_itinerary", "news", "arrived")
    lists = ("flights",)

    def read(self, record: KafkaRecord) -> tuple[object, ...]:
        """The news of one bag."""
        assignment = _unless_tombstone(parse_assignment, record)
        news = news_text(record.offset, AssignmentNews(record.offset, assignment))
        if assignment is None:
            return None, _order(record.offset), news, time_text(record.appended), []
        itinerary_id, flights = assignment.itinerary_id, [leg.flight_id for leg in assignment.legs]
        newest = f"{_order(record.offset)}{itinerary_id}"
        return itinerary_id, newest, news, time_text(record.appended), flights


class NotificationReader(Reader):
    """baggage.notifications.v1: what was notified of an itinerary, and the `record` itself."""

    topic = NOTIFICATIONS
    texts = ("itinerary_id", "news", "arrived", "record")

    def read(self, record: KafkaRecord) -> tuple[object, ...]:
        """One notification."""
        notification = parse_notification(record.key, record.value)
        notified = Notified(notification.version, notification.journey_state)
        news = news_text(notification.version, notified)
        return notification.itinerary_id, news, time_text(record.appended), notification.to_json().decode()


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
    if record.value is None:
        # Rejects a tombstone whose key is no id.
        tombstone_key(record.key)
        return None
    return parse(record.key, record.value)
