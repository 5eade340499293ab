"""The whole verification: reads, compares until nothing is on its way any more, and scores."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

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
from baggage.verify.compare import Comparison, Difference, Query, compare, missed_ticks, persistent, querying, ticks
from baggage.verify.oracle import Oracle
from baggage.verify.outputs import Outputs
from baggage.verify.rejections import Rejections
from baggage.verify.score import Score, scores
from baggage.verify.timeline import conclusions, feed, unjustified
from baggage.verify.topics import TopicReader

# Late records need the KPI tick after them, and the sinks flush several times a second.
_BETWEEN_LOOKS = 2
#: For so many seconds the differences may not become fewer. A job that has just started concludes nothing for up to two
#: minutes, and ItineraryStatus for two more: first BagLatest has to catch up.
PATIENCE = 270.0
#: What the jobs wrote is read first: so all that it follows from is read, too.
_OUTPUTS = (ALERTS, NOTIFICATIONS, DEAD_LETTER, TRUTH)
_INPUTS = (SCHEDULE, ASSIGNMENT, EVENTS, BAG_LATEST)


@dataclass
class Report:
    """The result: what was compared, what differs for good, and the scores."""

    events: int = 0
    rejected: int = 0
    compared: dict[str, int] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    missed_ticks: int = 0
    scores: list[Score] = field(default_factory=list)
    seconds: float = 0

    @property
    def rows(self) -> int:
        """The rows compared in all tables."""
        return sum(self.compared.values())


def verify(settings: Settings, patience: float = PATIENCE, progress: Callable[[str], None] = lambda _: None) -> Report:
    """Compare every table with the oracle.

    A difference counts only if it lasts: records that are on their way differ for a moment. `patience` is for how
    many seconds the differences may not become fewer before they count.
    """
    started = better = time.monotonic()
    clock, rejections = settings.clock.clock(), Rejections()
    oracle = Oracle(clock, settings.rules.cleared_ends_exception, rejections)
    outputs = Outputs(rejections)
    report = Report()
    readers = {topic: TopicReader(topic, settings.kafka) for topic in (*_OUTPUTS, *_INPUTS)}
    try:
        with connect(settings.clickhouse) as client:
            query = querying(client, settings.clickhouse.database)

            def looks() -> Iterator[Comparison]:
                while True:
                    for topic, reader in readers.items():
                        _apply(topic, reader, outputs if topic in _OUTPUTS else oracle, progress)
                    yield compare(query, oracle, outputs, clock.now())

            for look, lasting in persistent(looks()):
                if not report.compared or len(lasting) < len(report.differences):
                    better = time.monotonic()
                report.compared, report.differences = look.compared, lasting
                if not lasting or time.monotonic() - better > patience:
                    break
                progress(f"{len(lasting)} differences, which may be on their way")
                time.sleep(_BETWEEN_LOOKS)
            _finish(report, query, oracle, outputs)
    finally:
        for reader in readers.values():
            reader.close()
    report.seconds = time.monotonic() - started
    return report


def _apply(topic: Topic, reader: TopicReader, to: Oracle | Outputs, progress: Callable[[str], None]) -> None:
    came = 0
    for batch in reader.batches():
        to.apply(topic, batch)
        came += len(batch)
    if came:
        progress(f"{came:,} records of {topic.name}")


def _finish(report: Report, query: Query, oracle: Oracle, outputs: Outputs) -> None:
    """What is about the whole past, and does not change while records are on their way."""
    report.events, report.rejected = oracle.events, len(oracle.rejections)
    report.missed_ticks = missed_ticks(query)
    report.compared["conclusions"] = sum(len(of_one_kind) for of_one_kind in conclusions(outputs))
    report.differences = report.differences + [
        Difference("conclusions", one.key, one.follows, f"{one.concluded} at {one.at}")
        for one in unjustified(oracle, outputs, feed(oracle, ticks(query, oracle.clock)))
    ]
    assignments = [assignment for bag_id in oracle.assignments if (assignment := oracle.assignment(bag_id))]
    report.scores = scores(query, outputs.truths.values(), assignments, oracle.clock.now())
