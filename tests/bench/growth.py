"""What BagLatest costs with ever more bags in its state: CPU of an event, size and duration of a checkpoint."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import count, islice
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
from rich.console import Console

from baggage.domain.bags import BagFacts
from baggage.domain.events import BaggageEvent
from baggage.jobs import names
from baggage.jobs.rest import FlinkRest
from baggage.provision.topics import EVENTS
from baggage.settings import GeneratorSettings, KafkaSettings, Settings
from tests.bench.bag_topic import BagTopic, outcome
from tests.bench.events import BAGS_A_DAY, FIRST_DAY, events_of_day
from tests.bench.producer import produce, producer
from tests.bench.progress import Progress, progress
from tests.bench.report import Report, Row
from tests.bench.servers import broker, client_environment, flink, submit
from tests.bench.usage import Meter

_LINGER_MS = 20
_BETWEEN_LOOKS = 0.2
_LEAST_PER_SECOND = 200
_START_SECONDS = 120


class Bags:
    """A day's bags, each `shares` times over. The day is long past, so when events are appended does not matter."""

    def __init__(self, settings: GeneratorSettings, shares: int) -> None:
        journeys: defaultdict[str, dict[UUID, BaggageEvent]] = defaultdict(dict)
        for event in events_of_day(settings, FIRST_DAY):
            journeys[event.bag_id][event.event_id] = event
        # (n_bags,) lists of the distinct events of a bag, in order of time.
        self._journeys = [
            sorted(journey.values(), key=lambda event: (event.event_time, event.scan_point_id))
            for journey in journeys.values()
        ]
        self._shares = shares
        self.count = len(self._journeys) * shares

    def first_events(self) -> Iterator[BaggageEvent]:
        """One event for each bag."""
        for share in range(self._shares):
            for journey in self._journeys:
                yield _of_share(journey[0], share)

    def later_events(self) -> Iterator[tuple[BaggageEvent, BagFacts]]:
        """Events of bags drawn at random, the second ones first, each with the facts of its bag after it.

        They end when all events of a day have been drawn once.
        """
        draw = random.Random(1)  # noqa: S311 (no secret)
        known: dict[str, BagFacts] = {}
        for number in count(1):
            journeys = [journey for journey in self._journeys if len(journey) > number]
            if not journeys:
                return
            draw.shuffle(journeys)
            for journey in journeys:
                share = draw.randrange(self._shares)
                event = _of_share(journey[number], share)
                before = known.get(event.bag_id) or BagFacts.of(_of_share(journey[0], share))
                known[event.bag_id] = before.join(BagFacts.of(event))
                yield event, known[event.bag_id]


def _of_share(event: BaggageEvent, share: int) -> BaggageEvent:
    return msgspec.structs.replace(event, bag_id=f"{event.bag_id}-{share}")


def measure(
    settings: Settings, report: Report, console: Console, factors: tuple[int, ...], count: int, directory: Path
) -> None:
    """Measure `count` events with so many times a day's bags in the state."""
    rows = [_with_bags(settings, console, factor, count, directory / str(factor)) for factor in factors]
    title = f"BagLatest with more bags in its state ({BAGS_A_DAY:,} a day), {count:,} events of bags drawn at random"
    report.add("growth", title, rows, "a checkpoint every 30 s; the last one before the events, and the one after them")


def _with_bags(settings: Settings, console: Console, factor: int, count: int, directory: Path) -> Row:
    bags = Bags(settings.generator, factor)
    later = list(islice(bags.later_events(), count))
    records = [(event.key(), event.to_json()) for event, _ in later]
    expected = {event.bag_id: facts for event, facts in later}
    with broker(settings, directory) as (kafka, reached), flink(reached, directory) as (cluster, found):
        submit("tests.bench.flink_bag_latest", client_environment(cluster, found), directory)
        checkpoints = Checkpoints(cluster.rest_url)
        processes = {process.name: process for process in (kafka, *cluster.processes)}
        with progress(console, f"growth: {bags.count:,} bags into the state", bags.count) as shown:
            topic = BagTopic(found.kafka)
            _send(found.kafka, ((event.key(), event.to_json()) for event in bags.first_events()))
            _wait_for(topic, bags.count, shown)
        topic.close()
        before = checkpoints.next()
        with progress(console, f"growth: {len(later):,} events", len(later)) as shown, Meter(processes) as meter:
            topic, started = BagTopic(found.kafka), time.time()
            _send(found.kafka, records)
            end = outcome(topic, expected, meter, shown)
        topic.close()
        after = checkpoints.next()
    return {
        "bags": bags.count,
        "events/s": len(later) / (end.ended - started),
        "CPU us/event": {name: 1e6 * used / len(later) for name, used in end.cpu.items()},
        "wrong bags": end.wrong_bags,
        "peak MB": meter.peak_bytes / 1e6,
        "state MB": after["state_size"] / 1e6,
        "checkpoint MB": [before["checkpointed_size"] / 1e6, after["checkpointed_size"] / 1e6],
        "checkpoint s": [before["end_to_end_duration"] / 1e3, after["end_to_end_duration"] / 1e3],
    }


def _send(kafka: KafkaSettings, records: Iterable[tuple[str, bytes]]) -> None:
    """Append events, by key and value; return when the broker has them all."""
    sender = producer(kafka, _LINGER_MS)
    for number, (key, value) in enumerate(records):
        produce(sender, EVENTS.name, key, value)
        if number % 1000 == 0:
            sender.poll(0)
    sender.flush()


def _wait_for(topic: BagTopic, bags: int, shown: Progress) -> None:
    """Wait for a record of each bag: there was one event of each, so nothing could be joined."""
    deadline = time.monotonic() + _START_SECONDS + bags / _LEAST_PER_SECOND
    while (written := topic.written()) < bags:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{bags - written} of {bags} records did not come")
        shown.at(written)
        time.sleep(_BETWEEN_LOOKS)


class Checkpoints:
    """The checkpoints of BagLatest."""

    def __init__(self, rest_url: str) -> None:
        self._rest = FlinkRest(rest_url)
        self._job_id = next(job.job_id for job in self._rest.live_jobs() if job.name == names.BAG_LATEST)

    def next(self) -> dict[str, Any]:
        """Wait for the next one that begins, and return what Flink says of it (sizes in bytes, durations in ms)."""
        begun = time.time() * 1000
        deadline = time.monotonic() + timedelta(minutes=10).total_seconds()
        while time.monotonic() < deadline:
            completed: dict[str, Any] = self._rest.get(f"/jobs/{self._job_id}/checkpoints")["latest"]["completed"] or {}
            if completed.get("trigger_timestamp", 0) >= begun:
                return completed
            time.sleep(_BETWEEN_LOOKS)
        raise TimeoutError("no checkpoint completed in ten minutes")
