"""Design, "Bad input": whatever our own code fails on becomes a dead letter, and the job goes on."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from pyflink.common import Row
from pyflink.datastream.state import ValueStateDescriptor

from baggage.clock import Clock
from baggage.domain.bags import BagFacts
from baggage.domain.dead_letters import parse_dead_letter
from baggage.domain.flights import Flight
from baggage.domain.itineraries import Itinerary
from baggage.domain.kpis import StageCounts
from baggage.domain.schedule import FlightNews
from baggage.jobs import readers
from baggage.jobs.flight_kpi_alert import FlightOperator
from baggage.jobs.itinerary_status import ItineraryOperator
from baggage.jobs.keyed_values import KeyedValues
from baggage.jobs.progress import Progress
from baggage.jobs.readers import (
    AssignmentReader,
    BagReader,
    EventReader,
    FlightEventReader,
    NotificationReader,
    Reader,
    ScheduleReader,
)
from baggage.provision.topics import EVENTS
from baggage.settings import KafkaSettings, RulesSettings
from tests.builders import INBOUND, MINUTE, event, flight
from tests.unit.broadcast_state import BroadcastState

_encode = msgspec.json.encode
CLOCK, NO_KAFKA = Clock(), KafkaSettings(bootstrap_servers="127.0.0.1:1")
SOON = flight(dep=datetime.now(UTC) + 60 * MINUTE)
APPENDED_MS = 1_767_528_000_000


class Raises:
    """A rule that has a bug."""

    def __call__(self, *_: object, **__: object) -> Any:
        raise ZeroDivisionError("a bug")


class State:
    """The keyed state of one key."""

    def __init__(self) -> None:
        self.stored: bytes | None = None

    def value(self) -> bytes | None:
        return self.stored

    def update(self, value: bytes) -> None:
        self.stored = value

    def clear(self) -> None:
        self.stored = None


class Context:
    """What Flink hands an operator: one key, its state, its timers, the watermark and the broadcast state."""

    def __init__(self, key: str) -> None:
        self.key, self.state, self.timers, self.watermark = key, State(), list[int](), -(2**63)
        self.broadcast = BroadcastState()

    def get_state(self, _descriptor: ValueStateDescriptor) -> State:
        return self.state

    def get_current_key(self) -> str:
        return self.key

    def timer_service(self) -> Context:
        return self

    def current_watermark(self) -> int:
        return self.watermark

    def register_event_time_timer(self, timestamp: int) -> None:
        self.timers.append(timestamp)

    def get_broadcast_state(self, _descriptor: object) -> BroadcastState:
        return self.broadcast


def rejected(result: Any) -> dict[str, Any]:
    letter: dict[str, Any] = json.loads(result)
    assert parse_dead_letter(
        f"{letter['source_topic']}|{letter['source_partition']}|{letter['source_offset']}".encode(), result.encode()
    )
    assert letter["reason"] == "internal: ZeroDivisionError: a bug"
    return letter


@pytest.fixture(autouse=True)
def _everything_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no broker, and what was there at the start has been read: the rules apply."""
    monkeypatch.setattr("baggage.jobs.progress._ends", lambda *_: [])
    monkeypatch.setattr("baggage.domain.backlog.Backlog.is_read", lambda *_: True)


READERS: dict[type[Reader], str] = {
    EventReader: "parse_event",
    FlightEventReader: "parse_event",
    BagReader: "parse_bag_latest",
    ScheduleReader: "parse_schedule",
    AssignmentReader: "parse_assignment",
    NotificationReader: "parse_notification",
}


@pytest.mark.parametrize("reader", READERS)
def test_a_record_on_which_our_code_fails_is_rejected(reader: type[Reader], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, READERS[reader], Raises())
    row = reader(CLOCK).eval(b"k", b"{}", 2, 7, APPENDED_MS)
    columns = dict(zip(reader.columns(), row, strict=True))
    letter = rejected(columns.pop("dead_letter"))
    assert (letter["source_topic"], letter["source_partition"], letter["source_offset"]) == (reader.topic.name, 2, 7)
    assert not any(columns.values())


