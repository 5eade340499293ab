"""The highest rate of events that the whole pipeline holds: three jobs, their topics and their tables.

First the jobs work off a backlog, which warms them up. Then events come at a rate that is too high, and at lower ones,
each a little less than what was read of the one before, until one is held for the whole time without more and more
records being left to read.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
from rich.console import Console

from baggage.settings import Settings
from tests.bench.pipeline import Lag, processes, servers, start_jobs
from tests.bench.progress import Progress, progress
from tests.bench.replay import Recording, Replay
from tests.bench.report import Report, Row
from tests.bench.usage import Meter

# The first rate that is tried, of the one at which the backlog was worked off: a JVM that has just started is slower
# than it will be.
_FIRST = 2.0
# The next one, of what was read of the one before, which is no less than this share of it: a lag may jump.
_NEXT = 0.95
_LEAST_READ = 0.7
# Lower than this share of the first rate none is tried.
_LOWEST = 0.2
_WARM_UP_SHARE = 0.2
_BETWEEN_LOOKS = 1.0
# A slope needs some.
_LEAST_LOOKS = 20
#: A rate is held if the lag grows by less than this share of the events that come ...
_GROWTH = 0.01
#: ... and is in the end no more than the events of so many seconds: a checkpoint holds the jobs up for a moment.
_SECONDS_BEHIND = 10
_START_SECONDS = 120
_LEAST_PER_SECOND = 50
# Flink's metrics are some ten seconds old: a backlog that was not seen by then was worked off before.
_UNSEEN_SECONDS = 40
_BUSIEST = 8


@dataclass
class Course:
    """The lag over time: (n,) seconds, and (n,) records left to read over all jobs."""

    seconds: list[float] = field(default_factory=list)
    records: list[int] = field(default_factory=list)

    def growth(self) -> float:
        """Records a second by which the lag grows, after the warm-up."""
        settled = int(len(self.seconds) * _WARM_UP_SHARE)
        return float(np.polyfit(self.seconds[settled:], self.records[settled:], 1)[0])

    def end(self) -> float:
        """The lag in the end: the median of the last tenth."""
        return float(np.median(self.records[-max(len(self.records) // 10, 1) :]))

    def is_held(self, rate: float) -> bool:
        """Whether the jobs hold so many events a second."""
        return self.growth() < _GROWTH * rate and self.end() < _SECONDS_BEHIND * rate


def measure(
    settings: Settings,
    report: Report,
    console: Console,
    backlog: int,
    minutes: float,
    first: float | None,
    directory: Path,
) -> None:
    """Work off a backlog of so many events, then look for the rate that is held for so many minutes.

    `first` is the rate to start from (events a second); None: one that is too high.
    """
    recording = Recording(settings.generator, directory / "recording")
    rows: list[Row] = []
    with servers(settings, directory / "state") as runtime:
        with progress(console, f"throughput: making a backlog of {backlog:,} events", backlog) as shown:
            recording.write(backlog, shown)
        replay = Replay(runtime.settings.kafka)
        replay.all_at_once(recording.read())
        start_jobs(runtime, directory)
        lag = Lag(runtime.flink.rest_url)
        with Meter(processes(runtime)) as meter:
            with progress(console, f"throughput: working off {backlog:,} events", backlog) as shown:
                fastest, seconds = _drain(lag, backlog, shown)
            rows.append(_row("backlog", fastest, seconds, meter))
        first = first or _FIRST * fastest
        rate, seconds = first, minutes * 60
        while rate > _LOWEST * first:
            events = int(rate * (seconds + 60))
            with progress(console, f"throughput: making {events:,} events", events) as shown:
                recording.write(events, shown)
            _drain(lag, 0, shown)
            replay.start(rate, recording.read())
            what = f"throughput: {rate:,.0f} events/s for {minutes:g} minutes"
            with Meter(processes(runtime)) as meter, progress(console, what, seconds) as shown:
                course = _watch(lag, rate, seconds, shown)
                sent = replay.sent / course.seconds[-1]
                held = course.is_held(rate) and sent > (1 - _GROWTH) * rate
                row = _row("held" if held else "not held", rate, course.seconds[-1], meter)
            replay.stop()
            growth, behind = course.growth(), course.end() / rate
            rows.append(row | {"sent/s": sent, "lag grows by/s": growth, "lag": course.end(), "behind s": behind})
            console.print(
                f"{row['what']}: {rate:,.0f} events/s for {course.seconds[-1]:.0f} s, {sent:,.0f} sent; in the end "
                f"{course.end():,.0f} records to read, {behind:.1f} s of events, and {growth:,.0f} more each second",
                highlight=False,
            )
            if held:
                break
            rate *= _NEXT * float(np.clip(1 - course.growth() / rate, _LEAST_READ, 1))
            with progress(console, "throughput: working off what was left", course.end()) as shown:
                _drain(lag, int(course.end()), shown)
    report.add("throughput", "The whole pipeline, three jobs with both sinks", rows, _NOTE)


def _row(what: str, rate: float, seconds: float, meter: Meter) -> Row:
    cores = {name: cpu / seconds for name, cpu in meter.cpu().items()}
    threads = {name: cpu / seconds for name, cpu in meter.threads().items()}
    return {
        "what": what,
        "events/s": rate,
        "sent/s": float("nan"),
        "lag grows by/s": float("nan"),
        "lag": float("nan"),
        "behind s": float("nan"),
        "cores": cores,
        "busiest threads": dict(islice(threads.items(), _BUSIEST)),
    }


def _drain(lag: Lag, backlog: int, shown: Progress) -> tuple[float, float]:
    """Wait until nothing is left; return the rate after the warm-up (events a second), and the seconds in all."""
    started = time.monotonic()
    warm, deadline = started, started + _START_SECONDS + backlog / _LEAST_PER_SECOND
    seen, empty = backlog == 0, 0
    while empty < 3:
        if time.monotonic() > deadline:
            raise TimeoutError(f"the pipeline has still {lag.by_job()} to read")
        most = max(lag.by_job().values(), default=0)
        seen = seen or most > 0 or time.monotonic() - started > _UNSEEN_SECONDS
        if most > (1 - _WARM_UP_SHARE) * backlog:
            warm = time.monotonic()
        empty = empty + 1 if seen and most == 0 else 0
        shown.at(max(backlog - most, 0))
        time.sleep(_BETWEEN_LOOKS)
    ended = time.monotonic() - 3 * _BETWEEN_LOOKS
    return (1 - _WARM_UP_SHARE) * backlog / max(ended - warm, 1e-3), ended - started


def _watch(lag: Lag, rate: float, seconds: float, shown: Progress) -> Course:
    """The lag over so many seconds, or until it is hopeless."""
    course, started = Course(), time.monotonic()
    while (passed := time.monotonic() - started) < seconds:
        course.seconds.append(passed)
        course.records.append(sum(lag.by_job().values()))
        shown.at(passed)
        if len(course.seconds) > _LEAST_LOOKS and course.records[-1] > 3 * _SECONDS_BEHIND * rate:
            break
        time.sleep(_BETWEEN_LOOKS)
    return course


_NOTE = "lag: records that the jobs have still to read in the end, over all their sources; CPU in cores"
