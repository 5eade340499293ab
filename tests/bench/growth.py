"""What BagLatest costs with ever more bags in its state: CPU of an event, size and duration of a checkpoint."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
from rich.console import Console

from baggage.domain.events import BaggageEvent
from baggage.jobs import names
from baggage.jobs.rest import FlinkRest
from baggage.provision.topics import BAG_LATEST, EVENTS
from baggage.settings import GeneratorSettings, KafkaSettings, Settings
from tests.bench.events import BAGS_A_DAY, FIRST_DAY, events_of_day
from tests.bench.preload import TopicEnd
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
    """A day's bags, each `shares` times over; whatever is said of one changes its state, so it makes one record."""

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

    def later_events(self) -> Iterator[BaggageEvent]:
        """Events of bags drawn at random, the second ones first."""
        draw = random.Random(1)  # noqa: S311 (no secret)
        for number in count(1):
            journeys = [journey for journey in self._journeys if len(journey) > number]
            draw.shuffle(journeys)
            for journey in journeys:
                yield _of_share(journey[number], draw.randrange(self._shares))


def _of_share(event: BaggageEvent, share: int) -> BaggageEvent:
    event_id = UUID(int=event.event_id.int ^ share)
    return msgspec.structs.replace(event, bag_id=f"{event.bag_id}-{share}", event_id=event_id)


def measure(
    settings: Settings, report: Report, console: Console, factors: tuple[int, ...], count: int, directory: Path
) -> None:
    """Measure `count` events with so many times a day's bags in the state."""
    rows = [_with_bags(settings, console, factor, count, directory / str(factor)) for factor in factors]
    title = f"BagLatest with more bags in its state ({BAGS_A_DAY:,} a day), {count:,} events of bags drawn at random"
    report.add("growth", title, rows, "a checkpoint every 30 s; the last one before the events, and the one after them")


def _with_bags(settings: Settings, console: Console, factor: int, count: int, directory: Path) -> Row:
    bags = Bags(settings.generator, factor)
    later = bags.later_events()
    with broker(settings, directory) as (kafka, reached), flink(reached, directory) as (cluster, found):
        submit("tests.bench.flink_bag_latest", client_environment(cluster, found), directory)
        checkpoints = Checkpoints(cluster.rest_url)
        processes = {process.name: process for process in (kafka, *cluster.processes)}
        with progress(console, f"growth: {bags.count:,} bags into the state", bags.count) as shown:
            _through(found.kafka, bags.first_events(), bags.count, shown)
        before = checkpoints.next()
        with progress(console, f"growth: {count:,} events", count) as shown, Meter(processes) as meter:
            seconds = _through(found.kafka, (next(later) for _ in range(count)), count, shown)
            cpu = meter.cpu()
        after = checkpoints.next()
    return {
        "bags": bags.count,
        "events/s": count / seconds,
        "CPU us/event": {name: 1e6 * used / count for name, used in cpu.items()},
        "peak MB": meter.peak_bytes / 1e6,
        "state MB": after["state_size"] / 1e6,
        "checkpoint MB": [before["checkpointed_size"] / 1e6, after["checkpointed_size"] / 1e6],
        "checkpoint s": [before["end_to_end_duration"] / 1e3, after["end_to_end_duration"] / 1e3],
    }


def _through(kafka: KafkaSettings, events: Iterable[BaggageEvent], count: int, shown: Progress) -> float:
    """Produce events and wait for as many records of bags; return the seconds."""
    end, sender, started = TopicEnd(BAG_LATEST, kafka), producer(kafka, _LINGER_MS), time.monotonic()
    target = end.records() + count
    for number, event in enumerate(events):
        produce(sender, EVENTS.name, event.key(), event.to_json())
        if number % 1000 == 0:
            sender.poll(0)
    sender.flush()
    deadline = time.monotonic() + _START_SECONDS + count / _LEAST_PER_SECOND
    while (left := target - end.records()) > 0:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{left} of {count} records did not come")
        shown.at(count - left)
        time.sleep(_BETWEEN_LOOKS)
    end.close()
    return time.monotonic() - started


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