def test_a_good_record_is_read_into_the_named_columns() -> None:
    one = event()
    for reader in (EventReader, FlightEventReader):
        row = reader(CLOCK).eval(one.key().encode(), one.to_json(), 2, 7, APPENDED_MS)
        columns = dict(zip(reader.columns(), row, strict=True))
        assert columns["reached"] == BagFacts.of(one).reached.text()
        assert columns.get("flight_id", INBOUND) == INBOUND
        assert columns["dead_letter"] is None


REPORT = json.dumps(
    {
        "flight_id": INBOUND,
        "counts": {"bags": 1, "events": 1},
        "news": {"offset": 1, "schedule": json.loads(SOON.to_json())},
    }
)
OPERATORS: dict[str, Any] = {
    "flight": (lambda: FlightOperator(CLOCK, NO_KAFKA), Flight, INBOUND, REPORT, ("apply", "evaluate")),
    "itinerary": (
        lambda: ItineraryOperator(CLOCK, NO_KAFKA, RulesSettings()),
        Itinerary,
        "ITI1",
        '{"itinerary_id":"ITI1","bag_id":"B1"}',
        ("apply", "_expiry"),
    ),
}


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("method", [0, 1])
def test_a_rule_that_raises_makes_a_dead_letter_and_the_key_goes_on(
    name: str, method: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, state_machine, key, value, rules = OPERATORS[name]
    operator, context = make(), Context(key)
    operator.open(context)
    with monkeypatch.context() as bug:
        bug.setattr(state_machine, rules[method], Raises())
        results = list(operator.process_element(value, context))
    assert len(results) == 1
    letter = rejected(results[0][-1])
    assert base64.b64decode(letter["value_base64"]).decode() == value
    assert context.state.stored is None, "what was changed halfway is given up"
    assert list(operator.process_element(value, context)) is not None
    assert context.state.stored is not None


@pytest.mark.parametrize("name", OPERATORS)
def test_a_timer_on_which_our_code_fails_is_logged_and_tried_again(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make, state_machine, key, value, rules = OPERATORS[name]
    operator, context = make(), Context(key)
    operator.open(context)
    list(operator.process_element(value, context))
    context.timers.clear()
    before = context.state.stored
    with monkeypatch.context() as bug:
        bug.setattr(state_machine, rules[1], Raises())
        results = list(operator.on_timer(0, context))
    rejected(results[0][-1])
    assert context.state.stored == before
    (again,) = context.timers
    assert datetime.now(UTC) < datetime.fromtimestamp(again / 1000, UTC) <= datetime.now(UTC) + timedelta(minutes=2)


@pytest.mark.parametrize("name", OPERATORS)
def test_progress_on_which_our_code_fails_is_logged_and_the_next_one_is_taken(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator, context = OPERATORS[name][0](), Context("")
    operator.open(context)
    progress = Row(EVENTS.name, _encode(Progress(EVENTS.name, 0, 7, None, None)).decode(), f"{EVENTS.name}|0")
    with monkeypatch.context() as bug:
        bug.setattr("baggage.domain.backlog.Backlog.apply", Raises())
        (result,) = operator.process_broadcast_element(progress, context)
    assert base64.b64decode(rejected(result[-1])["value_base64"]).decode() == progress[1]
    assert list(operator.process_broadcast_element(progress, context)) == []


@pytest.mark.parametrize("name", OPERATORS)
def test_the_time_of_the_rules_is_the_watermark_and_before_the_first_one_the_start(name: str) -> None:
    operator, context = OPERATORS[name][0](), Context("")
    before = datetime.now(UTC)
    operator.open(context)
    assert before <= operator.real_now(context) <= datetime.now(UTC)
    later = datetime.fromtimestamp(int(before.timestamp()) + 10, UTC)
    context.watermark = int(later.timestamp() * 1000)
    assert operator.real_now(context) == later


def test_a_value_that_was_changed_and_given_up_is_read_again() -> None:
    context = Context("F1")
    values = KeyedValues(context, "flight", Flight)
    values.put("F1", Flight("F1"))
    flight = values.get("F1")
    assert flight
    flight.news = FlightNews(1, None)
    flight.counts = StageCounts(bags=9)
    values.forget("F1")
    assert values.get("F1") == Flight("F1")
