"""BagLatest against its peers: the same rules on the same events, with the same durability, taking turns.

Each takes baggage.events.v1 from its beginning and writes baggage.bag.latest.v1, until what it wrote last of each bag
is the domain's own result. Its processes and the broker are measured together, from the start of the job or program
until its last record is on the topic; the difference between two input sizes leaves start and warm-up out.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

from rich.console import Console

import baggage
from baggage.local.processes import Process, ProcessError
from baggage.settings import Settings
from tests.bench.bag_topic import BagTopic, outcome
from tests.bench.events import Expected, events
from tests.bench.preload import Preloader
from tests.bench.progress import Progress, progress
from tests.bench.report import Report, Row, spread
from tests.bench.servers import broker, client_environment, flink, submit
from tests.bench.usage import Meter

#: Runs of one alternative that differ in size by this factor tell what an event costs without the start.
_SMALLER = 5
# Their dependencies exclude ours, so they have an environment of their own, with the domain's one library in it.
PEERS_PYTHON = Path(os.environ.get("BENCH_PEERS_PYTHON", ".venv-bench/bin/python"))


@dataclass(frozen=True)
class Candidate:
    """An alternative that is ready: its processes, and what makes it begin."""

    processes: Mapping[str, Process]
    start: Callable[[], None]


@dataclass(frozen=True)
class Alternative:
    """One way to do the work."""

    name: str
    open: Callable[[Settings, Path], AbstractContextManager[Candidate]]


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


class Round(NamedTuple):
    """The two runs of an alternative that belong together."""

    small: Run
    large: Run

    def rates(self) -> dict[str, float]:
        """What is compared."""
        small, large = self
        more = large.events - small.events
        return {
            "events/s": large.events / large.seconds,
            "events/CPU s": large.events / large.cpu_seconds,
            "steady events/s": more / (large.seconds - small.seconds),
            "steady events/CPU s": more / (large.cpu_seconds - small.cpu_seconds),
        }

    def steady_microseconds(self) -> dict[str, float]:
        """CPU of an event by process."""
        small, large = self
        more = large.events - small.events
        return {name: 1e6 * (large.cpu[name] - small.cpu[name]) / more for name in large.cpu}


@contextmanager
def _flink(settings: Settings, directory: Path) -> Iterator[Candidate]:
    """BagLatest on a Flink cluster of its own."""
    with flink(settings, directory) as (cluster, reached):
        processes = {process.name: process for process in cluster.processes}
        environment = client_environment(cluster, reached)
        yield Candidate(processes, lambda: submit("tests.bench.flink_bag_latest", environment, directory))


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


_OURS = "PyFlink"
ALTERNATIVES = (
    Alternative(_OURS, _flink),
    Alternative("Bytewax", partial(_program, "tests.bench.bytewax_bag_latest")),
    Alternative("Quix", partial(_program, "tests.bench.quix_bag_latest")),
)


def measure(
    settings: Settings,
    report: Report,
    console: Console,
    count: int,
    bags: tuple[int, ...],
    runs: int,
    names: list[str],
) -> None:
    """Measure every alternative (or those named), so many runs each, on `count` events of about so many bags."""
    chosen = [alternative for alternative in ALTERNATIVES if not names or alternative.name in names]
    directory = settings.local.state_dir.resolve()
    for some_bags in bags:
        place = directory / f"peers-{some_bags}"
        with broker(settings, place) as (kafka, reached):
            preloader = Preloader(reached.kafka, events(settings.generator, some_bags))
            by_size = []
            for size in (count // _SMALLER, count):
                with progress(console, f"{some_bags:,} bags: preloading {size:,} events", size) as shown:
                    preloader.extend(size, shown)
                done: dict[str, list[Run]] = {alternative.name: [] for alternative in chosen}
                for number, alternative in _in_turns(chosen, runs):
                    what = f"{some_bags:,} bags: {alternative.name} on {size:,} events, run {number + 1} of {runs}"
                    where = place / f"{alternative.name}-{size}-{number}"
                    with progress(console, what, size) as shown:
                        run = _run(alternative, kafka, reached, where, preloader.expected, shown)
                    done[alternative.name].append(run)
                by_size.append(done)
        small, large = by_size
        rounds = {name: [*map(Round, small[name], large[name])] for name in small}
        _report(report, some_bags, preloader.expected, rounds)


def _in_turns(chosen: Sequence[Alternative], runs: int) -> Iterator[tuple[int, Alternative]]:
    """The number of each run and whose it is: all take turns, each time another one first."""
    for number in range(runs):
        first = number % len(chosen)
        for alternative in (*chosen[first:], *chosen[:first]):
            yield number, alternative


def _run(
    alternative: Alternative, kafka: Process, settings: Settings, directory: Path, expected: Expected, shown: Progress
) -> Run:
    topic = BagTopic(settings.kafka)
    with alternative.open(settings, directory) as candidate, Meter({"Kafka": kafka, **candidate.processes}) as meter:
        started = time.time()
        candidate.start()
        end = outcome(topic, expected.facts, meter, shown)
    topic.close()
    return Run(expected.events, end.ended - started, end.cpu, meter.peak_bytes, end.wrong_bags)


def _report(report: Report, some_bags: int, expected: Expected, rounds: Mapping[str, Sequence[Round]]) -> None:
    of_bags = f"{expected.events:,} events of {len(expected.facts):,} bags"
    report.add(
        f"peers-{some_bags}",
        f"BagLatest against its peers, {of_bags} from Kafka to Kafka",
        [_row(name, ran) for name, ran in rounds.items()],
        f"steady: the difference between this run and one with 1/{_SMALLER} of the events",
    )
    others = [name for name in rounds if name != _OURS]
    if _OURS in rounds and others:
        report.add(
            f"peers-{some_bags}-ratios",
            f"{_OURS} to each of its peers, {of_bags}",
            [_ratios(rounds[_OURS], name, rounds[name]) for name in others],
            "above 1: faster, or less CPU; each ratio is of two runs of one turn",
        )


def _row(name: str, rounds: Sequence[Round]) -> Row:
    steady = [ran.steady_microseconds() for ran in rounds]
    return {
        "alternative": name,
        "seconds": spread([ran.large.seconds for ran in rounds]),
        **{rate: spread([ran.rates()[rate] for ran in rounds]) for rate in rounds[0].rates()},
        "steady CPU us/event": {process: median(cpu[process] for cpu in steady) for process in steady[0]},
        "peak MB": max(ran.large.peak_bytes for ran in rounds) / 1e6,
        "wrong bags": sum(run.wrong_bags for ran in rounds for run in ran),
    }


def _ratios(ours: Sequence[Round], name: str, theirs: Sequence[Round]) -> Row:
    turns = [(our.rates(), their.rates()) for our, their in zip(ours, theirs, strict=True)]
    return {"to": name} | {rate: spread([our[rate] / their[rate] for our, their in turns]) for rate in turns[0][0]}
