"""The whole verification: reads, compares until nothing is on its way any more, and scores."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from baggage.domain.alerts import parse_alert
from baggage.domain.dead_letters import parse_dead_letter
from baggage.domain.notifications import parse_notification
from baggage.domain.records import Record
from baggage.domain.truth import parse_truth
from baggage.provision.schema import connect
from baggage.provision.topics import (
    ALERTS,
    ASSIGNMENT,
    BAG_LATEST,
    DEAD_LETTER,
    EVENTS,
    NOTIFICATIONS,
    SCHEDULE,
    TRUTH,
    Topic,
)
from baggage.settings import Settings
from baggage.verify.compare import Comparison, Difference, Outputs, Query, compare, missed_ticks, persistent, querying
from baggage.verify.oracle import Oracle
from baggage.verify.score import Score, scores
from baggage.verify.topics import RawRecord, TopicReader

# Late records need the KPI tick after them; the sinks flush every half second.
_BETWEEN_LOOKS = 2

R = TypeVar("R", bound=Record)


@dataclass
class Report:
    """The result: what was compared, what differs for good, and the scores."""

    events: int = 0
    compared: dict[str, int] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    missed_ticks: int = 0
    scores: list[Score] = field(default_factory=list)
    seconds: float = 0

    @property
    def rows(self) -> int:
        """The rows compared in all tables."""
        return sum(self.compared.values())


def verify(settings: Settings, patience: float = 60, progress: Callable[[str], None] = lambda _: None) -> Report:
    """Compare every table with the oracle.

    A difference counts only if it lasts: records that are on their way differ for a moment. `patience` is for how
    many seconds the differences may not become fewer before they count.
    """
    started = better = time.monotonic()
    clock = settings.clock.clock()
    readers = {
        topic: TopicReader(topic, settings.kafka)
        for topic in (SCHEDULE, ASSIGNMENT, EVENTS, BAG_LATEST, ALERTS, NOTIFICATIONS, DEAD_LETTER, TRUTH)
    }
    report = Report()
    try:
        with connect(settings.clickhouse) as client:
            query = querying(client, settings.clickhouse.database)
            oracle = Oracle()

            def looks() -> Iterator[Comparison]:
                taken = dict.fromkeys(readers, 0)
                while True:
                    for topic, reader in readers.items():
                        if came := reader.read():
                            progress(f"{came:,} records of {topic.name}")
                    for topic, take in (
                        (SCHEDULE, oracle.take_schedules),
                        (ASSIGNMENT, oracle.take_assignments),
                        (EVENTS, oracle.take_events),
                        (BAG_LATEST, oracle.take_bag_latest),
                    ):
                        records = readers[topic].records
                        take(records[taken[topic] :])
                        taken[topic] = len(records)
                    yield compare(query, oracle, _outputs(readers), clock.now())

            for look, lasting in persistent(looks()):
                if not report.compared or len(lasting) < len(report.differences):
                    better = time.monotonic()
                report.compared, report.differences = look.compared, lasting
                if not lasting or time.monotonic() - better > patience:
                    break
                progress(f"{len(lasting)} differences, which may be on their way")
                time.sleep(_BETWEEN_LOOKS)
            _finish(report, query, oracle, readers[TRUTH], settings)
    finally:
        for reader in readers.values():
            reader.close()
    report.seconds = time.monotonic() - started
    return report


def _finish(report: Report, query: Query, oracle: Oracle, truth: TopicReader, settings: Settings) -> None:
    report.events = oracle.events
    report.missed_ticks = missed_ticks(query)
    truths = [parse_truth(record.key, record.value) for record in truth.records]
    report.scores = scores(query, truths, oracle.assignments, settings.clock.clock().now())


def _outputs(readers: dict[Topic, TopicReader]) -> Outputs:
    return Outputs(
        alerts=_parsed(readers[ALERTS].records, parse_alert),
        notifications=_parsed(readers[NOTIFICATIONS].records, parse_notification),
        dead_letters={
            key: letter.reason for key, letter in _parsed(readers[DEAD_LETTER].records, parse_dead_letter).items()
        },
    )


def _parsed(records: list[RawRecord], parse: Callable[[bytes | None, bytes | None], R]) -> dict[str, R]:
    """Our own records by key; one that is not valid raises, as it cannot be."""
    parsed = (parse(record.key, record.value) for record in records)
    return {record.key(): record for record in parsed}
