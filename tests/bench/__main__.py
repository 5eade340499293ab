"""`python -m tests.bench [SECTION …]`: the benchmarks behind `make bench`, on real Kafka, Flink and ClickHouse."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from baggage import log
from baggage.jobs.rest import FlinkError
from baggage.local.jars import JarError
from baggage.local.processes import ProcessError
from baggage.local.runtime import RuntimeStartError, state_lock
from baggage.settings import Settings, read_settings
from tests.bench import growth, kpi_tick, latency, peers, queries, start, throughput
from tests.bench.report import Report

SECTIONS = ("peers", "throughput", "latency", "growth", "tick", "queries", "start")
STATE = Path(".local/bench")


def main() -> None:
    """Run the sections that the arguments name, or all; what goes wrong is one line and exit code 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("sections", nargs="*", help=f"of {', '.join(SECTIONS)}; default: all")
    parser.add_argument("--events", type=int, default=2_000_000, help="of peers; default: %(default)s")
    parser.add_argument("--bags", default="23000,500000", help="of peers, about; default: %(default)s")
    parser.add_argument("--runs", type=int, default=3, help="of peers, of each alternative; default: %(default)s")
    parser.add_argument("--alternatives", default="", help="of peers, by name; default: all")
    parser.add_argument("--backlog", type=int, default=300_000, help="of throughput, events; default: %(default)s")
    parser.add_argument("--minutes", type=float, default=5, help="of throughput, at each rate; default: %(default)s")
    parser.add_argument("--first", type=float, help="of throughput, events/s, the first rate; default: one too high")
    parser.add_argument("--rates", default="200,1000", help="of latency, events/s; default: %(default)s")
    parser.add_argument("--seconds", type=float, default=180, help="of latency, at each rate; default: %(default)s")
    parser.add_argument("--factors", default="1,10,100", help="of growth, of a day's bags; default: %(default)s")
    parser.add_argument("--later", type=int, default=100_000, help="of growth, events; default: %(default)s")
    parser.add_argument("--flights", type=int, default=2_000, help="of tick, active ones; default: %(default)s")
    parser.add_argument("--days", type=int, default=30, help="of queries, generated; default: %(default)s")
    parser.add_argument("--ticks", type=int, default=12, help="of tick; default: %(default)s")
    parser.add_argument("--results", type=Path, default=STATE / "results", help="a directory; default: %(default)s")
    arguments = parser.parse_args()
    arguments.alternatives = [name for name in arguments.alternatives.split(",") if name]
    _refuse_unknown(parser, "section", arguments.sections, SECTIONS)
    _refuse_unknown(parser, "alternative", arguments.alternatives, [known.name for known in peers.ALTERNATIVES])
    settings = read_settings()
    if "state_dir" not in settings.local.model_fields_set:
        settings.local.state_dir = STATE / "state"
    log.configure("WARNING")
    console = Console(width=None if sys.stdout.isatty() else 160)
    report = Report(console, arguments.results)
    report.head()
    try:
        with state_lock(settings.local.state_dir.resolve()):
            for section in arguments.sections or SECTIONS:
                _run(section, settings, report, console, arguments)
    except (RuntimeStartError, ProcessError, JarError, FlinkError, TimeoutError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("stopped")


def _refuse_unknown(parser: argparse.ArgumentParser, what: str, named: list[str], known: Sequence[str]) -> None:
    unknown = set(named) - set(known)
    if unknown:
        parser.error(f"no {what} {', '.join(sorted(unknown))}: choose from {', '.join(known)}")


def _run(section: str, settings: Settings, report: Report, console: Console, arguments: argparse.Namespace) -> None:
    directory = settings.local.state_dir.resolve()
    for path in directory.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
    if section == "peers":
        bags = tuple(map(int, arguments.bags.split(",")))
        events, runs = arguments.events, arguments.runs
        peers.measure(settings, report, console, events, bags, runs, arguments.alternatives)
    elif section == "throughput":
        backlog, minutes = arguments.backlog, arguments.minutes
        throughput.measure(settings, report, console, backlog, minutes, arguments.first, directory / section)
    elif section == "latency":
        rates = tuple(map(float, arguments.rates.split(",")))
        latency.measure(settings, report, console, rates, arguments.seconds, directory / section)
    elif section == "growth":
        factors = tuple(map(int, arguments.factors.split(",")))
        growth.measure(settings, report, console, factors, arguments.later, directory / section)
    elif section == "tick":
        kpi_tick.measure(settings, report, console, arguments.flights, arguments.ticks, directory / section)
    elif section == "queries":
        queries.measure(settings, report, console, arguments.days, directory / section)
    elif section == "start":
        start.measure(settings, report, console, directory / section)


if __name__ == "__main__":
    main()
