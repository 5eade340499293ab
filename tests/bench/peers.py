"""BagLatest against its peers: the same rules on the same events, with the same durability, one after the other.

Each takes baggage.events.v1 from its beginning and writes baggage.bag.latest.v1; what it wrote last for each bag is
compared with the domain's own result. Its processes and the broker are measured together, from the start of the
job or program until its last record is on the topic; the difference between two input sizes leaves the start out.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console

import baggage
from baggage.local.processes import Process, ProcessError
from baggage.provision.topics import BAG_LATEST
from baggage.settings import Settings
from tests.bench.events import Expected, events
from tests.bench.preload import Preloader, TopicEnd, latest_states
from tests.bench.progress import Progress, progress
from tests.bench.report import Report
from tests.bench.servers import broker, client_environment, flink, submit
from tests.bench.usage import Meter

#: Runs of one alternative that differ in size by this factor tell what an event costs without the start.
_SMALLER = 5
_BETWEEN_LOOKS = 0.2
# As slow as this an alternative has hung.
_LEAST_PER_SECOND = 200
_START_SECONDS = 300
# Their dependencies exclude ours, so they have an environment of their own, with the domain's one library in it.
PEERS_PYTHON = Path(os.environ.get("BENCH_PEERS_PYTHON", ".venv-bench/bin/python"))


@dataclass(frozen=True)
class Candidate:
    """An alternative that is ready: its processes, and what makes it begin."""

    processes: Mapping[str, Process]
    start: Callable[[], None]


@dataclass(frozen=True)
class Alternative:
    """One way to do the work; `records` tells how many records it writes."""

    name: str
    open: Callable[[Settings, Path], AbstractContextManager[Candidate]]
    records: Callable[[Expected], int]


@dataclass(frozen=True)
class Run:
    """One measurement; CPU seconds by process, peak memory of all processes together."""

    events: int
    seconds: float
    cpu: dict[str, float]
    peak_bytes: int
    wrong_bags: int

    @property
    def cpu_seconds(self) -> float:
        """Of all processes."""
        return sum(self.cpu.values())


@contextmanager
def _flink_job(module: str, settings: Settings, directory: Path) -> Iterator[Candidate]:
    """A job on a Flink cluster of its own."""
    with flink(settings, directory) as (cluster, reached):
        processes = {process.name: process for process in cluster.processes}
        yield Candidate(processes, lambda: submit(module, client_environment(cluster, reached), directory))


@contextmanager
def _program(module: str, settings: Settings, directory: Path) -> Iterator[Candidate]:
    """A program of one process in the environment of the peers."""
    if not PEERS_PYTHON.exists():
        raise ProcessError(f"{PEERS_PYTHON} is missing: make bench makes it")
    command = [str(PEERS_PYTHON), "-m", module, settings.kafka.bootstrap_servers, str(directory / "state")]
    paths = [str(Path(baggage.__file__).parents[1]), str(Path.cwd())]
    process = Process(module, command, directory / "log", {"PYTHONPATH": ":".join(paths)})
    try:
        yield Candidate({"Python": process}, process.start)
    finally:
        process.stop()


ALTERNATIVES = (
    Alternative("PyFlink", partial(_flink_job, "tests.bench.flink_bag_latest"), lambda expected: expected.changes),
    Alternative("Bytewax", partial(_program, "tests.bench.bytewax_bag_latest"), lambda expected: expected.changes),
    Alternative("Quix", partial(_program, "tests.bench.quix_bag_latest"), lambda expected: expected.changes),
    # With an expiry of its state, Flink's aggregation says every event's result, changed or not.
    Alternative(
        "Flink SQL", partial(_flink_job, "tests.bench.flink_sql_bag_latest"), lambda expected: expected.distinct
    ),
)


def measure(
    settings: Settings, report: Report, console: Console, count: int, bags: tuple[int, ...], names: list[str]
) -> None:
    """Measure every alternative (or those named) on `count` events, and a part of them, about so many bags."""
    chosen = [alternative for alternative in ALTERNATIVES if not names or alternative.name in names]
    directory = settings.local.state_dir.resolve()
    for some_bags in bags:
        runs: dict[str, list[Run]] = {alternative.name: [] for alternative in chosen}
        place = directory / f"peers-{some_bags}"
        with broker(settings, place) as (kafka, reached):
            preloader = Preloader(reached.kafka, events(settings.generator, some_bags))
            for size in (count // _SMALLER, count):
                with progress(console, f"{some_bags:,} bags: preloading {size:,} events", size) as shown:
                    preloader.extend(size, shown)
                for alternative in chosen:
                    what = f"{some_bags:,} bags: {alternative.name} on {size:,} events"
                    where = place / f"{alternative.name}-{size}"
                    with progress(console, what, alternative.records(preloader.expected)) as shown:
                        run = _run(alternative, kafka, reached, where, preloader.expected, shown)
                    runs[alternative.name].append(run)
        bags_there = len(preloader.expected.states)
        report.add(
            f"peers-{some_bags}",
            f"BagLatest against its peers, {count:,} events of {bags_there:,} bags from Kafka to Kafka",
            [_row(name, small, large) for name, (small, large) in runs.items()],
            "steady: the difference between this run and one with a fifth of the events",
        )


def _row(name: str, small: Run, large: Run) -> dict[str, object]:
    more = large.events - small.events
    return {
        "alternative": name,
        "events": large.events,
        "seconds": large.seconds,
        "events/s": large.events / large.seconds,
        "events/CPU s": large.events / large.cpu_seconds,
        "steady events/s": more / (large.seconds - small.seconds),
        "steady events/CPU s": more / (large.cpu_seconds - small.cpu_seconds),
        "steady CPU us/event": {name: 1e6 * (large.cpu[name] - small.cpu[name]) / more for name in large.cpu},
        "peak MB": large.peak_bytes / 1e6,
        "wrong bags": small.wrong_bags + large.wrong_bags,
    }


def _run(
    alternative: Alternative, kafka: Process, settings: Settings, directory: Path, expected: Expected, shown: Progress
) -> Run:
    end = TopicEnd(BAG_LATEST, settings.kafka)
    before, records = end.offsets(), alternative.records(expected)
    with alternative.open(settings, directory) as candidate, Meter({"Kafka": kafka, **candidate.processes}) as meter:
        started = time.monotonic()
        deadline = started + _START_SECONDS + expected.events / _LEAST_PER_SECOND
        candidate.start()
        while (written := end.records() - sum(before)) < records:
            shown.at(written)
            for process in candidate.processes.values():
                if not process.alive():
                    raise ProcessError(f"{alternative.name}: {process.name} has ended:\n{process.log_tail()}")
            if time.monotonic() > deadline:
                raise ProcessError(f"{alternative.name} wrote {written} of {records} records in all its time")
            time.sleep(_BETWEEN_LOOKS)
        seconds, cpu = time.monotonic() - started, meter.cpu()
    states = latest_states(settings.kafka, before, end.offsets())
    end.close()
    wrong = sum(states.get(bag_id) != state for bag_id, state in expected.states.items())
    return Run(expected.events, seconds, cpu, meter.peak_bytes, wrong)
